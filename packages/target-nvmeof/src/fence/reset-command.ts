import type { ControllerInstance } from '../nvme/admin.ts'
import { crossControllerReset, getLog, LogPage } from '../nvme/admin.ts'
import { ask } from '../nvme/ask.ts'
import type { Completion, Procedure } from '../nvme/procedure.ts'
import type { ResetEntry } from '../nvme/reset-log.ts'
import { decodeResetLog, MAX_RESETS, REMOVE_COMPLETED, RESET_ENTRY, RESET_HEAD } from '../nvme/reset-log.ts'

/** What came of the command itself. */
export type ResetAnswer =
  /** The instance is gone: nothing that was sent to it can change data any more. */
  | 'done'
  /** The log will tell. */
  | 'begun'
  /** Not now: the controller resets as many as it can, or another host's command resets that one. */
  | 'busy'
  /** Not by this controller, and not later. */
  | 'refused'
  /** It failed, for a reason that may pass. */
  | 'failed'

const CODE = 0x7ff
const DO_NOT_RETRY = 1 << 14
const Code = { InvalidOpcode: 0x001, InvalidField: 0x002, InProgress: 0x13f, TooMany: 0x141 }

/** Has a controller reset another one of its subsystem. Only what says so is the end of an instance. */
export function* resetOther(which: ControllerInstance): Procedure<ResetAnswer> {
  return answerOf(yield* ask(crossControllerReset(which)))
}

function answerOf({ status, result }: Completion): ResetAnswer {
  if (status === 0) return (result & 1) === 1 ? 'done' : 'begun'
  const code = status & CODE
  if (code === Code.InProgress || code === Code.TooMany) return 'busy'
  const final = (status & DO_NOT_RETRY) !== 0 || code === Code.InvalidOpcode || code === Code.InvalidField
  return final ? 'refused' : 'failed'
}

const LOG_LENGTH = RESET_HEAD + MAX_RESETS * RESET_ENTRY

/**
 * Reads how the resets stand that a controller was asked for, and takes those that have ended out of its log; undefined
 * where it refuses.
 */
export function* readResets(): Procedure<readonly ResetEntry[] | undefined> {
  const request = getLog(LogPage.CrossControllerReset, LOG_LENGTH, { parameter: REMOVE_COMPLETED })
  const { status, data } = yield* ask(request)
  return status === 0 ? decodeResetLog(data) : undefined
}
