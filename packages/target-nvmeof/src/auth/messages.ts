import { get16le, get32le, put16le, put32le } from '@blockbraid/wire'
import type { GroupFacts, HashFacts } from './algorithms.ts'

/** AUTH_TYPE and AUTH_ID of a message, one behind the other. */
export const AuthMessage = {
  Negotiate: 0x0000,
  Failure2: 0x00f0,
  Failure1: 0x00f1,
  Challenge: 0x0101,
  Reply: 0x0102,
  Success1: 0x0103,
  Success2: 0x0104,
} as const

// Of Challenge, Reply, Success1 and Success2, up to their values.
const HEADER = 16
const NEGOTIATE = 72
const FAILURE = 8
// The protocol descriptor of AUTH_Negotiate has room for that many hashes, and for groups behind them.
const HASH_ROOM = 30

/** AUTH_Negotiate: what the host can do (NVMe Base 2.1 §8.3.5.5.2). */
export function negotiateMessage(
  transaction: number,
  hashes: readonly HashFacts[],
  groups: readonly GroupFacts[],
): Buffer {
  const bytes = start(NEGOTIATE, AuthMessage.Negotiate, transaction)
  // SC_C is 0: no secure channel; one protocol, DH-HMAC-CHAP.
  bytes[7] = 1
  bytes[8] = 1
  bytes[10] = hashes.length
  bytes[11] = groups.length
  hashes.forEach(({ id }, at) => {
    bytes[12 + at] = id
  })
  groups.forEach(({ id }, at) => {
    bytes[12 + HASH_ROOM + at] = id
  })
  return bytes
}

/** What DH-HMAC-CHAP_Reply says. */
export interface Reply {
  readonly transaction: number
  readonly response: Buffer
  /** What the controller has to answer, with its number; undefined: nothing. */
  readonly challenge: { readonly value: Buffer; readonly sequence: number } | undefined
  /** Our public value; empty where there is no exchange. */
  readonly publicValue: Buffer
}

/** DH-HMAC-CHAP_Reply (NVMe Base 2.1 §8.3.5.5.4). */
export function replyMessage({ transaction, response, challenge, publicValue }: Reply): Buffer {
  const bytes = start(HEADER + 2 * response.length + publicValue.length, AuthMessage.Reply, transaction)
  bytes[6] = response.length
  put16le(bytes, 10, publicValue.length)
  bytes.set(response, HEADER)
  if (challenge !== undefined) {
    bytes[8] = 1
    put32le(bytes, 12, challenge.sequence)
    bytes.set(challenge.value, HEADER + response.length)
  }
  bytes.set(publicValue, HEADER + 2 * response.length)
  return bytes
}

/** DH-HMAC-CHAP_Success2 (NVMe Base 2.1 §8.3.5.5.6). */
export function success2Message(transaction: number): Buffer {
  return start(HEADER, AuthMessage.Success2, transaction)
}

/** AUTH_Failure2: the host gives up, with an explanation of {@link failureWords} (NVMe Base 2.1 §8.3.5.4.3). */
export function failure2Message(transaction: number, explanation: number): Buffer {
  const bytes = start(FAILURE, AuthMessage.Failure2, transaction)
  bytes[6] = 1
  bytes[7] = explanation
  return bytes
}

/** What a message begins with; undefined where it is too short to say. */
export function headOf(bytes: Uint8Array): { readonly message: number; readonly transaction: number } | undefined {
  if (bytes.length < FAILURE) return undefined
  return { message: (bytes[0]! << 8) | bytes[1]!, transaction: get16le(bytes, 4) }
}

/** The explanation in an AUTH_Failure1 (RCODE_EXP). */
export function explanationIn(bytes: Uint8Array): number {
  return bytes[7]!
}

/** What DH-HMAC-CHAP_Challenge says. */
export interface Challenge {
  readonly hashId: number
  readonly groupId: number
  /** HL, bytes. */
  readonly hashLength: number
  /** S1. */
  readonly sequence: number
  /** C1, HL bytes. */
  readonly value: Buffer
  /** The controller's public value, as long as it says. */
  readonly publicValue: Buffer
}

/** Reads DH-HMAC-CHAP_Challenge (NVMe Base 2.1 §8.3.5.5.3); undefined where it is shorter than it says. */
export function readChallenge(bytes: Uint8Array): Challenge | undefined {
  if (bytes.length < HEADER) return undefined
  const hashLength = bytes[6]!
  const publicLength = get16le(bytes, 10)
  const behind = HEADER + hashLength
  if (bytes.length < behind + publicLength) return undefined
  return {
    hashId: bytes[8]!,
    groupId: bytes[9]!,
    hashLength,
    sequence: get32le(bytes, 12),
    // Copies: the message is the queue's.
    value: Buffer.from(bytes.subarray(HEADER, behind)),
    publicValue: Buffer.from(bytes.subarray(behind, behind + publicLength)),
  }
}

/** What DH-HMAC-CHAP_Success1 says. */
export interface Success1 {
  /** HL, bytes. */
  readonly hashLength: number
  /** R2, where the controller gives one. */
  readonly response: Buffer | undefined
}

/** Reads DH-HMAC-CHAP_Success1 (NVMe Base 2.1 §8.3.5.5.5); undefined where it is shorter than it says. */
export function readSuccess1(bytes: Uint8Array): Success1 | undefined {
  if (bytes.length < HEADER) return undefined
  const hashLength = bytes[6]!
  if ((bytes[8]! & 1) === 0) return { hashLength, response: undefined }
  if (bytes.length < HEADER + hashLength) return undefined
  return { hashLength, response: Buffer.from(bytes.subarray(HEADER, HEADER + hashLength)) }
}

function start(length: number, message: number, transaction: number): Buffer {
  const bytes = Buffer.alloc(length)
  bytes[0] = message >> 8
  bytes[1] = message
  put16le(bytes, 4, transaction)
  return bytes
}
