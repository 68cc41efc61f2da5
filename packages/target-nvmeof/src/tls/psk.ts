import { createHmac } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { TlsPsk } from '@blockbraid/wire'
import { get32le, LONGEST_IDENTITY, TLS_KEY_LENGTH } from '@blockbraid/wire'
import type { Place } from '../place/place.ts'
import { derive } from './derive.ts'

/** A key for TLS 1.3 (NVMe/TCP Transport 1.1 §3.6.1). */
export interface TlsOptions {
  /** The key in the PSK interchange format, `NVMeTLSkey-1:01:BASE64:`, as `nvme gen-tls-key --hmac=1` writes it. */
  psk: string
  /** Version of the identity that it goes by, as the target has been given it: 1 has a digest of the key. @defaultValue 0 */
  identity?: 0 | 1
  /** Derive it as nvme-cli does with `--compat`, and as its older versions always do. @defaultValue false */
  compat?: boolean
}

/** Who meets whom: a key has another identity for each pair. */
export type TlsParties = Pick<Place, 'hostNqn' | 'subNqn'>

/** {@link TlsOptions}, checked: gives the key for a host and a subsystem. Throws a TypeError where their names are too long. */
export type TlsKeys = (parties: TlsParties) => TlsPsk

const FORM = 'NVMeTLSkey-1:01:BASE64:, as nvme gen-tls-key --hmac=1 writes it'
const ONLY_SHA256 = 'Node has TLS keys of SHA-256 alone, of 32 bytes'

/** Checks a TLS key; throws a TypeError that names the field, never the key, which stays in a closure. */
export function tlsKeysOf(field: string, value: TlsOptions): TlsKeys {
  if (typeof value !== 'object' || value === null) throw new TypeError(`options.${field} must have a psk`)
  for (const name of Object.keys(value)) {
    if (!['psk', 'identity', 'compat'].includes(name)) throw new TypeError(`options.${field}.${name} is unknown`)
  }
  const { identity = 0, compat = false } = value
  if (identity !== 0 && identity !== 1) throw new TypeError(`options.${field}.identity must be 0 or 1`)
  if (typeof compat !== 'boolean') throw new TypeError(`options.${field}.compat must be true or false`)
  const { key, retained } = interchangeKey(`${field}.psk`, value.psk)
  return ({ hostNqn, subNqn }) => {
    const own = retained ? key : derive(key, 'HostNQN', hostNqn, compat)
    const name = `NVMe${identity}R01 ${hostNqn} ${subNqn}`
    const digest = identity === 0 ? '' : digestOf(own, hostNqn, subNqn)
    const full = identity === 0 ? name : `${name} ${digest}`
    const length = Buffer.byteLength(full)
    if (length > LONGEST_IDENTITY) {
      throw new TypeError(
        `the TLS identity of ${hostNqn} at ${subNqn} has ${length} bytes, and Node takes ${LONGEST_IDENTITY} at most: ` +
          'one of the names has to be shorter',
      )
    }
    // Version 0 makes the key of the identity, version 1 of the digest.
    const context = identity === 0 ? full : `01 ${digest}`
    return { identity: full, key: derive(own, 'nvme-tls-psk', context, compat) }
  }
}

/** Reads the PSK interchange format; `retained`: the key is used as it is, for whatever host. */
function interchangeKey(field: string, text: unknown): { key: Buffer; retained: boolean } {
  const match =
    typeof text === 'string' ? /^NVMeTLSkey-1:([0-9]{2}):([A-Za-z0-9+/]{1,96}={0,2}):$/.exec(text.trim()) : null
  if (match === null) throw new TypeError(`options.${field} is not of the form ${FORM}`)
  const [, hash, base64] = match
  const bytes = Buffer.from(base64!, 'base64')
  const key = bytes.subarray(0, -4)
  if (hash === '02' || key.length === 48)
    throw new TypeError(`options.${field} is a key of SHA-384; ${ONLY_SHA256}: ${FORM}`)
  if (hash !== '00' && hash !== '01')
    throw new TypeError(`options.${field} begins with NVMeTLSkey-1:${hash}; it must be 00 or 01`)
  if (key.length !== TLS_KEY_LENGTH)
    throw new TypeError(`options.${field} has a key of ${key.length} bytes; it must have 32`)
  if (get32le(bytes, key.length) !== crc32(key)) {
    throw new TypeError(`options.${field} does not fit its checksum: it was not copied in whole`)
  }
  return { key, retained: hash === '00' }
}

function digestOf(key: Buffer, hostNqn: string, subNqn: string): string {
  return createHmac('sha256', key).update(`${hostNqn} ${subNqn} NVMe-over-Fabrics`).digest('base64')
}
