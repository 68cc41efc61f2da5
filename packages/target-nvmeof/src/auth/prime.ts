// What RFC 7919 appendix A adds to the digits of e, by bytes of the prime.
const ADDENDS: ReadonlyMap<number, bigint> = new Map([
  [256, 560316n],
  [384, 2625351n],
  [512, 5736041n],
  [768, 15705020n],
  [1024, 10965728n],
])

const made = new Map<number, Buffer>()

/** The prime of the ffdhe group of `length` bytes, by the formula of RFC 7919 appendix A; a millisecond the first time. */
export function ffdhePrime(length: number): Buffer {
  const known = made.get(length)
  if (known !== undefined) return known
  const bits = BigInt(length * 8)
  const middle = eulerDigits(length * 8 - 130) + ADDENDS.get(length)!
  const prime = (1n << bits) - (1n << (bits - 64n)) + (middle << 64n) - 1n
  const bytes = Buffer.from(prime.toString(16), 'hex')
  made.set(length, bytes)
  return bytes
}

/** e times 2 ** bits, rounded down. */
function eulerDigits(bits: number): bigint {
  const guard = 64n
  let term = 1n << (BigInt(bits) + guard)
  let sum = 0n
  for (let n = 1n; term > 0n; n++) {
    sum += term
    term /= n
  }
  return sum >> guard
}
