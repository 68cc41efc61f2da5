import { createHmac } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { get32le } from '@blockbraid/wire'
import { HASHES, type HashFacts } from './algorithms.ts'

// What a key is transformed with (NVMe Base 2.1 §8.3.5.5.7).
const PURPOSE = 'NVMe-over-Fabrics'

/** A secret of DH-HMAC-CHAP. Its key is seen by nobody who looks at the object. */
export class DhchapSecret {
  readonly #key: Buffer
  readonly #hash: HashFacts | undefined

  constructor(key: Buffer, hash: HashFacts | undefined) {
    this.#key = key
    this.#hash = hash
  }

  /** The key that `nqn`'s responses are made with: its own for each NQN, where the secret says so. */
  keyFor(nqn: string): Buffer {
    if (this.#hash === undefined) return this.#key
    return createHmac(this.#hash.name, this.#key).update(nqn).update(PURPOSE).digest()
  }

  /** Whether both are the same key, however it is written. */
  equals(other: DhchapSecret): boolean {
    return this.#key.equals(other.#key)
  }
}

/**
 * Reads `DHHC-1:HH:BASE64:`, the form that `nvme gen-dhchap-key` writes (NVMe Base 2.1 §8.3.5.5.7): HH is 00 for a key that is
 * used as it is, else the hash that transforms it; behind the key stands its CRC-32. Throws a TypeError that names `field` and
 * what is wrong, never the secret.
 */
export function parseDhchapSecret(field: string, text: unknown): DhchapSecret {
  const form = 'DHHC-1:HH:BASE64:, as nvme gen-dhchap-key writes it'
  if (typeof text !== 'string') throw new TypeError(`options.${field} must be a text of the form ${form}`)
  const match = /^DHHC-1:([0-9]{2}):([A-Za-z0-9+/]{1,96}={0,2}):$/.exec(text.trim())
  if (match === null) throw new TypeError(`options.${field} is not of the form ${form}`)
  const id = Number(match[1])
  const hash = HASHES.find((one) => one.id === id)
  if (id !== 0 && hash === undefined) {
    throw new TypeError(
      `options.${field} begins with DHHC-1:${match[1]}, but the hash must be one of 00, 01, 02 and 03`,
    )
  }
  const bytes = Buffer.from(match[2]!, 'base64')
  const key = bytes.subarray(0, -4)
  if (![32, 48, 64].includes(key.length)) {
    throw new TypeError(`options.${field} has a key of ${Math.max(key.length, 0)} bytes, and 32, 48 or 64 are right`)
  }
  if (get32le(bytes, key.length) !== crc32(key)) {
    throw new TypeError(`options.${field} does not fit its checksum: it was not copied in whole`)
  }
  return new DhchapSecret(key, hash)
}
