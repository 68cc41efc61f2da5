import { get16le, get32le, put16le, put32le } from '@blockbraid/wire'

/** AUTH_ID of the messages that a host sends; bit 8 stands for AUTH_TYPE 1. */
export const FromHost = { Negotiate: 0x000, Failure2: 0x0f0, Reply: 0x102, Success2: 0x104 } as const

/** Why authentication has failed (RCODE_EXP). */
export const Why = {
  Failed: 1,
  Protocol: 2,
  Concatenation: 3,
  Hash: 4,
  Group: 5,
  Payload: 6,
  Message: 7,
} as const
/** One of the values of {@link Why}. */
export type Why = (typeof Why)[keyof typeof Why]

// AUTH_Negotiate: 8 bytes, and 64 for each protocol.
const NEGOTIATE = 8
const DESCRIPTOR = 64
const LISTED = 30
// Of the messages of AUTH_TYPE 1.
const HEADER = 16

/** What a message is, and of which transaction. */
export interface Envelope {
  readonly id: number
  readonly transaction: number
}

/** Reads the beginning of a message; undefined where there is none. */
export function envelopeOf(bytes: Buffer): Envelope | undefined {
  if (bytes.length < 8 || bytes[0]! > 1) return undefined
  return { id: bytes[0]! * 0x100 + bytes[1]!, transaction: get16le(bytes, 4) }
}

/** What AUTH_Negotiate offers; a number says why it cannot be taken. */
export function offerIn(bytes: Buffer): { readonly hashes: Buffer; readonly groups: Buffer } | Why {
  if (bytes[6] !== 0) return Why.Concatenation
  const count = bytes[7]!
  if (count === 0 || bytes.length < NEGOTIATE + count * DESCRIPTOR) return Why.Payload
  for (let at = NEGOTIATE; at < NEGOTIATE + count * DESCRIPTOR; at += DESCRIPTOR) {
    if (bytes[at] !== 1) continue
    const [hashes, groups] = [bytes[at + 2]!, bytes[at + 3]!]
    if (hashes < 1 || hashes > LISTED || groups < 1 || groups > LISTED) return Why.Payload
    const list = at + 4
    return {
      hashes: bytes.subarray(list, list + hashes),
      groups: bytes.subarray(list + LISTED, list + LISTED + groups),
    }
  }
  return Why.Protocol
}

/** What DH-HMAC-CHAP_Reply says. */
export interface Reply {
  readonly response: Buffer
  /** C2 and S2, where the host asks for the controller's proof. */
  readonly challenge: Buffer | undefined
  readonly sequence: number
  readonly value: Buffer
}

/** Reads DH-HMAC-CHAP_Reply with hashes of `length` bytes; undefined where it has another, or is too short. */
export function replyIn(bytes: Buffer, length: number): Reply | undefined {
  if (bytes.length < HEADER || bytes[6] !== length) return undefined
  const parts = [HEADER, HEADER + length, HEADER + 2 * length, HEADER + 2 * length + get16le(bytes, 10)] as const
  if (bytes.length < parts[3]) return undefined
  return {
    response: bytes.subarray(parts[0], parts[1]),
    challenge: (bytes[8]! & 1) === 0 ? undefined : bytes.subarray(parts[1], parts[2]),
    sequence: get32le(bytes, 12),
    value: bytes.subarray(parts[2], parts[3]),
  }
}

/** DH-HMAC-CHAP_Challenge. */
export function challengeMessage(
  transaction: number,
  { hash, group, sequence }: { hash: number; group: number; sequence: number },
  challenge: Buffer,
  value: Buffer,
): Buffer {
  const head = header(1, transaction, challenge.length)
  head[8] = hash
  head[9] = group
  put16le(head, 10, value.length)
  put32le(head, 12, sequence)
  return Buffer.concat([head, challenge, value])
}

/** DH-HMAC-CHAP_Success1, with R2 where the host has asked for it. */
export function successMessage(transaction: number, length: number, response: Buffer | undefined): Buffer {
  const head = header(3, transaction, length)
  if (response === undefined) return head
  head[8] = 1
  return Buffer.concat([head, response])
}

/** AUTH_Failure1. */
export function failureMessage(transaction: number, why: Why): Buffer {
  const bytes = Buffer.from([0, 0xf1, 0, 0, 0, 0, 1, why])
  put16le(bytes, 4, transaction)
  return bytes
}

function header(id: number, transaction: number, length: number): Buffer {
  const head = Buffer.alloc(HEADER)
  head[0] = 1
  head[1] = id
  put16le(head, 4, transaction)
  head[6] = length
  return head
}
