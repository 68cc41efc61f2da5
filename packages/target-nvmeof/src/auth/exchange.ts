import type { KeyObject } from 'node:crypto'
import { createPublicKey, diffieHellman, generateKeyPair } from 'node:crypto'
import { leftPadded, publicValueOf, spkiOf } from './der.ts'
import { ffdhePrime } from './prime.ts'

/** What came of a key exchange. */
export interface Exchange {
  /** Our public value, as long as the prime. */
  readonly ours: Buffer
  /** What both sides know then, as long as the prime. */
  readonly shared: Buffer
}

/** Whether `value` can be the other side's public value in the group of `length` bytes: above 1 and below the prime less 1. */
export function isPublicValue(value: Buffer, length: number): boolean {
  const number = leftPadded(value, length)
  const most = Buffer.from(ffdhePrime(length))
  // An odd number less 1.
  most[length - 1]! -= 1
  const two = Buffer.alloc(length)
  two[length - 1] = 2
  return value.length <= length && Buffer.compare(number, two) >= 0 && Buffer.compare(number, most) < 0
}

/** Makes a key pair for one exchange with `theirs`, in the ffdhe group of `length` bytes; on Node's thread pool. */
export async function exchange(theirs: Buffer, length: number): Promise<Exchange> {
  const prime = ffdhePrime(length)
  const { publicKey, privateKey } = await pairOf(prime)
  const other = createPublicKey({ key: spkiOf(prime, theirs), format: 'der', type: 'spki' })
  const shared = await agree(privateKey, other)
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  return { ours: publicValueOf(spki, length), shared: leftPadded(shared, length) }
}

// @types/node leaves 'dh' out.
const generate = generateKeyPair as unknown as (
  type: 'dh',
  options: { readonly prime: Buffer; readonly generator: number },
  done: (error: Error | null, publicKey: KeyObject, privateKey: KeyObject) => void,
) => void

// createDiffieHellman checks the prime on this thread, which takes up to 16 s.
function pairOf(prime: Buffer): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> {
  return new Promise((resolve, reject) => {
    generate('dh', { prime, generator: 2 }, (error, publicKey, privateKey) => {
      if (error === null) resolve({ publicKey, privateKey })
      else reject(error)
    })
  })
}

function agree(privateKey: KeyObject, publicKey: KeyObject): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // Node 22 takes no callback and works here, 1 to 9 ms.
    const now: unknown = diffieHellman({ privateKey, publicKey }, (error, secret) => {
      if (error === null) resolve(secret)
      else reject(error)
    })
    if (Buffer.isBuffer(now)) resolve(now)
  })
}
