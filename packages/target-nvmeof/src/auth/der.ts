const INTEGER = 0x02
const BIT_STRING = 0x03
const OBJECT = 0x06
const SEQUENCE = 0x30
// dhKeyAgreement of PKCS #3, 1.2.840.113549.1.3.1.
const DH = Buffer.from('2a864886f70d010301', 'hex')

/** A public value of the group of `prime` and generator 2, as a SubjectPublicKeyInfo in DER. */
export function spkiOf(prime: Buffer, value: Buffer): Buffer {
  const algorithm = tlv(SEQUENCE, tlv(OBJECT, DH), tlv(SEQUENCE, integer(prime), integer(Buffer.of(2))))
  return tlv(SEQUENCE, algorithm, tlv(BIT_STRING, Buffer.of(0), integer(value)))
}

/** The public value in a SubjectPublicKeyInfo of a Diffie-Hellman key, with zeroes before it up to `length` bytes. */
export function publicValueOf(spki: Buffer, length: number): Buffer {
  const key = contentOf(spki, 0)
  const bits = contentOf(spki, endOf(spki, key.start))
  const value = contentOf(spki, bits.start + 1)
  return leftPadded(spki.subarray(value.start, value.end), length)
}

/** A number of `length` bytes, with zeroes before it or without those that are too many. */
export function leftPadded(number: Buffer, length: number): Buffer {
  if (number.length >= length) return number.subarray(number.length - length)
  return Buffer.concat([Buffer.alloc(length - number.length), number])
}

function integer(number: Buffer): Buffer {
  let start = 0
  while (start < number.length - 1 && number[start] === 0) start++
  const digits = number.subarray(start)
  // A set top bit would be a sign.
  return digits[0]! < 0x80 ? tlv(INTEGER, digits) : tlv(INTEGER, Buffer.of(0), digits)
}

function tlv(tag: number, ...content: Buffer[]): Buffer {
  const length = content.reduce((sum, { length }) => sum + length, 0)
  const head = length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length]
  return Buffer.concat([Buffer.from(head), ...content])
}

function contentOf(der: Buffer, at: number): { start: number; end: number } {
  const first = der[at + 1]!
  const digits = first < 0x80 ? 0 : first & 0x7f
  const start = at + 2 + digits
  return { start, end: start + (digits === 0 ? first : der.readUIntBE(at + 2, digits)) }
}

function endOf(der: Buffer, at: number): number {
  return contentOf(der, at).end
}
