/** Reads 16 bits, big-endian. */
export function get16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}

/** Reads 32 bits, big-endian, unsigned. */
export function get32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}

/** Reads 64 bits, big-endian; above 2 ** 53 the low bits are lost. */
export function get64(bytes: Uint8Array, at: number): number {
  return get32(bytes, at) * 2 ** 32 + get32(bytes, at + 4)
}

/** Writes 16 bits, big-endian. */
export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}

/** Writes 32 bits, big-endian. */
export function put32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

/** Writes 64 bits, big-endian; `value` is below 2 ** 53. */
export function put64(bytes: Uint8Array, at: number, value: number): void {
  put32(bytes, at, Math.floor(value / 2 ** 32))
  put32(bytes, at + 4, value % 2 ** 32)
}

/** The bytes from `from` to `to`, or as many of them as there are. */
export function slice(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return bytes.subarray(Math.min(from, bytes.length), Math.min(to, bytes.length))
}

/** Hex digits, lower case. */
export function hex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}

/** Without the blanks and zeroes that fill a text field up. */
export function unpadded(bytes: Uint8Array): Uint8Array {
  let end = bytes.length
  while (end > 0 && (bytes[end - 1] === 0x20 || bytes[end - 1] === 0)) end--
  return bytes.subarray(0, end)
}

/** A text field for people: blanks around it removed, what cannot be printed shown as `?`. */
export function printable(bytes: Uint8Array): string {
  let text = ''
  for (const byte of unpadded(bytes)) text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '?'
  return text.trim()
}
