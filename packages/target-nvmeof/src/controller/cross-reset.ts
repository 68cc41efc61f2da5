import { BlockError } from '@blockbraid/core'
import type { ControllerInstance } from '../nvme/admin.ts'
import { crossControllerReset, getLog, LogPage } from '../nvme/admin.ts'
import { ask, demand } from '../nvme/ask.ts'
import type { Procedure } from '../nvme/procedure.ts'
import { pause } from '../nvme/procedure.ts'
import type { ResetEntry } from '../nvme/reset-log.ts'
import { decodeResetLog, MAX_RESETS, REMOVE_COMPLETED, RESET_ENTRY, RESET_HEAD } from '../nvme/reset-log.ts'
import { StatusError } from '../nvme/status-error.ts'

const SPECIFIC = 0x100
const IN_PROGRESS = SPECIFIC | 0x3f
const LOG_FULL = SPECIFIC | 0x40
const TOO_MANY = SPECIFIC | 0x41
const STATUS = 0x7ff

const FIRST_PAUSE = 20
const LONGEST_PAUSE = 200

/**
 * Has the controller whose admin queue this runs on reset `other` of the same host and subsystem, and waits for
 * it up to `time`, milliseconds (NVMe Base 2.3, Cross-Controller Reset). When it returns, nothing that was sent to that
 * instance of `other` can change data any more. The event that tells of the end can be lost, so the log is asked again and again.
 * Throws TIMED_OUT; a {@link StatusError} where it is refused, IO_FAILED where the reset failed.
 */
export function* resetThroughSibling(other: ControllerInstance, time: number): Procedure<void> {
  const state: Waiting = { waited: 0, step: FIRST_PAUSE, time, other }
  // CIU comes round again: an entry of an earlier instance would be taken for the proof.
  if ((yield* entryOf(other))?.state === 'done') yield* readLog(true)
  while (!(yield* begun(state))) yield* wait(state)
  if (state.done) return
  for (;;) {
    const entry = yield* entryOf(other)
    if (entry?.state === 'done') return
    if (entry?.state === 'failed') {
      throw new BlockError('IO_FAILED', `the reset of controller ${other.id} through another one failed`)
    }
    yield* wait(state)
  }
}

interface Waiting {
  waited: number
  step: number
  readonly time: number
  readonly other: ControllerInstance
  done?: boolean
}

/** Sends the command; whether it was taken. */
function* begun(state: Waiting): Procedure<boolean> {
  const { status, result } = yield* ask(crossControllerReset(state.other))
  switch (status & STATUS) {
    case 0:
      state.done = (result & 1) !== 0
      return true
    case IN_PROGRESS:
      return true
    case LOG_FULL:
      yield* readLog(true)
      return false
    case TOO_MANY:
      return false
    default:
      throw new StatusError(`the cross-controller reset of controller ${state.other.id}`, status)
  }
}

function* entryOf({ id, instance }: ControllerInstance): Procedure<ResetEntry | undefined> {
  const entries = yield* readLog(false)
  return entries.find((entry) => entry.id === id && entry.instance === instance)
}

function* readLog(remove: boolean): Procedure<ResetEntry[]> {
  const length = RESET_HEAD + MAX_RESETS * RESET_ENTRY
  const request = getLog(LogPage.CrossControllerReset, length, {
    keepEvent: true,
    parameter: remove ? REMOVE_COMPLETED : 0,
  })
  return decodeResetLog((yield* demand('Get Log Page of cross-controller resets', request)).data)
}

function* wait(state: Waiting): Procedure<void> {
  const left = state.time - state.waited
  if (left <= 0) {
    throw new BlockError('TIMED_OUT', `controller ${state.other.id} was not reset within ${state.time} ms`)
  }
  const ms = Math.min(state.step, left)
  yield* pause(ms)
  state.waited += ms
  state.step = Math.min(2 * state.step, LONGEST_PAUSE)
}
