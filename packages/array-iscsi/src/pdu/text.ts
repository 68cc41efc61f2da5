/** The most text that one negotiation or request may have, bytes. */
export const MAX_TEXT = 65_536

/** Reads `key=value` pairs, each ended by a zero byte (RFC 7143 §6.1); undefined where it is no such text. */
export function parseText(bytes: Uint8Array): Map<string, string> | undefined {
  const pairs = new Map<string, string>()
  for (const part of Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8').split('\0')) {
    if (part === '') continue
    const sign = part.indexOf('=')
    const key = part.slice(0, sign)
    if (sign < 1 || sign > 63 || pairs.has(key)) return undefined
    pairs.set(key, part.slice(sign + 1))
  }
  return pairs
}

/** Writes `key=value` pairs; a key may stand more than once, as in SendTargets. */
export function encodeText(pairs: Iterable<readonly [string, string]>): Buffer {
  let text = ''
  for (const [key, value] of pairs) text += `${key}=${value}\0`
  return Buffer.from(text, 'utf8')
}
