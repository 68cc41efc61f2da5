import { createHash } from 'node:crypto'

/**
 * An initiator session id (RFC 7143 §11.12.5), 6 bytes of the random type. The same texts give the same
 * id, so that a later login takes the place of a session that an earlier process has left (§6.3.5).
 */
export function isidOf(...texts: readonly string[]): Uint8Array {
  const digest = createHash('sha256').update(texts.join('\0')).digest()
  const isid = digest.subarray(0, 6)
  isid[0] = 0x80
  return isid
}
