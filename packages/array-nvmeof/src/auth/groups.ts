import { createPublicKey, diffieHellman, generateKeyPair, type KeyObject } from 'node:crypto'

/** Group of DH-HMAC-CHAP; `null`: no exchange. */
export type GroupName = 'ffdhe2048' | 'ffdhe3072' | 'ffdhe4096' | 'ffdhe6144' | 'ffdhe8192' | 'null'

/** All, as they are wanted. */
export const GROUP_NAMES: readonly GroupName[] = [
  'ffdhe2048',
  'ffdhe3072',
  'ffdhe4096',
  'ffdhe6144',
  'ffdhe8192',
  'null',
]

/** Identifier of a group on the wire. */
export function groupId(name: GroupName): number {
  return name === 'null' ? 0 : GROUP_NAMES.indexOf(name) + 1
}

// RFC 7919 appendix A: p is made of the digits of e and of one small number of its own.
const SMALL: Readonly<Record<Exclude<GroupName, 'null'>, bigint>> = {
  ffdhe2048: 560_316n,
  ffdhe3072: 2_625_351n,
  ffdhe4096: 5_736_041n,
  ffdhe6144: 15_705_020n,
  ffdhe8192: 10_965_728n,
}

const primes = new Map<GroupName, Buffer>()

/** The prime of a group. */
export function primeOf(name: Exclude<GroupName, 'null'>): Buffer {
  let prime = primes.get(name)
  if (prime === undefined) {
    const bits = Number(name.slice(5))
    const top = (1n << 64n) - 1n
    const inner = euler(bits - 130) + SMALL[name]
    prime = bytesOf((((top << BigInt(bits - 128)) + inner) << 64n) - 1n, bits / 8)
    primes.set(name, prime)
  }
  return prime
}

/** 2 ** bits times e, rounded down: e is 1 + (1 + (1 + (1 + …) / 3) / 2) / 1. */
function euler(bits: number): bigint {
  const one = 1n << BigInt(bits + 40)
  let sum = one
  for (let n = BigInt(bits); n > 0n; n--) sum = one + sum / n
  return sum >> 40n
}

/** One side of one exchange. */
export interface KeyPair {
  /** What the other side is told, as long as the prime. */
  readonly value: Buffer
  /** What both sides get from it and the other's value; undefined where that is none of the group. */
  agree(other: Buffer): Promise<Buffer | undefined>
}

type Made = (error: Error | null, publicKey: KeyObject, privateKey: KeyObject) => void
// The types of Node leave this kind of key out.
const make = generateKeyPair as unknown as (type: 'dh', of: { prime: Buffer; generator: number }, made: Made) => void

/** Makes a pair of keys in a group. */
export function keyPair(name: Exclude<GroupName, 'null'>): Promise<KeyPair> {
  const prime = primeOf(name)
  return new Promise((resolve, reject) => {
    make('dh', { prime, generator: 2 }, (error, publicKey, privateKey) => {
      if (error !== null) return reject(error)
      const template = publicKey.export({ format: 'der', type: 'spki' })
      const value = lastInteger(template, prime.length)
      resolve({
        value,
        async agree(other) {
          const number = numberOf(other)
          if (other.length > prime.length || number < 2n || number > numberOf(prime) - 2n) return undefined
          const key = createPublicKey({ key: withValue(template, number), format: 'der', type: 'spki' })
          return bytesOf(numberOf(await secretOf(privateKey, key)), prime.length)
        },
      })
    })
  })
}

function secretOf(privateKey: KeyObject, publicKey: KeyObject): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const at: unknown = diffieHellman({ privateKey, publicKey }, (error, secret) =>
      error === null ? resolve(secret) : reject(error),
    )
    // Node 22 has no callback there.
    if (at !== undefined) resolve(at as Buffer)
  })
}

// A SubjectPublicKeyInfo is a sequence of the algorithm, which begins at byte 4, and a bit string with an integer in it.
function lastInteger(spki: Buffer, length: number): Buffer {
  const bits = 8 + spki.readUInt16BE(6)
  const digits = spki.subarray(bits + 5 + 4)
  return bytesOf(numberOf(digits), length)
}

function withValue(template: Buffer, number: bigint): Buffer {
  const algorithm = template.subarray(4, 8 + template.readUInt16BE(6))
  const digits = bytesOf(number)
  const sign = Buffer.alloc(digits[0]! >> 7)
  const integer = Buffer.concat([long(0x02, sign.length + digits.length), sign, digits])
  const bits = Buffer.concat([long(0x03, 1 + integer.length), Buffer.alloc(1), integer])
  return Buffer.concat([long(0x30, algorithm.length + bits.length), algorithm, bits])
}

function long(tag: number, length: number): Buffer {
  if (length < 128) return Buffer.of(tag, length)
  if (length < 256) return Buffer.of(tag, 0x81, length)
  return Buffer.of(tag, 0x82, length >> 8, length & 255)
}

function numberOf(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
}

function bytesOf(number: bigint, length = 0): Buffer {
  const hex = number.toString(16)
  return Buffer.from(hex.padStart(Math.max(2 * length, hex.length + (hex.length % 2)), '0'), 'hex')
}
