import type { Clock, CommandOptions, IoStatus } from '@blockbraid/core'
import { BlockError, Errno, OK, PATH_ERROR } from '@blockbraid/core'
import type { ScsiCommand } from '../../scsi/cdb.ts'
import { setTargetPortGroups } from '../../scsi/cdb.ts'
import type { ScsiAnswer } from '../../scsi/command-set.ts'
import { checkScsi } from '../../scsi/send.ts'
import { decodeSense } from '../../scsi/sense.ts'
import { Action, isNews, judge, News, ScsiStatus } from '../../scsi/status.ts'
import type { Failed } from './command-troubles.ts'
import { aboutRange, severityOf } from './command-troubles.ts'
import type { Review } from './review.ts'

/** What the commands of a path that are no plain I/O need of it. */
export interface CommandHost {
  readonly clock: Clock
  isOpen(): boolean
  /** Why it is not open. */
  closedError(): BlockError
  /** Sends one command that may change data, and resolves to its answer, whatever the status. */
  call(command: ScsiCommand, timeout: number, signal?: AbortSignal): Promise<ScsiAnswer>
  /** A command had no good answer; `status` says what becomes of its Io. */
  failed(failed: Failed, status: IoStatus): void
}

/** How a command ends whose path has failed. */
export const CUT: IoStatus = Errno.EIO | PATH_ERROR

const MAX_CDB = 16
const MOST_DATA = 0x100_0000
const MODE_SELECT_6 = 0x15
const MODE_SELECT_10 = 0x55
const RANGE_PAUSE = 250
/** How often a command is sent again at once. */
export const MAX_RETRIES = 5

/** Sends a command of a trim or a zeroing until it has an answer that stands; resolves to how it ended. */
export async function sendRange(path: CommandHost, review: Review, command: ScsiCommand): Promise<IoStatus> {
  for (let tries = 1; ; tries++) {
    // What the path leads to must be known before anything is sent.
    await review.settled()
    if (!path.isOpen()) return CUT
    let answer: ScsiAnswer
    try {
      // However long it takes: whoever uses the path knows how long it may, and closes it.
      answer = await path.call(command, Infinity)
    } catch {
      return CUT
    }
    const sense = decodeSense(answer.sense)
    const verdict = judge(answer.status, sense)
    review.hear(verdict.news, answer.sense)
    const { status, text: kind } = verdict
    if (status !== OK && !isNews(verdict, sense)) {
      path.failed({ kind, severity: severityOf(status), ...aboutRange(command), sense }, status)
    }
    if (verdict.status === OK || verdict.action === Action.None || tries > MAX_RETRIES) {
      await review.settled()
      return path.isOpen() ? verdict.status : CUT
    }
    await new Promise<void>((resolve) => {
      path.clock.after(verdict.action === Action.Retry ? 0 : RANGE_PAUSE, resolve)
    })
  }
}

/**
 * Sends a command that a user has made, once. Rejects with NOT_SUPPORTED for a command descriptor block of more than
 * 16 bytes, which would need an additional header segment (RFC 7143 §11.2.2.3).
 */
export async function sendByHand(
  path: CommandHost,
  review: Review,
  cdb: Uint8Array,
  data: Uint8Array | number,
  { signal, timeout = 30_000 }: CommandOptions,
): Promise<ScsiAnswer> {
  if (!path.isOpen()) throw path.closedError()
  checkScsi(cdb, data)
  if (typeof data === 'number' && data > MOST_DATA) {
    throw new TypeError(`data is ${data}; it must be bytes to send, or how many to receive, at most 16 MiB`)
  }
  if (cdb.length > MAX_CDB) {
    throw new BlockError('NOT_SUPPORTED', `cdb has ${cdb.length} bytes; over iSCSI no more than ${MAX_CDB} are sent`)
  }
  await review.settled()
  if (!path.isOpen()) throw path.closedError()
  // What any command may do is not known here.
  const answer = await path.call({ cdb, data }, timeout, signal)
  if (answer.status !== ScsiStatus.Good) review.hear(judge(answer.status, decodeSense(answer.sense)).news, answer.sense)
  // What a command changes is told to every nexus but the one that it came through (SPC-5, MODE SELECT).
  else if (cdb[0] === MODE_SELECT_6 || cdb[0] === MODE_SELECT_10) review.hear(News.Capacity)
  return answer
}

/** Asks that the port group of the path becomes active / optimized (SPC-5, SET TARGET PORT GROUPS). */
export async function activate(
  path: CommandHost,
  review: Review,
  name: string,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!path.isOpen()) throw path.closedError()
  const { portGroup } = review.identity.port
  if (portGroup === undefined) throw new BlockError('NOT_SUPPORTED', `${name} does not tell its port group`)
  const command = setTargetPortGroups([{ group: portGroup, state: 0 }])
  for (let tries = 1; ; tries++) {
    const answer = await path.call(command, timeout, signal)
    const verdict = judge(answer.status, decodeSense(answer.sense))
    review.hear(verdict.news, answer.sense)
    if (verdict.status === OK) break
    if (verdict.action !== Action.Retry || tries > MAX_RETRIES) {
      throw new BlockError('IO_FAILED', `SET TARGET PORT GROUPS: ${verdict.text}`)
    }
  }
  review.hear(News.Access)
}
