import { BlockError } from '@blockbraid/core'
import { parseTargetAddress } from './address.ts'
import type { Auth } from './auth.ts'
import { createAuth, isSecurityKey } from './auth.ts'
import type { ChapAlgorithm, ChapOptions } from './chap.ts'
import { createChap } from './chap.ts'
import type { OperationalKeys, OperationalOptions, OperationalResult } from './keys.ts'
import { createOperationalKeys } from './keys.ts'
import type { LoginResponse } from './pdu.ts'
import { encodeLoginRequest, firstCmdSn, readLoginResponse, Stage } from './pdu.ts'
import { loginRefused } from './status.ts'
import { encodeText, parseText, shown, splitText } from './text.ts'

/** What a {@link Login} asks for. */
export interface LoginOptions extends OperationalOptions {
  readonly initiatorName: string
  /** Left undefined: a discovery session. */
  readonly targetName: string | undefined
  /** 6 bytes. */
  readonly isid: Uint8Array
  readonly chap: ChapOptions | undefined
  /** Random bytes, for the challenge of mutual CHAP. */
  readonly random: (length: number) => Uint8Array
}

/** A session that has reached full feature phase. */
export interface LoginResult extends OperationalResult {
  /** The target's handle of the session, never 0. */
  readonly tsih: number
  /** ExpStatSN of the next PDU that we send. */
  readonly statSn: number
  /** CmdSN of the next command that we send. */
  readonly cmdSn: number
  readonly expCmdSn: number
  readonly maxCmdSn: number
}

/** What to do after an answer; `address` is `host[:port][,tag]`, well formed, as {@link parseTargetAddress} reads it. */
export type LoginStep =
  | { readonly kind: 'send'; readonly pdu: Buffer }
  | { readonly kind: 'done'; readonly result: LoginResult }
  | { readonly kind: 'moved'; readonly address: string; readonly permanent: boolean }

/** Longest text of one request, bytes: what a target takes during login (RFC 7143 §13.12). */
const maxText = 8192
/** Text that we take from the target in one login, bytes. */
const maxTextTotal = 65_536
/** Answers that we take in one login. */
const maxExchanges = 32

const none = Buffer.alloc(0)

/**
 * The initiator's side of the leading login of a session (RFC 7143 §6.3): bytes in, bytes out. Used once.
 * Errors: DENIED (credentials), NOT_FOUND (no such target), CONNECT_FAILED (the target cannot serve now),
 * NOT_SUPPORTED (version, session type, digest), PROTOCOL. No error and no property holds a secret.
 */
export class Login {
  readonly #name: string
  readonly #isid: Uint8Array
  readonly #auth: Auth
  readonly #keys: OperationalKeys
  readonly #hello: [string, string][]
  readonly #noDigests: boolean
  #waiting = false
  #stage: Stage = Stage.Security
  /** The stage that the last request was willing to go on to. */
  #asked: Stage | undefined
  #expStatSn = 0
  #exchanges = 0
  /** Text that the target continues, and its length together with all before. */
  #parts: Uint8Array[] = []
  #taken = 0
  /** What is left of a text longer than one request. */
  #unsent: Buffer = none

  /** Throws a TypeError for options that cannot be right. */
  constructor(options: LoginOptions) {
    const { initiatorName, targetName, isid, chap, random } = options
    this.#name = initiatorName
    if (isid.length !== 6) throw new TypeError(`isid: ${isid.length} bytes, not 6`)
    this.#isid = Uint8Array.from(isid)
    this.#auth = createAuth(chap === undefined ? undefined : createChap(chap, random))
    this.#keys = createOperationalKeys(options, targetName === undefined)
    const plain = [options.headerDigest, options.dataDigest].every((digests) => digests.join() === 'None')
    this.#noDigests = plain && targetName !== undefined
    this.#hello = [
      ['InitiatorName', initiatorName],
      ['SessionType', targetName === undefined ? 'Discovery' : 'Normal'],
      ...(targetName === undefined ? [] : [['TargetName', targetName] as [string, string]]),
      ['AuthMethod', this.#auth.offer],
    ]
  }

  /** The hash that CHAP agreed on, if any. */
  get chapAlgorithm(): ChapAlgorithm | undefined {
    return this.#auth.algorithm()
  }

  /** Whether the target has an offer of algorithms and has chosen none. */
  get choosesAlgorithm(): boolean {
    return this.#stage === Stage.Security && this.#auth.choosing()
  }

  /** What may be the cause where the target ends the login now, for messages; mostly an empty text. */
  get hint(): string {
    const may = this.#stage === Stage.Operational && this.#noDigests
    return may ? '; where the target insists on digests, set headerDigest and dataDigest to prefer' : ''
  }

  /** The first request. */
  start(): Buffer {
    this.#waiting = true
    return this.#request(this.#hello)
  }

  /** Takes the answer to the last request; `data` with or without padding. After a throw the login is over. */
  receive(bhs: Uint8Array, data: Uint8Array): LoginStep {
    if (!this.#waiting) throw new BlockError('PROTOCOL', 'an answer to a login, and no request is open')
    this.#waiting = false
    const response = readLoginResponse(bhs, data, this.#isid)
    this.#checkLimits(response)
    if (response.statusClass === 1) return redirect(response)
    if (response.statusClass !== 0) {
      const answered = this.chapAlgorithm !== undefined && this.#stage === Stage.Security
      const { code, message } = loginRefused(
        response.statusClass,
        response.statusDetail,
        this.#auth.describe(),
        answered,
        this.#name,
      )
      throw new BlockError(code, code === 'DENIED' || code === 'NOT_FOUND' ? message : `${message}${this.hint}`)
    }
    this.#checkStage(response)
    this.#expStatSn = (response.statSn + 1) >>> 0
    const step = this.#take(response)
    this.#waiting = step.kind === 'send'
    return step
  }

  #checkLimits({ text }: LoginResponse): void {
    this.#exchanges++
    if (this.#exchanges > maxExchanges) {
      throw new BlockError('PROTOCOL', `the target does not end the login within ${maxExchanges} exchanges`)
    }
    this.#taken += text.length
    if (this.#taken > maxTextTotal) {
      throw new BlockError('PROTOCOL', `the target sends more than ${maxTextTotal} bytes of text during login`)
    }
  }

  #checkStage({ stage, transit, next, more }: LoginResponse): void {
    if (stage !== this.#stage) {
      throw new BlockError('PROTOCOL', `the target answers in stage ${stage} of the login, not in ${this.#stage}`)
    }
    if (!transit) return
    if (more) throw new BlockError('PROTOCOL', 'the target leaves a stage of the login with text still to come')
    if (next !== this.#asked) {
      throw new BlockError('PROTOCOL', `the target goes on to stage ${next} of the login, unasked`)
    }
  }

  #take(response: LoginResponse): LoginStep {
    if (this.#unsent.length > 0) {
      if (response.text.length > 0) throw new BlockError('PROTOCOL', 'the target answers text that is not whole yet')
      return { kind: 'send', pdu: this.#sendText(this.#unsent) }
    }
    this.#parts.push(Uint8Array.from(response.text)) // the caller may use its buffer again
    if (response.more) return { kind: 'send', pdu: this.#send(none, this.#asked, false) }
    const text = Buffer.concat(this.#parts)
    this.#parts = []
    const answers = this.#negotiate(parseText(text))
    if (!response.transit) return { kind: 'send', pdu: this.#request(answers) }
    if (this.#stage === Stage.Security) {
      this.#auth.finish()
      this.#stage = Stage.Operational
      return { kind: 'send', pdu: this.#request([...answers, ...this.#keys.offer()]) }
    }
    if (answers.length > 0) {
      throw new BlockError('PROTOCOL', `the target ends the login and still asks for ${shown(answers[0]![0])}`)
    }
    return { kind: 'done', result: this.#result(response) }
  }

  /** Takes the target's keys, gives our answers. */
  #negotiate(keys: Map<string, string>): [string, string][] {
    const security = new Map<string, string>()
    const answers: [string, string][] = []
    for (const [key, value] of keys) {
      if (isSecurityKey(key)) {
        security.set(key, value)
        continue
      }
      const answer = this.#keys.take(key, value)
      if (answer !== undefined) answers.push(answer)
    }
    return [...this.#auth.step(security), ...answers]
  }

  #result({ tsih, expCmdSn, maxCmdSn }: LoginResponse): LoginResult {
    if (tsih === 0)
      throw new BlockError('PROTOCOL', 'the target ends the login and gives the session no handle (TSIH 0)')
    const numbers = { tsih, statSn: this.#expStatSn, cmdSn: firstCmdSn, expCmdSn, maxCmdSn }
    return { ...numbers, ...this.#keys.result() }
  }

  #request(pairs: [string, string][]): Buffer {
    return this.#sendText(encodeText(pairs))
  }

  #sendText(text: Buffer): Buffer {
    this.#unsent = text.subarray(maxText)
    const more = this.#unsent.length > 0
    return this.#send(text.subarray(0, maxText), more ? undefined : this.#next(), more)
  }

  /** The stage that we are willing to go on to. */
  #next(): Stage | undefined {
    if (this.#stage === Stage.Operational) return Stage.FullFeature
    return this.#auth.ready() ? Stage.Operational : undefined
  }

  #send(text: Uint8Array, next: Stage | undefined, more: boolean): Buffer {
    this.#asked = next
    return encodeLoginRequest({
      isid: this.#isid,
      stage: this.#stage,
      next,
      more,
      expStatSn: this.#expStatSn,
      text,
    })
  }
}

/** RFC 7143 §11.13.5: the target has moved; the first address counts. */
function redirect({ statusDetail, text }: LoginResponse): LoginStep {
  if (statusDetail !== 1 && statusDetail !== 2) {
    throw new BlockError('PROTOCOL', `the target has moved, in an unknown way (status 0x01${hexByte(statusDetail)})`)
  }
  const address = splitText(text).find(([key]) => key === 'TargetAddress')?.[1]
  if (address === undefined) throw new BlockError('PROTOCOL', 'the target has moved and does not say where')
  if (parseTargetAddress(address) === undefined) {
    throw new BlockError('PROTOCOL', `the target has moved to the bad address ${shown(address)}`)
  }
  return { kind: 'moved', address, permanent: statusDetail === 2 }
}

function hexByte(value: number): string {
  return value.toString(16).padStart(2, '0')
}
