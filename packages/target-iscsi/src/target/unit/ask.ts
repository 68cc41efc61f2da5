import { BlockError } from '@blockbraid/core'
import type { ScsiCommand } from '../../scsi/cdb.ts'
import type { Lun } from '../../scsi/lun.ts'
import type { Sense } from '../../scsi/sense.ts'
import { decodeSense } from '../../scsi/sense.ts'
import { senseInWords } from '../../scsi/sense-words.ts'
import type { Verdict } from '../../scsi/status.ts'
import { Action, judge, ScsiStatus } from '../../scsi/status.ts'
import type { CallOptions } from '../../session/call.ts'
import { call } from '../../session/call.ts'
import type { Session } from '../../session/session.ts'

/** Hears of {@link News}, and of the sense data that they came in. */
export type NewsListener = (news: number, sense: Uint8Array) => void

/** Whom to ask. */
export interface Asker {
  readonly session: Session
  /** Whose commands they are. */
  readonly owner: object
  readonly lun: Lun
  readonly options: Omit<CallOptions, 'changes' | 'patience' | 'decides'>
  /**
   * Whether a path is opened by it: the logical unit may be slow where others are not, and where the session answers
   * nothing at all, another one is needed. @defaultValue false
   */
  readonly opens?: boolean
  /** Hears of each answer. */
  readonly onAnswer?: (() => void) | undefined
  /** Hears of the news that came with a status, once per answer. @defaultValue `tell` */
  readonly onNews?: NewsListener
}

const MAX_TRIES = 12
const PAUSE = 100
const ILLEGAL_REQUEST = 5

/** An error that the device server answered with, and what it means. */
export class ScsiError extends BlockError {
  readonly verdict: Verdict
  /** Whether the device server does not know the command or a field of it. */
  readonly notSupported: boolean
  readonly sense: Sense | undefined

  constructor(what: string, verdict: Verdict, sense: Sense | undefined) {
    const detail = sense === undefined ? '' : `: ${senseInWords(sense)}`
    super('IO_FAILED', `${what}: ${verdict.text}${detail}`)
    this.verdict = verdict
    this.sense = sense
    this.notSupported = sense?.key === ILLEGAL_REQUEST && sense.asc !== 0x25
  }
}

/** Lets the paths of a session hear what was told to somebody else: each piece of news is told once per nexus. */
export function tell(session: Session, lun: Lun, sense: Uint8Array): void {
  for (const listener of [...session.listeners]) listener.event(lun.high, lun.low, sense)
}

/**
 * Sends a command that changes nothing until it has an answer that stands: unit attentions are taken,
 * a busy device is asked again. Rejects with a ScsiError, or as `call` does.
 */
export async function ask(asker: Asker, what: string, command: ScsiCommand): Promise<Uint8Array> {
  const { session, owner, lun, options } = asker
  const onNews = asker.onNews ?? ((_news, sense) => tell(session, lun, sense))
  for (let tries = 1; ; tries++) {
    const asked = options.clock.now()
    const decides = asker.opens === true
    const patience = decides || isSlow(asker) ? 'unit' : 'session'
    const answer = await call(session, owner, lun, command, { ...options, patience, decides, changes: false })
    const { status, sense: bytes, data } = answer
    noteTime(asker, options.clock.now() - asked)
    asker.onAnswer?.()
    if (status === ScsiStatus.Good) return data
    const sense = decodeSense(bytes)
    const verdict = judge(status, sense)
    if (verdict.status === 0) return data
    if (verdict.news !== 0) onNews(verdict.news, bytes)
    if (verdict.action === Action.None || tries === MAX_TRIES) throw new ScsiError(what, verdict, sense)
    if (verdict.action === Action.RetryLater) await pause(asker)
  }
}

// How long the last answer of a logical unit took, µs.
const took = new WeakMap<Session, Map<string, number>>()
// µs.
const SLOW = 1_000_000

function isSlow({ session, lun }: Asker): boolean {
  return (took.get(session)?.get(lun.name) ?? 0) > SLOW
}

function noteTime({ session, lun }: Asker, time: number): void {
  const times = took.get(session) ?? new Map<string, number>()
  took.set(session, times.set(lun.name, time))
}

/** Asks one after the other; all that is left at once where the storage takes long to answer. */
export async function askAll<const Questions extends readonly (() => Promise<unknown>)[]>(
  asker: Asker,
  questions: Questions,
): Promise<{ -readonly [Index in keyof Questions]: Awaited<ReturnType<Questions[Index]>> }> {
  const answers: unknown[] = []
  while (answers.length < questions.length) {
    const now = questions.slice(answers.length, isSlow(asker) ? undefined : answers.length + 1)
    answers.push(...(await Promise.all(now.map((question) => question()))))
  }
  return answers as { -readonly [Index in keyof Questions]: Awaited<ReturnType<Questions[Index]>> }
}

/** As `ask`; undefined where the device server does not support the command. */
export async function askIfKnown(asker: Asker, what: string, command: ScsiCommand): Promise<Uint8Array | undefined> {
  try {
    return await ask(asker, what, command)
  } catch (error) {
    if (error instanceof ScsiError && error.notSupported) return undefined
    throw error
  }
}

function pause({ options }: Asker): Promise<void> {
  return new Promise((resolve) => {
    options.clock.after(PAUSE, resolve)
  })
}
