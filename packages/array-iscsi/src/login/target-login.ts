import { get16, get32, put16, put32 } from '@blockbraid/wire'
import { BHS, PduOpcode } from '../pdu/opcodes.ts'
import { encodeText, MAX_TEXT, parseText } from '../pdu/text.ts'
import type { IscsiChap } from './chap.ts'
import type { Agreed, TargetKeys } from './keys.ts'
import { declarations, operationalKeys } from './keys.ts'
import { Negotiation } from './negotiation.ts'
import { Proof } from './proof.ts'
import { LoginStatus } from './status.ts'

/** What a login needs to know of its target. */
export interface LoginContext {
  readonly targetName: string
  readonly targetAlias: string
  readonly portalGroup: number
  readonly keys: TargetKeys
  readonly chap: IscsiChap | undefined
  /** Whether a discovery session must prove itself too. */
  readonly discoveryChap: boolean
  /** Bytes of text in one response; more goes into further ones. */
  readonly segment: number
  /** Never lets a login end. */
  readonly endless: boolean
  /** Status that every login ends with, and an address where it is a move; 0: none. */
  verdict(login: TargetLogin): { status: number; address?: string }
}

/** What to do after a request: send this PDU; `done` when it is the last one of a login that succeeded. */
export interface LoginAnswer {
  readonly header: Buffer
  readonly data: Buffer
  readonly outcome: 'more' | 'done' | 'failed'
}

const SECURITY = 0
const OPERATIONAL = 1

/** The target's side of one login (RFC 7143 §6.3, §12, §13): requests in, responses out. */
export class TargetLogin {
  readonly #context: LoginContext
  initiatorName = ''
  /** ISID as 12 hex digits. */
  isid = ''
  tsih = 0
  cid = 0
  discovery = false
  cmdSn = 0
  /** Number of the last response. */
  statSn = 0
  #first = true
  #stage = -1
  #text: Buffer[] = []
  #textLength = 0
  #pending: Buffer = Buffer.alloc(0)
  #pendingTransit = -1
  readonly #proof: Proof
  readonly #negotiation: Negotiation

  constructor(context: LoginContext) {
    this.#context = context
    this.#proof = new Proof(context.chap)
    this.#negotiation = new Negotiation(context.keys)
  }

  /** What was agreed on so far. */
  get agreed(): Agreed {
    return this.#negotiation.agreed
  }

  /** Takes a Login Request. */
  receive(bhs: Uint8Array, data: Uint8Array): LoginAnswer {
    const flags = bhs[1]!
    const stage = (flags >> 2) & 3
    const next = flags & 3
    const transit = (flags & 0x80) !== 0
    const more = (flags & 0x40) !== 0
    if (this.#first) this.#begin(bhs)
    const respond = (status: number, text: Buffer = Buffer.alloc(0), reply = 0): LoginAnswer =>
      this.#respond(bhs, status, text, reply)
    if (bhs[3]! > 0) return respond(LoginStatus.unsupportedVersion)
    const leap = this.#stage >= 0 && stage !== this.#stage
    if (stage > OPERATIONAL || leap || (transit && (next <= stage || next === 2)) || (transit && more)) {
      return respond(LoginStatus.initiatorError)
    }
    this.#stage = stage
    if (this.#context.endless) return respond(LoginStatus.success, Buffer.alloc(0), stage << 2)
    this.#textLength += data.length
    if (this.#textLength > MAX_TEXT) return respond(LoginStatus.initiatorError)
    this.#text.push(Buffer.from(data))
    if (more) return respond(LoginStatus.success, Buffer.alloc(0), stage << 2)
    if (this.#pending.length > 0) return this.#continue(bhs)
    const pairs = parseText(Buffer.concat(this.#text))
    this.#text = []
    if (pairs === undefined) return respond(LoginStatus.initiatorError)
    if (this.#first) {
      const refusal = this.#identify(pairs)
      if (refusal !== LoginStatus.success) return respond(refusal)
      const { status, address } = this.#context.verdict(this)
      if (status !== LoginStatus.success) {
        return respond(status, address === undefined ? Buffer.alloc(0) : encodeText([['TargetAddress', address]]))
      }
    }
    const answers: [string, string][] = []
    if (this.#first && !this.discovery) {
      answers.push(['TargetPortalGroupTag', String(this.#context.portalGroup)])
      if (this.#context.targetAlias !== '') answers.push(['TargetAlias', this.#context.targetAlias])
    }
    this.#first = false
    const failure = stage === SECURITY ? this.#secure(pairs, answers) : this.#operate(pairs, answers)
    if (failure !== LoginStatus.success) return respond(failure)
    const ready = transit && this.#mayLeave(stage)
    if (!ready && stage === SECURITY && transit && next > stage && answers.length === 0 && this.#needsProof) {
      return respond(LoginStatus.authenticationFailure)
    }
    return this.#send(bhs, encodeText(answers), ready ? next : -1)
  }

  get #needsProof(): boolean {
    const { chap, discoveryChap } = this.#context
    return chap !== undefined && !this.#proof.given && (!this.discovery || discoveryChap)
  }

  #begin(bhs: Uint8Array): void {
    this.isid = Buffer.from(bhs.subarray(8, 14)).toString('hex')
    this.tsih = get16(bhs, 14)
    this.cid = get16(bhs, 20)
    this.cmdSn = get32(bhs, 24)
  }

  #identify(pairs: ReadonlyMap<string, string>): number {
    const name = pairs.get('InitiatorName')
    if (name === undefined) return LoginStatus.missingParameter
    if (!/^(iqn|eui|naa)\.[\x21-\x7e]{1,219}$/.test(name)) return LoginStatus.initiatorError
    this.initiatorName = name
    const type = pairs.get('SessionType') ?? 'Normal'
    if (type !== 'Normal' && type !== 'Discovery') return LoginStatus.sessionTypeNotSupported
    this.discovery = type === 'Discovery'
    const target = pairs.get('TargetName')
    if (this.discovery) return LoginStatus.success
    if (target === undefined) return LoginStatus.missingParameter
    return target === this.#context.targetName ? LoginStatus.success : LoginStatus.notFound
  }

  #mayLeave(stage: number): boolean {
    return stage === SECURITY ? !this.#needsProof : !this.#negotiation.offered
  }

  #secure(pairs: ReadonlyMap<string, string>, answers: [string, string][]): number {
    for (const [key, value] of pairs) {
      if (declarations.has(key) || key.startsWith('CHAP_')) continue
      if (key === 'AuthMethod') {
        const wanted = this.#needsProof ? 'CHAP' : 'None'
        const offered = value.split(',')
        if (!offered.includes(wanted)) return LoginStatus.authenticationFailure
        answers.push(['AuthMethod', wanted])
      } else answers.push([key, operationalKeys[key] === undefined ? 'NotUnderstood' : 'Reject'])
    }
    return this.#proof.answer(pairs, answers) ? LoginStatus.success : LoginStatus.authenticationFailure
  }

  #operate(pairs: ReadonlyMap<string, string>, answers: [string, string][]): number {
    if (this.#needsProof) return LoginStatus.authenticationFailure
    const right = this.#negotiation.answer(pairs, this.discovery, answers)
    return right ? LoginStatus.success : LoginStatus.initiatorError
  }

  #send(bhs: Uint8Array, text: Buffer, transit: number): LoginAnswer {
    this.#pending = text
    this.#pendingTransit = transit
    return this.#continue(bhs)
  }

  #continue(bhs: Uint8Array): LoginAnswer {
    this.#text = []
    const now = this.#pending.subarray(0, this.#context.segment)
    this.#pending = this.#pending.subarray(now.length)
    const stage = this.#stage
    if (this.#pending.length > 0) return this.#respond(bhs, LoginStatus.success, now, 0x40 | (stage << 2))
    const next = this.#pendingTransit
    if (next < 0) return this.#respond(bhs, LoginStatus.success, now, stage << 2)
    this.#stage = next
    return this.#respond(bhs, LoginStatus.success, now, 0x80 | (stage << 2) | next)
  }

  #respond(bhs: Uint8Array, status: number, data: Buffer, flags: number): LoginAnswer {
    const header = Buffer.alloc(BHS)
    header[0] = PduOpcode.loginResponse
    header[1] = flags
    header.set(bhs.subarray(8, 14), 8)
    put16(header, 14, this.tsih)
    header.set(bhs.subarray(16, 20), 16)
    put32(header, 24, this.statSn++)
    put32(header, 28, this.cmdSn)
    put32(header, 32, this.cmdSn)
    put16(header, 36, status)
    const done = status === LoginStatus.success && (flags & 0x83) === 0x83
    return { header, data, outcome: status !== LoginStatus.success ? 'failed' : done ? 'done' : 'more' }
  }
}
