import { createHmac, hkdfSync } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** TLS 1.3 by a pre-shared key (NVMe/TCP Transport 1.1 §3.6.1), TLS_AES_128_GCM_SHA256 alone; nothing is taken in clear. */
export interface NvmeTlsOptions {
  /** The key of every host, in the form `NVMeTLSkey-1:01:BASE64:`, or with 00 for one that is used as it is. */
  psk: string
  /** Whether it is derived as nvme-cli does with `--compat`. @defaultValue false */
  compat?: boolean
}

/** Gives the key of an identity; undefined where it is none for these subsystems. */
export type KeyOf = (identity: string) => Buffer | undefined

const NO_SALT = Buffer.alloc(0)
const LENGTH = 32

/** Checks options of TLS; throws a TypeError that names the field, never the key. `subsystems`: NQNs that identities may name. */
export function tlsKeys({ psk, compat = false }: NvmeTlsOptions, subsystems: readonly string[]): KeyOf {
  const [kind, form, base64 = '', rest, ...more] = String(psk).split(':')
  const bytes = Buffer.from(base64, 'base64')
  const right = kind === 'NVMeTLSkey-1' && (form === '00' || form === '01') && rest === '' && more.length === 0
  if (!right || bytes.length !== LENGTH + 4 || bytes.readUInt32LE(LENGTH) !== crc32(bytes.subarray(0, LENGTH))) {
    throw new TypeError(
      'options.tls.psk must be a key of SHA-256 of the form NVMeTLSkey-1:01:BASE64: with its checksum',
    )
  }
  if (typeof compat !== 'boolean') throw new TypeError('options.tls.compat must be true or false')
  const configured = bytes.subarray(0, LENGTH)
  return (identity) => {
    const [version, host = '', subsystem = '', digest, ...others] = identity.split(' ')
    if (host === '' || !subsystems.includes(subsystem) || others.length > 0) return undefined
    const retained = form === '00' ? configured : expand(configured, 'tls13 HostNQN', host, compat)
    if (version === 'NVMe0R01' && digest === undefined) return expand(retained, 'tls13 nvme-tls-psk', identity, compat)
    const own = createHmac('sha256', retained).update(`${host} ${subsystem} NVMe-over-Fabrics`).digest('base64')
    if (version !== 'NVMe1R01' || digest !== own) return undefined
    return expand(retained, 'tls13 nvme-tls-psk', `01 ${own}`, compat)
  }
}

function expand(key: Buffer, label: string, context: string, compat: boolean): Buffer {
  const length = Buffer.alloc(2)
  if (compat) length.writeUInt16LE(LENGTH)
  else length.writeUInt16BE(LENGTH)
  const count = (text: string): string => (compat ? text : String.fromCharCode(Buffer.byteLength(text)) + text)
  const info = Buffer.concat([length, Buffer.from(count(label) + count(context), 'latin1')])
  return Buffer.from(hkdfSync('sha256', key, NO_SALT, info, LENGTH))
}
