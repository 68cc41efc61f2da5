import type { Clock } from '@blockbraid/core'
import type { Completion, Procedure, Submission } from '../nvme/procedure.ts'
import { aborted } from './execute.ts'

/** What a procedure's steps are done with. */
export interface Runner {
  readonly clock: Clock
  readonly signal?: AbortSignal | undefined
  submit(submission: Submission): Promise<Completion>
}

/** Runs a procedure: what a step comes to is given to it, or thrown into it. */
export async function runProcedure<Result>(procedure: Procedure<Result>, runner: Runner): Promise<Result> {
  let next = procedure.next()
  while (next.done !== true) {
    const step = next.value
    // One that goes on all the same would never end.
    if (runner.signal?.aborted) throw aborted(runner.signal)
    let answer: unknown
    try {
      if ('sqe' in step) answer = await runner.submit(step)
      else if ('pause' in step) await pause(step.pause, runner)
      else answer = await step.work()
    } catch (error) {
      next = procedure.throw(error)
      continue
    }
    next = procedure.next(answer)
  }
  return next.value
}

function pause(ms: number, { clock, signal }: Runner): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      timer.cancel()
      reject(aborted(signal as AbortSignal))
    }
    const timer = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
