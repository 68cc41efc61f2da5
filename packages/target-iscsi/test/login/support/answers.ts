import type { LoginOptions, LoginResult, LoginStep } from '../../../src/login/login.ts'
import { Login } from '../../../src/login/login.ts'
import { encodeText, parseText } from '../../../src/login/text.ts'

export const isid = Uint8Array.of(0x80, 1, 2, 3, 4, 5)

/** Options of a normal session without CHAP. */
export const plain: LoginOptions = {
  initiatorName: 'iqn.2026-11.io.blockbraid:test',
  targetName: 'iqn.2026-11.test:target',
  isid,
  chap: undefined,
  headerDigest: ['None'],
  dataDigest: ['None'],
  immediateData: true,
  initialR2T: false,
  firstBurstLength: 262_144,
  maxBurstLength: 1_048_576,
  maxRecvDataSegmentLength: 262_144,
  maxOutstandingR2T: 1,
  random: (length) => new Uint8Array(length).fill(0xa5),
}

/** What a Login Request says, taken apart by offsets of RFC 7143 §11.12, apart from the code under test. */
export interface Request {
  stage: number
  next: number
  transit: boolean
  more: boolean
  isid: Buffer
  tsih: number
  itt: number
  cid: number
  cmdSn: number
  expStatSn: number
  text: Buffer
  /** The pairs of the text; throws where it is a piece of a longer one. */
  readonly keys: Map<string, string>
}

export function readRequest(pdu: Buffer): Request {
  const length = pdu.readUIntBE(5, 3)
  const flags = pdu[1]!
  const text = pdu.subarray(48, 48 + length)
  if (pdu[0] !== 0x43) throw new Error(`opcode byte ${pdu[0]}`)
  if (pdu.readUInt16BE(2) !== 0 || pdu[4] !== 0) throw new Error('version or AHS')
  if (pdu.length !== 48 + Math.ceil(length / 4) * 4) throw new Error(`PDU of ${pdu.length} bytes, text of ${length}`)
  if (pdu.subarray(48 + length).some((byte) => byte !== 0)) throw new Error('padding is not zero')
  return {
    stage: (flags >> 2) & 3,
    next: flags & 3,
    transit: (flags & 0x80) !== 0,
    more: (flags & 0x40) !== 0,
    isid: pdu.subarray(8, 14),
    tsih: pdu.readUInt16BE(14),
    itt: pdu.readUInt32BE(16),
    cid: pdu.readUInt16BE(20),
    cmdSn: pdu.readUInt32BE(24),
    expStatSn: pdu.readUInt32BE(28),
    text,
    get keys() {
      return parseText(text)
    },
  }
}

/** What a Login Response says; left out: stage as asked, no transit, success. */
export interface Answer {
  stage?: number
  /** Sets the T bit. */
  next?: number
  more?: boolean
  /** Class and detail. */
  status?: number
  opcode?: number
  version?: number
  isid?: Uint8Array
  itt?: number
  tsih?: number
  statSn?: number
  expCmdSn?: number
  maxCmdSn?: number
  text?: Record<string, string> | Uint8Array
  /** Overrides the length of the text in the header. */
  length?: number
}

export function encodeAnswer(answer: Answer, request: Request): [bhs: Buffer, data: Buffer] {
  const { text = {} } = answer
  const data = text instanceof Uint8Array ? Buffer.from(text) : encodeText(Object.entries(text))
  const bhs = Buffer.alloc(48)
  bhs[0] = answer.opcode ?? 0x23
  bhs[1] =
    (answer.next === undefined ? 0 : 0x80 | answer.next) |
    (answer.more ? 0x40 : 0) |
    ((answer.stage ?? request.stage) << 2)
  bhs[3] = answer.version ?? 0
  bhs.writeUIntBE(answer.length ?? data.length, 5, 3)
  bhs.set(answer.isid ?? request.isid, 8)
  bhs.writeUInt16BE(answer.tsih ?? (answer.next === 3 ? 0x1234 : 0), 14)
  bhs.writeUInt32BE(answer.itt ?? request.itt, 16)
  bhs.writeUInt32BE(answer.statSn ?? 1000, 24)
  bhs.writeUInt32BE(answer.expCmdSn ?? request.cmdSn, 28)
  bhs.writeUInt32BE(answer.maxCmdSn ?? request.cmdSn + 63, 32)
  bhs.writeUInt16BE(answer.status ?? 0, 36)
  return [bhs, data]
}

/** One answer of a script, or what makes one of the request. */
export type Line = Answer | ((request: Request) => Answer)

/** What a scripted login came to. */
export interface Played {
  requests: Request[]
  /** The last step. */
  step: LoginStep
}

/** Plays `script` as the target's side of a login. Throws what the login throws. */
export function play(options: Partial<LoginOptions>, script: readonly Line[]): Played {
  const login = new Login({ ...plain, ...options })
  const requests = [readRequest(login.start())]
  let step: LoginStep | undefined
  for (const line of script) {
    if (step !== undefined && step.kind !== 'send') throw new Error(`the login ended early: ${step.kind}`)
    const request = requests.at(-1)!
    step = login.receive(...encodeAnswer(typeof line === 'function' ? line(request) : line, request))
    if (step.kind === 'send') requests.push(readRequest(step.pdu))
  }
  return { requests, step: step! }
}

/** Like {@link play}, for a script that ends in full feature phase. */
export function playDone(options: Partial<LoginOptions>, script: readonly Line[]): Played & { result: LoginResult } {
  const played = play(options, script)
  if (played.step.kind !== 'done') throw new Error(`the login did not end: ${played.step.kind}`)
  return { ...played, result: played.step.result }
}

/** The security stage of a target that wants no authentication. */
export const noAuth: Answer = { next: 1, text: { AuthMethod: 'None', TargetPortalGroupTag: '1' } }

/** Agrees to all that the initiator proposes, except for `changes`; undefined leaves a key unanswered. */
export function agree(changes: Record<string, string | undefined> = {}): (request: Request) => Answer {
  return ({ keys }) => {
    const text: Record<string, string> = {}
    for (const [key, value] of keys) {
      if (key === 'MaxRecvDataSegmentLength') continue
      text[key] = value.split(',')[0]!
    }
    for (const [key, value] of Object.entries(changes)) {
      if (value === undefined) delete text[key]
      else text[key] = value
    }
    return { next: 3, text }
  }
}
