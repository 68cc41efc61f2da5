/** Hash of DH-HMAC-CHAP. */
export type HashName = 'sha256' | 'sha384' | 'sha512'

/** All, in the order of their identifiers, which begin with 1. */
export const HASH_NAMES: readonly HashName[] = ['sha256', 'sha384', 'sha512']

/** Identifier of a hash on the wire. */
export function hashId(name: HashName): number {
  return HASH_NAMES.indexOf(name) + 1
}

/** Bytes that a hash gives. */
export function hashLength(name: HashName): number {
  return Number(name.slice(3)) / 8
}
