import { createHash, timingSafeEqual } from 'node:crypto'

/** Hash of CHAP, by name; all that RFC 7143 §12.1.4 and IANA list. */
export type ChapAlgorithm = 'md5' | 'sha1' | 'sha256' | 'sha3-256'

/** Who may log in, and how the target proves itself. */
export interface IscsiChap {
  /** Name that the initiator gives. */
  user: string
  /** Its secret. */
  secret: string
  /** Those that the target takes. @defaultValue all four */
  algorithms?: readonly ChapAlgorithm[]
  /** What the target answers with where the initiator asks for its proof, too (mutual). */
  target?: {
    /** Name that the target gives. */
    user: string
    /** The target's secret. */
    secret: string
  }
}

/** Numbers of the algorithms on the wire. */
export const chapNumbers: ReadonlyMap<string, ChapAlgorithm> = new Map([
  ['5', 'md5'],
  ['6', 'sha1'],
  ['7', 'sha256'],
  ['8', 'sha3-256'],
])

/** The response to a challenge (RFC 1994 §4.1). */
export function chapResponse(algorithm: ChapAlgorithm, id: number, secret: string, challenge: Uint8Array): Buffer {
  return createHash(algorithm)
    .update(Buffer.from([id]))
    .update(secret, 'utf8')
    .update(challenge)
    .digest()
}

/** Reads a large binary value, hex or base64 (RFC 7143 §6.1); undefined where it is neither. */
export function parseBinary(text: string): Buffer | undefined {
  if (/^0[xX]([0-9a-fA-F]{2}){1,1024}$/.test(text)) return Buffer.from(text.slice(2), 'hex')
  if (/^0[bB][A-Za-z0-9+/]{2,1400}={0,2}$/.test(text)) return Buffer.from(text.slice(2), 'base64')
  return undefined
}

/** Whether two byte strings are the same, in a time that does not tell where they differ. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}
