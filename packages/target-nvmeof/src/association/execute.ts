import type { Clock, SignalOptions } from '@blockbraid/core'
import { BlockError, NO_BUFFERS } from '@blockbraid/core'
import type { Completion, Submission } from '../nvme/procedure.ts'
import type { Command } from '../queue/command.ts'
import { CommandState, Direction, Outcome } from '../queue/command.ts'
import type { Link } from './link.ts'

/** Options of {@link execute}. */
export interface ExecuteOptions extends SignalOptions {
  readonly clock: Clock
  /** Milliseconds to the completion; Infinity: as long as the queue lives. */
  readonly timeout: number
  /** Whose the command is. */
  readonly owner: object
  /** The link can be used no longer. */
  lost(error: BlockError): void
}

/**
 * Sends one command and resolves to its completion, whatever the status. Rejects with TIMED_OUT or ABORTED after the
 * command was given up, or with IO_FAILED where the link was lost before an answer.
 */
export function execute(link: Link, submission: Submission, options: ExecuteOptions): Promise<Completion> {
  const { signal, clock, timeout } = options
  const { queue } = link
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(aborted(signal))
    if (!link.alive) return reject(failed(submission, false, queue.error))
    const command = queue.take()
    const { answers } = queue
    let ended = false
    const settle = (): void => {
      ended = true
      timer?.cancel()
      signal?.removeEventListener('abort', onAbort)
    }
    const giveUp = (error: BlockError, isLate: boolean): void => {
      settle()
      reject(error)
      const isMute = queue.answers === answers && command.state >= CommandState.Waiting
      // Payload that goes on leaving must not change; a queue that has answered nothing else either is no use.
      if (!queue.detach([command]) || (isLate && isMute)) options.lost(error)
    }
    const onAbort = (): void => giveUp(aborted(signal as AbortSignal), false)
    const late = (): void =>
      giveUp(new BlockError('TIMED_OUT', `no answer to ${nameOf(submission)} within ${timeout} ms`), true)
    const timer = timeout === Infinity ? undefined : clock.after(timeout, late)
    signal?.addEventListener('abort', onAbort)
    fill(command, submission, options.owner)
    // Commands of the admin queue are few, and each has its time.
    if (queue.id > 0) command.lane = queue.lanes.ofEntry(submission.sqe)
    const [view] = command.buffers
    command.done = ({ outcome, status, result, resultHigh, received }) => {
      if (ended) return
      settle()
      if (outcome !== Outcome.Answered) return reject(failed(submission, outcome === Outcome.Lost, queue.error))
      const came = typeof submission.data === 'number' && view !== undefined ? view.subarray(0, received) : NONE
      resolve({ status, result, resultHigh, data: came })
    }
    queue.send(command)
  })
}

const NONE = new Uint8Array(0)

function fill(command: Command, { sqe, data, changes = false }: Submission, owner: object): void {
  command.owner = owner
  command.sqe.set(sqe)
  command.changes = changes
  command.lends = false
  const isRead = typeof data === 'number'
  const length = isRead ? data : data.length
  command.length = length
  command.direction = length === 0 ? Direction.None : isRead ? Direction.Read : Direction.Write
  command.atMost = isRead
  if (length === 0) command.buffers = NO_BUFFERS
  else command.buffers = [isRead ? Buffer.alloc(length) : data]
}

function failed(submission: Submission, sent: boolean, error: BlockError | undefined): BlockError {
  const what = sent ? 'had no answer' : 'was not sent'
  const why = error?.message ?? 'the connection is over'
  return new BlockError('IO_FAILED', `${nameOf(submission)} ${what}: ${why}`, { cause: error })
}

function nameOf({ sqe }: Submission): string {
  return `NVMe command ${(sqe[0] as number).toString(16).padStart(2, '0')}h`
}

/** The error of what a signal has called off. */
export function aborted(signal: AbortSignal): BlockError {
  const { reason } = signal
  return BlockError.is(reason) ? reason : new BlockError('ABORTED', 'the call was called off', { cause: reason })
}
