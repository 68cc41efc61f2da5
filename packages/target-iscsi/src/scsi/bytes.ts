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
