/** Hash function of DH-HMAC-CHAP. */
export type DhchapHash = 'sha256' | 'sha384' | 'sha512'

/** Diffie-Hellman group of DH-HMAC-CHAP; `null`: none. */
export type DhchapGroup = 'null' | 'ffdhe2048' | 'ffdhe3072' | 'ffdhe4096' | 'ffdhe6144' | 'ffdhe8192'

/** A hash function on the wire. */
export interface HashFacts {
  readonly name: DhchapHash
  /** Its identifier (NVMe Base 2.1 §8.3.5.5.2). */
  readonly id: number
  /** Bytes of what it gives. */
  readonly length: number
}

/** A Diffie-Hellman group on the wire. */
export interface GroupFacts {
  readonly name: DhchapGroup
  /** Its identifier (NVMe Base 2.1 §8.3.5.5.2). */
  readonly id: number
  /** Bytes of its prime, of a public value, and of a shared secret; 0: no exchange. */
  readonly length: number
}

/** All hash functions, in the order in which they are offered. */
export const HASHES: readonly HashFacts[] = [
  { name: 'sha256', id: 1, length: 32 },
  { name: 'sha384', id: 2, length: 48 },
  { name: 'sha512', id: 3, length: 64 },
]

/** All groups, in the order in which they are offered: without an exchange only where nothing else is taken. */
export const GROUPS: readonly GroupFacts[] = [
  { name: 'ffdhe2048', id: 1, length: 256 },
  { name: 'ffdhe3072', id: 2, length: 384 },
  { name: 'ffdhe4096', id: 3, length: 512 },
  { name: 'ffdhe6144', id: 4, length: 768 },
  { name: 'ffdhe8192', id: 5, length: 1024 },
  { name: 'null', id: 0, length: 0 },
]
