/** The number of a decimal or 0x constant of at most 32 bits (RFC 7143 §6.1), or undefined. */
export function parseNumber(text: string): number | undefined {
  if (!/^(?:0[xX][0-9a-fA-F]{1,8}|[0-9]{1,10})$/.test(text)) return undefined
  const value = Number(text)
  return value > 0xffff_ffff ? undefined : value
}

/** The bytes of a 0x (hex) or 0b (base64) constant (RFC 7143 §6.1), or undefined. */
export function parseBinary(text: string): Buffer | undefined {
  const digits = text.slice(2)
  if (/^0[xX]/.test(text)) {
    if (!/^[0-9a-fA-F]+$/.test(digits)) return undefined
    return Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex')
  }
  if (/^0[bB]/.test(text)) {
    if (digits.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(digits)) return undefined
    return Buffer.from(digits, 'base64')
  }
  return undefined
}

/** `bytes` as a 0x constant. */
export function encodeBinary(bytes: Uint8Array): string {
  return `0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`
}
