import { get16le, put32le } from '@blockbraid/wire'
import type { Completion, Procedure } from './procedure.ts'
import { SQE_LENGTH, submit } from './procedure.ts'

/** One life of a controller, from one connect to its end: what a cross-controller reset names. */
export interface ControllerInstance {
  /** CNTLID. */
  readonly id: number
  /** Controller Instance Uniquifier (CIU). */
  readonly instance: number
  /** Controller Instance Random Number (CIRN), 16 hex digits. */
  readonly instanceRandom: string
}

/** What came of the command itself. */
export type ResetAnswer =
  /** The instance is gone: nothing that was sent to it can change data any more. */
  | 'done'
  /** The log will tell. */
  | 'begun'
  /** Not now: the controller resets as many as it can, or another host's command resets that one. */
  | 'busy'
  /** Ended resets have to be taken out of the log first. */
  | 'full'
  /** Not by this controller, and not later. */
  | 'refused'
  /** It failed, for a reason that may pass. */
  | 'failed'

/** How a reset stands, as the log tells. */
export interface LoggedReset {
  readonly id: number
  readonly instance: number
  readonly state: 'under way' | 'done' | 'failed'
}

const CROSS_RESET = 0x38
const GET_LOG_PAGE = 0x02
const RESET_LOG = 0x1e
const REMOVE_ENDED = 1 << 8

const HEADER = 8
const ENTRY = 8
// More entries than a controller may have to keep: CCRL is one byte.
const LOG_LENGTH = HEADER + 256 * ENTRY

const STATUS = 0x7ff
const DO_NOT_RETRY = 1 << 14
const Status = { InvalidOpcode: 0x001, InvalidField: 0x002, InProgress: 0x13f, LogFull: 0x140, TooMany: 0x141 }

/** No random number: the controller cannot be named. */
const NAMELESS = '0'.repeat(16)

/** Whether a controller told what a cross-controller reset names it by. */
export function isNamed({ instanceRandom }: ControllerInstance): boolean {
  return instanceRandom !== NAMELESS
}

/** Has a controller reset another one of its subsystem (NVMe Base 2.3, Cross-Controller Reset). */
export function* resetOther({ id, instance, instanceRandom }: ControllerInstance): Procedure<ResetAnswer> {
  const sqe = Buffer.alloc(SQE_LENGTH)
  sqe[0] = CROSS_RESET
  put32le(sqe, 40, id | (instance << 16))
  put32le(sqe, 48, Number.parseInt(instanceRandom.slice(8), 16))
  put32le(sqe, 52, Number.parseInt(instanceRandom.slice(0, 8), 16))
  return answerOf(yield* submit({ sqe, data: 0 }))
}

/** Only what says so is the end of an instance. */
function answerOf({ status, result }: Completion): ResetAnswer {
  if (status === 0) return (result & 1) === 1 ? 'done' : 'begun'
  const code = status & STATUS
  if (code === Status.InProgress || code === Status.TooMany) return 'busy'
  if (code === Status.LogFull) return 'full'
  const final = (status & DO_NOT_RETRY) !== 0 || code === Status.InvalidOpcode || code === Status.InvalidField
  return final ? 'refused' : 'failed'
}

/** Reads how the resets stand that this controller was asked for, and takes those that have ended out of its log. */
export function* readResets(): Procedure<readonly LoggedReset[] | undefined> {
  const sqe = Buffer.alloc(SQE_LENGTH)
  sqe[0] = GET_LOG_PAGE
  const dwords = LOG_LENGTH / 4 - 1
  put32le(sqe, 40, RESET_LOG | REMOVE_ENDED | (dwords << 16))
  const { status, data } = yield* submit({ sqe, data: LOG_LENGTH })
  return status === 0 ? parseResets(data) : undefined
}

const states = ['under way', 'done', 'failed'] as const

/** Reads the log, as much of it as came; an entry in an unknown state is left out. */
export function parseResets(log: Uint8Array): readonly LoggedReset[] {
  if (log.length < HEADER) return []
  const count = Math.min(get16le(log, 0), Math.floor((log.length - HEADER) / ENTRY))
  return Array.from({ length: count }, (_, index) => HEADER + index * ENTRY).flatMap((at) => {
    const state = states[log[at + 6] as number]
    return state === undefined ? [] : [{ id: get16le(log, at), instance: log[at + 2] as number, state }]
  })
}
