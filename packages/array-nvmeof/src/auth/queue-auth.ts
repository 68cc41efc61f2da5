import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { get32le, put16le, put32le } from '@blockbraid/wire'
import { type GroupName, groupId, type KeyPair, keyPair } from './groups.ts'
import { type HashName, hashId, hashLength } from './hashes.ts'
import {
  challengeMessage,
  envelopeOf,
  FromHost,
  failureMessage,
  offerIn,
  replyIn,
  successMessage,
  Why,
} from './messages.ts'
import type { AuthPlan } from './options.ts'
import type { Secret } from './secret.ts'

/** What the host may send next, or fetch. */
type Step = 'negotiate' | 'challenge' | 'reply' | 'success1' | 'success2' | 'failure1' | 'busy' | 'over'

/** DH-HMAC-CHAP on one queue, from the controller's side (NVMe Base 2.1 §8.3.5.5). */
export class QueueAuth {
  /** Whether the host has proved itself, and has taken our proof where it has asked for one. */
  authenticated = false
  readonly #plan: AuthPlan
  readonly #hostNqn: string
  readonly #subNqn: string
  #step: Step = 'negotiate'
  #why: Why = Why.Failed
  #transaction = 0
  #hash: HashName = 'sha256'
  #group: GroupName = 'null'
  #pair: KeyPair | undefined
  #challenge: Buffer = Buffer.alloc(0)
  #sequence = 0
  /** R2, where the host has asked for it. */
  #proof: Buffer | undefined

  constructor(plan: AuthPlan, hostNqn: string, subNqn: string) {
    this.#plan = plan
    this.#hostNqn = hostNqn
    this.#subNqn = subNqn
  }

  /** It has failed, and the host was told or has told us: the queue is to be ended. */
  get over(): boolean {
    return this.#step === 'over'
  }

  /** Takes the message of an Authentication Send. What is wrong with it is told when the host fetches the next one. */
  async send(message: Buffer): Promise<void> {
    if (this.over) return
    const envelope = envelopeOf(message)
    if (envelope === undefined) return this.#fail(Why.Message)
    const { id, transaction } = envelope
    if (id === FromHost.Negotiate && this.#step === 'negotiate') {
      this.#transaction = transaction
      return this.#negotiate(message)
    }
    if (transaction !== this.#transaction) return this.#fail(Why.Payload)
    if (id === FromHost.Failure2) return this.#end()
    if (id === FromHost.Reply && this.#step === 'reply') return this.#reply(message)
    if (id === FromHost.Success2 && this.#step === 'success2') return this.#succeed()
    this.#fail(Why.Message)
  }

  /** Gives the message of an Authentication Receive; undefined where it has more than `most` bytes, or none is due. */
  async receive(most: number): Promise<Buffer | undefined> {
    const step = this.#step
    if (step !== 'challenge' && step !== 'success1' && step !== 'failure1') return undefined
    // Nothing else is taken, and nothing given, while keys are made.
    this.#step = 'busy'
    const message = await this.#message(step)
    if (this.#step !== 'busy') return undefined
    if (message.length > most) {
      this.#step = step
      return undefined
    }
    if (step === 'challenge') this.#step = 'reply'
    else if (step === 'failure1') this.#end()
    else if (this.#proof === undefined) this.#succeed()
    else this.#step = 'success2'
    return message
  }

  async #message(step: 'challenge' | 'success1' | 'failure1'): Promise<Buffer> {
    if (step === 'challenge') return this.#ask()
    if (step === 'failure1') return failureMessage(this.#transaction, this.#why)
    return successMessage(this.#transaction, hashLength(this.#hash), this.#proof)
  }

  #negotiate(message: Buffer): void {
    const offer = offerIn(message)
    if (typeof offer === 'number') return this.#fail(offer)
    const hash = this.#plan.hashes.find((name) => offer.hashes.includes(hashId(name)))
    if (hash === undefined) return this.#fail(Why.Hash)
    const group = this.#plan.groups.find((name) => offer.groups.includes(groupId(name)))
    if (group === undefined) return this.#fail(Why.Group)
    this.#hash = hash
    this.#group = group
    this.#challenge = randomBytes(hashLength(hash))
    this.#sequence = get32le(randomBytes(4), 0) || 1
    this.#proof = undefined
    this.#pair = undefined
    this.#step = 'challenge'
  }

  async #ask(): Promise<Buffer> {
    if (this.#group !== 'null') this.#pair ??= await keyPair(this.#group)
    const chosen = { hash: hashId(this.#hash), group: groupId(this.#group), sequence: this.#sequence }
    return challengeMessage(this.#transaction, chosen, this.#challenge, this.#pair?.value ?? Buffer.alloc(0))
  }

  async #reply(message: Buffer): Promise<void> {
    const reply = replyIn(message, hashLength(this.#hash))
    if (reply === undefined) return this.#fail(Why.Payload)
    this.#step = 'busy'
    const shared = this.#pair === undefined ? undefined : await this.#pair.agree(reply.value)
    if (this.#step !== 'busy') return
    if ((shared === undefined) !== (reply.value.length === 0)) return this.#fail(Why.Payload)
    const secret = this.#plan.hosts.get(this.#hostNqn)
    const names = [this.#hostNqn, this.#subNqn] as const
    if (secret === undefined) return this.#fail(Why.Failed)
    const right = this.#response(secret, 'HostHost', names, this.#challenge, this.#sequence, shared)
    if (!timingSafeEqual(right, reply.response)) return this.#fail(Why.Failed)
    if (reply.challenge !== undefined) {
      const { controller } = this.#plan
      if (controller === undefined || reply.challenge.equals(this.#challenge)) return this.#fail(Why.Failed)
      const turned = [this.#subNqn, this.#hostNqn] as const
      this.#proof = this.#response(controller, 'Controller', turned, reply.challenge, reply.sequence, shared)
    }
    this.#step = 'success1'
  }

  #response(
    secret: Secret,
    role: string,
    [from, to]: readonly [string, string],
    challenge: Buffer,
    sequence: number,
    shared: Buffer | undefined,
  ): Buffer {
    const hash = this.#hash
    const grown =
      shared === undefined
        ? challenge
        : createHmac(hash, createHash(hash).update(shared).digest()).update(challenge).digest()
    const text = Buffer.from(`......\0${role}${from}\0${to}`)
    put32le(text, 0, sequence)
    put16le(text, 4, this.#transaction)
    return createHmac(hash, secret(from)).update(grown).update(text).digest()
  }

  #succeed(): void {
    this.authenticated = true
    this.#step = 'negotiate'
  }

  #fail(why: Why): void {
    this.authenticated = false
    this.#why = why
    this.#step = 'failure1'
  }

  #end(): void {
    this.authenticated = false
    this.#step = 'over'
  }
}
