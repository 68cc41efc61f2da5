import type { IoStatus } from '@blockbraid/core'
import { Errno, NOT_EXECUTED, OK, PATH_ERROR } from '@blockbraid/core'
import type { Sense } from './sense.ts'

/** What to do with a command that ended this way. */
export const Action = {
  /** It is done, with the status of the verdict. */
  None: 0,
  /** Send it again at once, a few times at most; after what the news ask for, where that is an identity check. */
  Retry: 1,
  /** Send it again after a pause, for a bounded time. */
  RetryLater: 2,
} as const

/** One of {@link Action}. */
export type Action = (typeof Action)[keyof typeof Action]

/** News that came with a status: bits. */
export const News = {
  /** The access state must be read again. */
  Access: 1,
  /** Size, mode pages and limits must be read again. */
  Capacity: 2,
  /** Logical units came or went. */
  Luns: 4,
  /** The identity must be checked again before anything else is sent. */
  Identity: 8,
  /** The logical unit was reset: what was in flight there may be lost, and what was cached if it `losesCache`. */
  Reset: 16,
  /** A write that was acknowledged earlier failed: the next flush must not succeed. */
  WriteLost: 32,
} as const

/** What a status and its sense data mean. */
export interface Verdict {
  /** For the Io when the action is None, or when its retries are used up. */
  readonly status: IoStatus
  /** What to do with the command. */
  readonly action: Action
  /** Bits of {@link News}. */
  readonly news: number
  /** For people. */
  readonly text: string
}

/** Status codes (SAM-5 §5.3.1). */
export const ScsiStatus = {
  /** The command succeeded. */
  Good: 0x00,
  /** Sense data tells what happened. */
  CheckCondition: 0x02,
  /** Success of a command that tests a condition, such as PRE-FETCH. */
  ConditionMet: 0x04,
  /** The logical unit cannot take the command now. */
  Busy: 0x08,
  /** A reservation of another host forbids the command. */
  ReservationConflict: 0x18,
  /** The logical unit has no room for one more command. */
  TaskSetFull: 0x28,
  /** An auto contingent allegiance (ACA) keeps the command out. */
  AcaActive: 0x30,
  /** Something from another I_T nexus aborted the command. */
  TaskAborted: 0x40,
} as const

/** A row of the table: the codes it is for, where one that is left out fits all, and its verdict. */
export interface StatusRow {
  /** Undefined: every status without a row of its own. */
  readonly status: number | undefined
  /** Sense key; `none`: no sense data came. */
  readonly key?: number | 'none'
  /** Whether the sense data is of an earlier command. */
  readonly deferred?: boolean
  /** Additional sense code. */
  readonly asc?: number
  /** Additional sense code qualifier. */
  readonly ascq?: number
  /** What {@link judge} gives where this row is the first that fits. */
  readonly verdict: Verdict
}

const { EAGAIN, EBADE, EINVAL, EIO, ENODATA, ENODEV, ENOSPC, EOPNOTSUPP, EROFS } = Errno
const { None, Retry, RetryLater } = Action
const NOT_RUN = PATH_ERROR | NOT_EXECUTED
const ELSEWHERE = EAGAIN | NOT_RUN
const CHECK = ScsiStatus.CheckCondition

function other(status: number | undefined, end: IoStatus, action: Action, text: string): StatusRow {
  return { status, verdict: { status: end, action, news: 0, text } }
}

function check(
  codes: Omit<StatusRow, 'status' | 'verdict'>,
  end: IoStatus,
  action: Action,
  news: number,
  text: string,
): StatusRow {
  return { status: CHECK, ...codes, verdict: { status: end, action, news, text } }
}

const ALL = News.Access | News.Capacity | News.Identity

/**
 * The one table of what a SCSI status with its sense data means; the first row that fits counts. The errno is
 * what an application sees. PATH_ERROR: another path may succeed. NOT_EXECUTED: the device server did not start
 * the command (SAM-5 §5.3.1), so a write may move without a fence.
 */
export const statusTable: readonly StatusRow[] = [
  other(ScsiStatus.Good, OK, None, 'good'),
  other(ScsiStatus.ConditionMet, OK, None, 'condition met'),
  other(ScsiStatus.Busy, ELSEWHERE, RetryLater, 'busy'),
  other(ScsiStatus.ReservationConflict, EBADE, None, 'reservation conflict'),
  other(ScsiStatus.TaskSetFull, ELSEWHERE, RetryLater, 'task set full'),
  other(ScsiStatus.AcaActive, ELSEWHERE, RetryLater, 'auto contingent allegiance active'),
  other(ScsiStatus.TaskAborted, EIO | PATH_ERROR, Retry, 'aborted by another initiator'),

  check({ key: 'none' }, EIO | PATH_ERROR, Retry, 0, 'check condition without sense data'),
  check({ deferred: true, key: 0x1 }, ELSEWHERE, Retry, 0, 'an earlier command succeeded with recovery'),
  check({ deferred: true }, ELSEWHERE, Retry, News.WriteLost, 'an earlier command failed after its good status'),

  check({ key: 0x0 }, EIO | PATH_ERROR, Retry, 0, 'check condition without a reason'),
  check({ key: 0x1 }, OK, None, 0, 'succeeded with recovery'),

  check({ key: 0x2, asc: 0x04, ascq: 0x01 }, ELSEWHERE, RetryLater, 0, 'becoming ready'),
  check({ key: 0x2, asc: 0x04, ascq: 0x07 }, ELSEWHERE, RetryLater, 0, 'not ready, operation in progress'),
  check({ key: 0x2, asc: 0x04, ascq: 0x09 }, ELSEWHERE, RetryLater, 0, 'not ready, self-test in progress'),
  check({ key: 0x2, asc: 0x04, ascq: 0x0a }, ELSEWHERE, None, News.Access, 'access state in transition'),
  check({ key: 0x2, asc: 0x04, ascq: 0x0b }, ELSEWHERE, None, News.Access, 'target port in standby'),
  check({ key: 0x2, asc: 0x04, ascq: 0x0c }, ELSEWHERE, None, News.Access, 'target port unavailable'),
  check({ key: 0x2, asc: 0x04, ascq: 0x14 }, ELSEWHERE, RetryLater, 0, 'not ready, space allocation in progress'),
  check({ key: 0x2 }, EIO | NOT_RUN, None, 0, 'not ready'),

  check({ key: 0x3 }, ENODATA, None, 0, 'medium error'),
  check({ key: 0x4 }, EIO, None, 0, 'hardware error'),

  check({ key: 0x5, asc: 0x20 }, EOPNOTSUPP, None, 0, 'command not supported'),
  check({ key: 0x5, asc: 0x21 }, EINVAL, None, News.Capacity, 'block address out of range'),
  check({ key: 0x5, asc: 0x24 }, EINVAL, None, 0, 'invalid field in command'),
  check({ key: 0x5, asc: 0x25 }, ENODEV | NOT_RUN, None, News.Luns, 'logical unit not supported'),
  check({ key: 0x5, asc: 0x26 }, EINVAL, None, 0, 'invalid field in parameters'),
  check({ key: 0x5 }, EINVAL, None, 0, 'illegal request'),

  check({ key: 0x6, asc: 0x28 }, ELSEWHERE, Retry, ALL, 'became ready, medium may have changed'),
  check({ key: 0x6, asc: 0x29, ascq: 0x07 }, ELSEWHERE, Retry, ALL, 'nexus was lost'),
  check({ key: 0x6, asc: 0x29 }, ELSEWHERE, Retry, ALL | News.Reset, 'power on or reset'),
  check({ key: 0x6, asc: 0x2a, ascq: 0x00 }, ELSEWHERE, Retry, News.Capacity, 'parameters changed'),
  check({ key: 0x6, asc: 0x2a, ascq: 0x01 }, ELSEWHERE, Retry, News.Capacity, 'mode parameters changed'),
  check({ key: 0x6, asc: 0x2a, ascq: 0x06 }, ELSEWHERE, Retry, News.Access, 'access state changed'),
  check({ key: 0x6, asc: 0x2a, ascq: 0x07 }, ELSEWHERE, Retry, News.Access, 'change of access state failed'),
  check({ key: 0x6, asc: 0x2a, ascq: 0x09 }, ELSEWHERE, Retry, News.Capacity, 'capacity changed'),
  check({ key: 0x6, asc: 0x38, ascq: 0x07 }, ELSEWHERE, Retry, 0, 'thin provisioning threshold reached'),
  check({ key: 0x6, asc: 0x3f, ascq: 0x0e }, ELSEWHERE, Retry, News.Luns | News.Identity, 'reported LUNs changed'),
  check({ key: 0x6, asc: 0x3f }, ELSEWHERE, Retry, News.Identity | News.Capacity, 'inquiry data or identity changed'),
  check({ key: 0x6 }, ELSEWHERE, Retry, 0, 'unit attention'),

  check({ key: 0x7, asc: 0x27, ascq: 0x07 }, ENOSPC, None, 0, 'no space left to allocate'),
  check({ key: 0x7 }, EROFS, None, News.Capacity, 'write protected'),
  check({ key: 0x8 }, EIO, None, 0, 'blank check'),
  check({ key: 0xb }, EIO | PATH_ERROR, Retry, 0, 'aborted command'),
  check({ key: 0xd }, ENOSPC, None, 0, 'volume overflow'),
  check({ key: 0xe }, EIO, None, 0, 'miscompare'),
  check({}, EIO, None, 0, 'check condition of another kind'),

  other(undefined, EIO | PATH_ERROR, None, 'unknown status'),
]

const GOOD = statusTable[0]!.verdict
const UNKNOWN = statusTable[statusTable.length - 1]!.verdict

/** Looks `status` and its sense data up in {@link statusTable}; the verdict is the table's own object. */
export function judge(status: number, sense: Sense | undefined): Verdict {
  if (status === ScsiStatus.Good) return GOOD
  for (const row of statusTable) {
    if (row.status === status && (status !== CHECK || fits(row, sense))) return row.verdict
  }
  return UNKNOWN
}

/**
 * Whether sense data says that what was in a volatile cache may be gone: power on (29h/00h, which stands for any reset
 * too, and 29h/01h), a reset inside of the device (29h/04h), or one of a kind that is not known. The resets that a host
 * asks for (29h/02h, 29h/03h) end commands, reservations and modes (SAM-5 §6.3.2, §6.3.3), and no data that was
 * accepted before; the others (29h/05h to 29h/07h) concern the transport.
 */
export function losesCache(sense: Sense | undefined): boolean {
  if (sense === undefined || sense.deferred || sense.key !== 0x6 || sense.asc !== 0x29) return false
  return sense.ascq < 0x2 || sense.ascq === 0x4 || sense.ascq > 0x7
}

/** Whether a status is no failure but news of the device, which is heard and told by other means. */
export function isNews({ news }: Verdict, sense: Sense | undefined): boolean {
  return news !== 0 && sense?.key === 0x6 && !sense.deferred
}

function fits(row: StatusRow, sense: Sense | undefined): boolean {
  if (sense === undefined) return row.key === 'none'
  if (row.key !== undefined && row.key !== sense.key) return false
  if (row.deferred !== undefined && row.deferred !== sense.deferred) return false
  if (row.asc !== undefined && row.asc !== sense.asc) return false
  return row.ascq === undefined || row.ascq === sense.ascq
}
