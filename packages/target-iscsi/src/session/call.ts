import type { Clock, SignalOptions } from '@blockbraid/core'
import { BlockError, NO_BUFFERS } from '@blockbraid/core'
import type { ScsiCommand } from '../scsi/cdb.ts'
import type { Lun } from '../scsi/lun.ts'
import type { Session } from './session.ts'
import type { Task } from './task.ts'
import { Direction, Outcome, TaskState } from './task.ts'

/** What came back for a command that the target answered. */
export interface Answer {
  /** SAM-5 status byte. */
  readonly status: number
  readonly sense: Uint8Array
  /** What was received. */
  readonly data: Uint8Array
  /** Bytes that did not move, as the target said. */
  readonly residual: number
}

/** Options of {@link call}. */
export interface CallOptions extends SignalOptions {
  readonly clock: Clock
  /** Milliseconds to the answer; Infinity: as long as the session lives. */
  readonly timeout: number
  /** Whether the command may change data, so that it must be fenced. */
  readonly changes: boolean
  /** Whether it waits in the target for all commands before it. */
  readonly ordered?: boolean
  /**
   * Who may take six times the `timeout`, as a slow storage does, in a session that shows that it lives. `session`:
   * only where nothing that was sent later was answered either; `unit`: also where the logical unit alone is slow.
   */
  readonly patience?: 'session' | 'unit' | undefined
  /** Whether a session that has answered no command at all meanwhile is given up with it. */
  readonly decides?: boolean
}

const PATIENCE = 6

/**
 * Sends one command of `owner` and resolves to its answer, whatever the status. Rejects with TIMED_OUT or
 * ABORTED after the command was given up, or with IO_FAILED where the session failed before an answer.
 */
export function call(
  session: Session,
  owner: object,
  lun: Lun,
  command: ScsiCommand,
  options: CallOptions,
): Promise<Answer> {
  const { signal, clock, timeout } = options
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(aborted(signal))
    const task = session.take()
    if (task === undefined) return reject(new BlockError('IO_FAILED', 'too many commands are in flight'))
    const { answers } = session
    const since = clock.now()
    let ended = false
    let waited = timeout
    const settle = (): void => {
      ended = true
      timer?.cancel()
      signal?.removeEventListener('abort', onAbort)
    }
    const giveUp = (error: BlockError): void => {
      settle()
      reject(error)
      const elapsed = (clock.now() - since) / 1000
      const isMute = session.answers === answers && task.state >= TaskState.Waiting
      if (options.decides === true && isMute && elapsed >= timeout) {
        session.drop(new BlockError('TIMED_OUT', `no answer to any command for ${Math.round(elapsed)} ms`))
      }
      // What was sent must not be executed later, or its tag be used again.
      if (!session.detach([task])) session.drop(error)
      else if (task.state === TaskState.Orphan && options.changes) void session.abortOrDrop(owner, error)
    }
    const onAbort = (): void => giveUp(aborted(signal as AbortSignal))
    const mayWait = (): boolean => {
      if (options.patience === undefined || !session.isWatched || waited >= PATIENCE * timeout) return false
      return options.patience === 'unit' || !session.answeredLater(task)
    }
    const late = (): void => {
      if (!mayWait()) return giveUp(new BlockError('TIMED_OUT', `no answer to ${name(command)} within ${waited} ms`))
      waited += timeout
      timer = clock.after(timeout, late)
    }
    let timer = timeout === Infinity ? undefined : clock.after(timeout, late)
    signal?.addEventListener('abort', onAbort)
    fill(task, owner, lun, command, options.changes)
    task.ordered = options.ordered === true
    const { data } = command
    const views = task.buffers
    task.done = () => {
      if (ended) return
      settle()
      if (task.outcome === Outcome.Answered) {
        const received =
          typeof data === 'number' && data > 0 ? (views[0] as Uint8Array).subarray(0, task.received) : NONE
        return resolve({ status: task.status, sense: task.sense, data: received, residual: task.residual })
      }
      const why =
        task.outcome === Outcome.Failed
          ? 'the target could not deliver it'
          : (session.error?.message ?? 'the path failed')
      const sent = task.outcome === Outcome.NotSent ? 'was not sent' : 'had no answer'
      reject(new BlockError('IO_FAILED', `${name(command)} ${sent}: ${why}`, { cause: session.error }))
    }
    session.send(task)
  })
}

const NONE = new Uint8Array(0)

function fill(task: Task, owner: object, lun: Lun, { cdb, data }: ScsiCommand, changes: boolean): void {
  task.owner = owner
  task.lunHigh = lun.high
  task.lunLow = lun.low
  task.cdb.fill(0)
  task.cdb.set(cdb)
  task.changes = changes
  task.lends = false
  if (typeof data !== 'number') {
    task.direction = data.length === 0 ? Direction.None : Direction.Write
    task.length = data.length
    task.buffers = [data]
  } else {
    task.direction = data === 0 ? Direction.None : Direction.Read
    task.length = data
    task.buffers = data === 0 ? NO_BUFFERS : [Buffer.alloc(data)]
  }
}

function name({ cdb }: ScsiCommand): string {
  return `SCSI command 0x${(cdb[0] as number).toString(16).padStart(2, '0')}`
}

function aborted(signal: AbortSignal): BlockError {
  const { reason } = signal
  return BlockError.is(reason) ? reason : new BlockError('ABORTED', 'the call was aborted', { cause: reason })
}
