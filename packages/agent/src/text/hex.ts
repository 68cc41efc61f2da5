/** Bytes; what a reply of the control socket has room for twice, as hex digits. */
const MAX_RECEIVED = 16 * 1024 * 1024

/** Hex digits of bytes. */
export function toHex({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString('hex')
}

/** The bytes of hex digits, two each; throws a TypeError that names the field. */
export function parseHex(field: string, text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(text)) {
    throw new TypeError(`${field} is "${shown(text)}"; it must be hex digits, two for each byte`)
  }
  return new Uint8Array(Buffer.from(text, 'hex'))
}

/** A number of bytes to receive; throws a TypeError. */
export function parseCount(text: string): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (count <= MAX_RECEIVED) return count
  throw new TypeError(`in is "${shown(text)}"; it must be a number of bytes, at most ${MAX_RECEIVED}`)
}

/** What a request of a command by hand sends, or how much it receives; throws a TypeError where it says both. */
export function parseData(receive: string | undefined, out: string | undefined): Uint8Array | number {
  if (receive !== undefined && out !== undefined) throw new TypeError('in and out: a command has one of them only')
  return out === undefined ? parseCount(receive ?? '0') : parseHex('out', out)
}

function shown(text: string): string {
  return text.length > 40 ? `${text.slice(0, 37)}...` : text
}
