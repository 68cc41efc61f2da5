import { createHash, createHmac } from 'node:crypto'
import { put16le, put32le } from '@blockbraid/wire'
import type { HashFacts } from './algorithms.ts'

/** What a response answers. */
export interface Asked {
  readonly hash: HashFacts
  readonly challenge: Buffer
  /** Number of the challenge: S1 or S2. */
  readonly sequence: number
  /** T_ID. */
  readonly transaction: number
  /** What the key exchange gave; empty where there was none. */
  readonly shared: Buffer
}

/** Who answers. */
export interface Answering {
  readonly role: 'HostHost' | 'Controller'
  readonly nqn: string
  /** NQN of the one that has asked. */
  readonly toNqn: string
  readonly key: Buffer
}

/** The response of the host (R1) or of the controller (R2) to a challenge (NVMe Base 2.1 §8.3.5.5.4, §8.3.5.5.5). */
export function responseTo(
  { hash, challenge, sequence, transaction, shared }: Asked,
  { role, nqn, toNqn, key }: Answering,
): Buffer {
  const numbers = Buffer.alloc(7)
  put32le(numbers, 0, sequence)
  put16le(numbers, 4, transaction)
  // Byte 6 is SC_C: 0, as no secure channel is made of it.
  return createHmac(hash.name, key)
    .update(shared.length === 0 ? challenge : augmented(hash, challenge, shared))
    .update(numbers)
    .update(role)
    .update(nqn)
    .update(Buffer.of(0))
    .update(toNqn)
    .digest()
}

/** The challenge as both sides know it after an exchange: keyed with the hash of what they share. */
function augmented({ name }: HashFacts, challenge: Buffer, shared: Buffer): Buffer {
  return createHmac(name, createHash(name).update(shared).digest()).update(challenge).digest()
}
