import { timingSafeEqual } from 'node:crypto'
import { BlockError } from '@blockbraid/core'
import { get16le, get32le } from '@blockbraid/wire'
import { demand } from '../nvme/ask.ts'
import { authenticationReceive, authenticationSend, DISCOVERY_NQN } from '../nvme/fabrics.ts'
import type { Procedure } from '../nvme/procedure.ts'
import { work } from '../nvme/procedure.ts'
import type { Place } from '../place/place.ts'
import type { DhchapGroup, DhchapHash, GroupFacts, HashFacts } from './algorithms.ts'
import type { Dhchap } from './credentials.ts'
import { exchange, isPublicValue } from './exchange.ts'
import { AuthFailure, failureWords } from './failures.ts'
import {
  AuthMessage,
  type Challenge,
  explanationIn,
  failure2Message,
  headOf,
  negotiateMessage,
  readChallenge,
  readSuccess1,
  replyMessage,
  success2Message,
} from './messages.ts'
import { mustAuthenticate } from './required.ts'
import { type Asked, responseTo } from './response.ts'

/** How a queue was authenticated. */
export interface Authenticated {
  readonly hash: DhchapHash
  readonly group: DhchapGroup
  /** Whether the controller has proved itself, too. */
  readonly mutual: boolean
}

/** Who proves itself to whom. */
export type Parties = Pick<Place, 'hostNqn' | 'subNqn'>

// The longest message, a challenge of SHA-512 with ffdhe8192, has 1104 bytes; Linux asks for as much as this.
const MOST = 4096

/** An error of ours that the controller is told of, by an explanation. */
class Refusal extends BlockError {
  readonly explanation: AuthFailure

  constructor(code: 'DENIED' | 'PROTOCOL', explanation: AuthFailure, message: string) {
    super(code, message)
    this.explanation = explanation
  }
}

/**
 * Authenticates a queue, 0 being the admin queue, where dword 0 of the answer to its Connect asks for it. Where the controller
 * has to prove who it is, the admin queue does so unasked, but for discovery controllers: few have secrets.
 */
export function authenticator(dhchap: Dhchap, parties: Parties, random: (length: number) => Uint8Array) {
  const mutual = dhchap.controllerSecret !== undefined && parties.subNqn !== DISCOVERY_NQN
  return function* (connected: number, queue: number): Procedure<Authenticated | undefined> {
    if (!mustAuthenticate(connected, mutual && queue === 0)) return undefined
    return yield* authenticate(dhchap, parties, random)
  }
}

/**
 * DH-HMAC-CHAP from the host's side (NVMe Base 2.1 §8.3.5.5), on the queue that the procedure runs on. `random` gives bytes
 * that nobody can foretell. Throws DENIED where a proof is refused or wrong, PROTOCOL where a message is.
 */
export function* authenticate(
  dhchap: Dhchap,
  parties: Parties,
  random: (length: number) => Uint8Array,
): Procedure<Authenticated> {
  const transaction = get16le(random(2), 0)
  yield* sendMessage(negotiateMessage(transaction, dhchap.hashes, dhchap.groups))
  const challenge = yield* receiveMessage()
  expectMessage(challenge, AuthMessage.Challenge, transaction)
  try {
    return yield* prove(dhchap, parties, random, transaction, challenge)
  } catch (error) {
    if (error instanceof Refusal) yield* giveUp(transaction, error.explanation)
    throw error
  }
}

function* prove(
  dhchap: Dhchap,
  { hostNqn, subNqn }: Parties,
  random: (length: number) => Uint8Array,
  transaction: number,
  received: Uint8Array,
): Procedure<Authenticated> {
  const { challenge, hash, group } = acceptable(received, dhchap)
  const { ours, shared } = yield* exchanged(challenge, group)
  const { value, sequence } = challenge
  const asked: Asked = { hash, challenge: value, sequence, transaction, shared }
  const host = { role: 'HostHost', nqn: hostNqn, toNqn: subNqn, key: dhchap.secret.keyFor(hostNqn) } as const
  const own = dhchap.controllerSecret === undefined ? undefined : ownChallenge(random, hash, value)
  const response = responseTo(asked, host)
  yield* sendMessage(replyMessage({ transaction, response, challenge: own, publicValue: ours }))

  const answer = yield* receiveMessage()
  expectMessage(answer, AuthMessage.Success1, transaction)
  const success = readSuccess1(answer)
  if (success === undefined || success.hashLength !== hash.length) {
    throw new Refusal('PROTOCOL', AuthFailure.IncorrectPayload, 'authentication: Success1 has a wrong length')
  }
  const facts = { hash: hash.name, group: group.name }
  if (dhchap.controllerSecret === undefined || own === undefined) return { ...facts, mutual: false }
  const controller = {
    role: 'Controller',
    nqn: subNqn,
    toNqn: hostNqn,
    key: dhchap.controllerSecret.keyFor(subNqn),
  } as const
  const right = responseTo({ ...asked, challenge: own.value, sequence: own.sequence }, controller)
  if (success.response === undefined || !timingSafeEqual(success.response, right)) {
    const why = success.response === undefined ? 'gives no proof of itself' : 'does not know dhchap.controllerSecret'
    throw new Refusal('DENIED', AuthFailure.Failed, `authentication: the controller ${why}`)
  }
  yield* sendMessage(success2Message(transaction))
  return { ...facts, mutual: true }
}

function* exchanged(challenge: Challenge, group: GroupFacts): Procedure<{ ours: Buffer; shared: Buffer }> {
  const none = Buffer.alloc(0)
  if (group.length === 0) return { ours: none, shared: none }
  return yield* work(() =>
    exchange(challenge.publicValue, group.length).catch((cause: unknown) => failed(group, cause)),
  )
}

function failed({ name }: GroupFacts, cause: unknown): never {
  throw new BlockError('NOT_SUPPORTED', `authentication: this host's OpenSSL makes no key exchange in ${name}`, {
    cause,
  })
}

/** C2 and S2, which is never 0: that would mean that nothing is asked. */
function ownChallenge(
  random: (length: number) => Uint8Array,
  hash: HashFacts,
  theirs: Buffer,
): { value: Buffer; sequence: number } {
  const value = Buffer.from(random(hash.length))
  if (value.equals(theirs)) throw refused('the controller reflects our own challenge', AuthFailure.Failed)
  return { value, sequence: get32le(random(4), 0) || 1 }
}

/** The challenge, where it keeps to what was offered. */
function acceptable(
  bytes: Uint8Array,
  { hashes, groups }: Dhchap,
): { challenge: Challenge; hash: HashFacts; group: GroupFacts } {
  const challenge = readChallenge(bytes)
  if (challenge === undefined) throw refused('the challenge is cut off')
  const { hashId, groupId, hashLength, publicValue } = challenge
  const hash = hashes.find(({ id }) => id === hashId)
  if (hash === undefined)
    throw refused(`the controller chose hash ${hashId}, which was not offered`, AuthFailure.HashUnusable)
  if (hashLength !== hash.length) {
    throw refused(`the controller says that ${hash.name} has ${hashLength} bytes`, AuthFailure.HashUnusable)
  }
  const group = groups.find(({ id }) => id === groupId)
  if (group === undefined) {
    throw refused(`the controller chose group ${groupId}, which was not offered`, AuthFailure.GroupUnusable)
  }
  if (group.length === 0 && publicValue.length > 0) throw refused('a public value came, and no group was chosen')
  if (group.length > 0 && !isPublicValue(publicValue, group.length)) {
    throw refused(`the controller's public value is none of ${group.name}`)
  }
  return { challenge, hash, group }
}

function refused(what: string, explanation: AuthFailure = AuthFailure.IncorrectPayload): Refusal {
  return new Refusal('PROTOCOL', explanation, `authentication: ${what}`)
}

/** Throws unless `bytes` is that message of this transaction. */
function expectMessage(bytes: Uint8Array, message: number, transaction: number): void {
  const head = headOf(bytes)
  if (head?.message === AuthMessage.Failure1) {
    const why = failureWords(explanationIn(bytes))
    throw new BlockError('DENIED', `authentication: the controller refuses this host: ${why}`)
  }
  if (head?.message === message && head.transaction === transaction) return
  const got = head === undefined ? `${bytes.length} bytes` : `message ${head.message.toString(16).padStart(4, '0')}h`
  const whose = head?.message === message ? ' of another transaction' : ''
  throw new BlockError(
    'PROTOCOL',
    `authentication: ${got}${whose} came where message ${message.toString(16).padStart(4, '0')}h had to`,
  )
}

/** Says why to the controller, which ends the association then: what it answers does not matter. */
function* giveUp(transaction: number, explanation: AuthFailure): Procedure<void> {
  try {
    yield* sendMessage(failure2Message(transaction, explanation))
  } catch {
    // The error that led here is the one to tell.
  }
}

function* sendMessage(message: Uint8Array): Procedure<void> {
  yield* demand('Authentication Send', authenticationSend(message))
}

function* receiveMessage(): Procedure<Uint8Array> {
  return (yield* demand('Authentication Receive', authenticationReceive(MOST))).data
}
