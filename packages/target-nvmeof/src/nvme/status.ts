import type { IoStatus } from '@blockbraid/core'
import { Errno, NOT_EXECUTED, OK, PATH_ERROR } from '@blockbraid/core'

/** What to do with a command that ended this way. */
export const Action = {
  /** It is done, with the status of the verdict. */
  None: 0,
  /** Send it again, a few times at most, after the delay that its status asks for. */
  Retry: 1,
  /** Send it again after a pause, for a bounded time. */
  RetryLater: 2,
} as const

/** One of {@link Action}. */
export type Action = (typeof Action)[keyof typeof Action]

/** News that came with a status: bits. */
export const News = {
  /** The ANA log must be read again. */
  Access: 1,
  /** The namespace must be identified again: its size, format and protection. */
  Namespace: 2,
  /** Namespaces came or went. */
  Namespaces: 4,
} as const

/** What a status means. */
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

/** Status code types (NVMe Base 2.1 §4.2.3). */
export const StatusType = {
  /** Any command. */
  Generic: 0,
  /** What the code means depends on the command. */
  Specific: 1,
  /** The medium, and the integrity of its data. */
  Media: 2,
  /** The path. */
  Path: 3,
} as const

/** A row of the table: the codes it is for, and its verdicts. */
export interface StatusRow {
  /** Status code type; undefined: every one. */
  readonly type: number | undefined
  /** Status code; undefined: every one without a row of its own. */
  readonly code: number | undefined
  /** What {@link judge} gives where this row is the first that fits. */
  readonly verdict: Verdict
  /** The same where the controller says that it is no use to try again (DNR). */
  readonly final: Verdict
}

const { EACCES, EAGAIN, EBADE, EBUSY, EINVAL, EIO, ENODATA, ENODEV, ENOSPC, EOPNOTSUPP, EROFS } = Errno
const { None, Retry, RetryLater } = Action
const { Generic, Specific, Media, Path } = StatusType
const NOT_RUN = PATH_ERROR | NOT_EXECUTED
const ELSEWHERE = EAGAIN | NOT_RUN
const UNSURE = EIO | PATH_ERROR
const GONE = ENODEV | PATH_ERROR

// DNR says that no controller of the subsystem will do it (NVMe Base 2.1 §4.2.3): then another path is no use either.
const AGAIN_FLAGS = PATH_ERROR | NOT_EXECUTED

function row(
  type: number | undefined,
  code: number | undefined,
  status: IoStatus,
  action: Action,
  news: number,
  text: string,
  final: IoStatus = without(status),
): StatusRow {
  const verdict = { status, action, news, text }
  return { type, code, verdict, final: { status: final, action: None, news, text } }
}

// A status that means "not now" means a plain failure where it will never be.
function without(status: IoStatus): IoStatus {
  const errno = status & ~AGAIN_FLAGS
  return errno === EAGAIN ? EIO : errno
}

/**
 * The one table of what an NVMe status means; the first row that fits counts. The errno is what an application sees.
 * PATH_ERROR: another path may succeed.
 *
 * NOT_EXECUTED lets a write move without a fence, so it stands only where the standard says that the command was not
 * performed: the namespace could not be reached at all (the three states of asymmetric access, not ready, media not
 * ready), or the queue was not allowed to take it (authentication). It does not stand where a command was
 * begun and given up (aborted, interrupted, a transfer or the transport failed, an internal error of the path), nor where
 * the queue or the namespace was taken away below it: how far it had come, no completion tells.
 */
export const statusTable: readonly StatusRow[] = [
  row(Generic, 0x00, OK, None, 0, 'success'),
  row(Generic, 0x01, EOPNOTSUPP, None, 0, 'invalid opcode'),
  row(Generic, 0x02, EINVAL, None, 0, 'invalid field in command'),
  row(Generic, 0x03, UNSURE, None, 0, 'command identifier in use'),
  row(Generic, 0x04, UNSURE, Retry, 0, 'data transfer error'),
  row(Generic, 0x05, UNSURE, None, 0, 'aborted as power is lost'),
  row(Generic, 0x06, EIO, Retry, 0, 'internal error'),
  row(Generic, 0x07, UNSURE, Retry, 0, 'aborted on request'),
  row(Generic, 0x08, UNSURE, None, 0, 'aborted as its queue was deleted'),
  row(Generic, 0x09, EIO, None, 0, 'aborted as the fused command failed'),
  row(Generic, 0x0a, EIO, None, 0, 'aborted as the fused command is missing'),
  // A namespace can be detached from one controller, and commands that are under way then end so: another may have it.
  row(Generic, 0x0b, GONE, None, News.Namespaces, 'invalid namespace or format', GONE),
  // What Linux answers on a controller that was disabled: the path has ended, whatever DNR says.
  row(Generic, 0x0c, UNSURE, None, 0, 'command sequence error', UNSURE),
  row(Generic, 0x0d, EINVAL, None, 0, 'invalid SGL segment descriptor'),
  row(Generic, 0x0e, EINVAL, None, 0, 'invalid number of SGL descriptors'),
  row(Generic, 0x0f, EINVAL, None, 0, 'data SGL length invalid'),
  row(Generic, 0x10, EINVAL, None, 0, 'metadata SGL length invalid'),
  row(Generic, 0x11, EINVAL, None, 0, 'SGL descriptor type invalid'),
  row(Generic, 0x12, EINVAL, None, 0, 'invalid use of controller memory buffer'),
  row(Generic, 0x13, EINVAL, None, 0, 'PRP offset invalid'),
  row(Generic, 0x14, EINVAL, None, News.Namespace, 'atomic write unit exceeded'),
  row(Generic, 0x15, EACCES, None, 0, 'operation denied'),
  row(Generic, 0x16, EINVAL, None, 0, 'SGL offset invalid'),
  row(Generic, 0x18, EINVAL, None, 0, 'host identifier inconsistent format'),
  row(Generic, 0x19, UNSURE, None, 0, 'keep alive timer expired', UNSURE),
  row(Generic, 0x1a, EINVAL, None, 0, 'keep alive timeout invalid'),
  // Tried once more it meets the reservation, or the one before if that was of this host.
  row(Generic, 0x1b, EBADE, Retry, 0, 'aborted as a reservation was preempted'),
  row(Generic, 0x1c, EIO, None, 0, 'sanitize failed'),
  row(Generic, 0x1d, EBUSY, RetryLater, 0, 'sanitize in progress'),
  row(Generic, 0x1e, EINVAL, None, 0, 'SGL data block granularity invalid'),
  row(Generic, 0x1f, EOPNOTSUPP, None, 0, 'command not supported for a queue in the controller memory buffer'),
  row(Generic, 0x20, EROFS, None, News.Namespace, 'namespace is write protected'),
  row(Generic, 0x21, UNSURE, Retry, 0, 'command interrupted'),
  row(Generic, 0x22, UNSURE, Retry, 0, 'transient transport error'),
  row(Generic, 0x23, EACCES, None, 0, 'command prohibited by lockdown'),
  row(Generic, 0x24, ELSEWHERE, RetryLater, 0, 'media not ready for an admin command'),
  row(Generic, 0x80, EINVAL, None, News.Namespace, 'block address out of range'),
  row(Generic, 0x81, ENOSPC, None, 0, 'capacity exceeded'),
  row(Generic, 0x82, ELSEWHERE, RetryLater, 0, 'namespace not ready'),
  row(Generic, 0x83, EBADE, None, 0, 'reservation conflict'),
  row(Generic, 0x84, EBUSY, RetryLater, 0, 'format in progress'),
  row(Generic, undefined, EIO, None, 0, 'generic status of another kind'),

  row(Specific, 0x0d, EINVAL, None, 0, 'feature not saveable'),
  row(Specific, 0x0e, EINVAL, None, 0, 'feature not changeable'),
  row(Specific, 0x0f, EINVAL, None, 0, 'feature not namespace specific'),
  row(Specific, 0x03, EBUSY, None, 0, 'too many abort commands'),
  row(Specific, 0x05, EBUSY, None, 0, 'too many asynchronous event requests'),
  row(Specific, 0x09, EOPNOTSUPP, None, 0, 'invalid log page'),
  row(Specific, 0x0a, EINVAL, None, 0, 'invalid format'),
  row(Specific, 0x1d, EBUSY, None, 0, 'device self-test in progress'),
  row(Specific, 0x1f, EINVAL, None, 0, 'invalid controller identifier'),
  row(Specific, 0x24, EINVAL, None, 0, 'ANA group identifier invalid'),
  row(Specific, 0x29, EOPNOTSUPP, None, 0, 'I/O command set not supported'),
  row(Specific, 0x2a, EOPNOTSUPP, None, 0, 'I/O command set not enabled'),
  row(Specific, 0x3f, EBUSY, None, 0, 'cross-controller reset in progress'),
  row(Specific, 0x40, EBUSY, None, 0, 'log of cross-controller resets is full'),
  row(Specific, 0x41, EBUSY, None, 0, 'too many cross-controller resets'),
  row(Specific, 0x80, EINVAL, None, 0, 'conflicting attributes'),
  row(Specific, 0x81, EINVAL, None, 0, 'invalid protection information'),
  row(Specific, 0x82, EROFS, None, News.Namespace, 'write to a read only range'),
  row(Specific, 0x83, EINVAL, None, News.Namespace, 'command size limit exceeded'),
  // The queue takes no command before it is authenticated (NVMe Base 2.1 §8.3.4.2).
  row(Specific, 0x91, EACCES | NOT_RUN, None, 0, 'authentication required', EACCES | NOT_RUN),
  row(Specific, undefined, EIO, None, 0, 'status of the command'),

  row(Media, 0x80, ENODATA, None, 0, 'write fault'),
  row(Media, 0x81, ENODATA, None, 0, 'unrecovered read error'),
  row(Media, 0x82, EIO, None, 0, 'guard check error'),
  row(Media, 0x83, EIO, None, 0, 'application tag check error'),
  row(Media, 0x84, EIO, None, 0, 'reference tag check error'),
  row(Media, 0x85, EIO, None, 0, 'compare failure'),
  row(Media, 0x86, EACCES, None, 0, 'access denied'),
  row(Media, 0x87, ENODATA, None, 0, 'deallocated or unwritten block'),
  row(Media, 0x88, EIO, None, 0, 'storage tag check error'),
  row(Media, undefined, EIO, None, 0, 'media error of another kind'),

  row(Path, 0x00, UNSURE, Retry, 0, 'internal path error'),
  // "The requested function is not able to be performed": by this controller, so DNR does not speak of the others.
  row(Path, 0x01, ENODEV | NOT_RUN, None, News.Access, 'asymmetric access persistent loss', ENODEV | NOT_RUN),
  row(Path, 0x02, ELSEWHERE, None, News.Access, 'asymmetric access inaccessible', ELSEWHERE),
  row(Path, 0x03, ELSEWHERE, None, News.Access, 'asymmetric access transition', ELSEWHERE),
  row(Path, 0x60, UNSURE, None, 0, 'controller pathing error'),
  // The host itself would say these two; from a controller they tell nothing.
  row(Path, 0x70, UNSURE, None, 0, 'host pathing error'),
  row(Path, 0x71, UNSURE, None, 0, 'aborted by host'),
  row(Path, undefined, UNSURE, None, 0, 'path error of another kind'),

  row(undefined, undefined, UNSURE, None, 0, 'unknown status'),
]

const GOOD = statusTable[0]!.verdict
const UNKNOWN = statusTable[statusTable.length - 1]!

/** Do Not Retry, in a status without the phase. */
export const DNR = 0x4000

/** Looks a status up in {@link statusTable}; the verdict is the table's own object. */
export function judge(status: number): Verdict {
  if (status === 0) return GOOD
  const found = rowOf(status)
  return (status & DNR) === 0 ? found.verdict : found.final
}

function rowOf(status: number): StatusRow {
  const type = (status >>> 8) & 7
  const code = status & 0xff
  for (const one of statusTable) {
    if (one.type === type && (one.code === undefined || one.code === code)) return one
  }
  return UNKNOWN
}

/** A status in words with its codes, such as `namespace not ready (status 0/82h)`. */
export function describeStatus(status: number): string {
  const { verdict } = rowOf(status)
  return status === 0 ? verdict.text : `${verdict.text} (${statusCodes(status)})`
}

/** The codes of a status, such as `status 0/82h, do not retry`. */
export function statusCodes(status: number): string {
  const code = (status & 0xff).toString(16).padStart(2, '0')
  return `status ${(status >>> 8) & 7}/${code}h${(status & DNR) === 0 ? '' : ', do not retry'}`
}

// Delays are told in units of 100 ms, so up to 109 minutes: no I/O waits that long at the word of a controller.
const LONGEST_DELAY = 10_000

/**
 * How long to wait before a command is sent again, milliseconds: what its status asks for (CRD, counted from 1) out of the
 * controller's three delays, at most 10 seconds; undefined where it asks for none.
 */
export function retryDelay(status: number, delays: readonly number[]): number | undefined {
  const index = (status >>> 11) & 3
  return index === 0 ? undefined : Math.min(delays[index - 1] ?? 0, LONGEST_DELAY)
}
