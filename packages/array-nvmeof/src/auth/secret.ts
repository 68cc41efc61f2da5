import { createHmac } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { HASH_NAMES } from './hashes.ts'

/** Gives the key that belongs to an NQN (NVMe Base 2.1 §8.3.5.5.7). */
export type Secret = (nqn: string) => Buffer

/** Reads `DHHC-1:HH:BASE64:`; the key is in a closure, where nobody prints it. */
export function secretOf(field: string, text: string): Secret {
  const [kind, form = '', base64 = '', rest, ...more] = String(text).split(':')
  const bytes = Buffer.from(base64, 'base64')
  const key = bytes.subarray(0, -4)
  const known = /^0[0-3]$/.test(form) && (key.length === 32 || key.length === 48 || key.length === 64)
  if (kind !== 'DHHC-1' || rest !== '' || more.length > 0 || !known || bytes.readUInt32LE(key.length) !== crc32(key)) {
    throw new TypeError(`options.${field} must be a secret of the form DHHC-1:HH:BASE64: with its checksum`)
  }
  const hash = HASH_NAMES[Number(form) - 1]
  if (hash === undefined) return () => key
  return (nqn) => createHmac(hash, key).update(`${nqn}NVMe-over-Fabrics`).digest()
}
