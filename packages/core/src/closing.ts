import { BlockError } from './errors.ts'
import type { SignalOptions } from './signal.ts'

/** A `close` that runs once; any later call joins it, and may hurry it with a signal of its own. */
export interface Closing {
  /** Whether it was called. */
  readonly begun: boolean
  /** What objects offer as their `close`. */
  close(options?: SignalOptions): Promise<void>
}

/**
 * Makes a {@link Closing} of `end`, which gets one signal for all callers. It begins after the present
 * synchronous code, so that whoever calls from a listener sees the object closing, not half closed.
 */
export function closing(end: (options: { signal: AbortSignal }) => Promise<void>): Closing {
  const hurry = new AbortController()
  let ending: Promise<void> | undefined
  // A getter in a literal is old to the collector from the start, and holds all that `end` knows until a whole collection.
  const made = {
    begun: false,
    close({ signal }: SignalOptions = {}): Promise<void> {
      made.begun = true
      ending ??= Promise.resolve().then(() => end({ signal: hurry.signal }))
      if (signal === undefined) return ending
      const abort = (): void => hurry.abort(signal.reason)
      if (signal.aborted) abort()
      signal.addEventListener('abort', abort)
      const forget = (): void => signal.removeEventListener('abort', abort)
      ending.then(forget, forget)
      return ending
    },
  }
  return made
}

/** Settles as `work` does, or rejects as soon as the signal fires: with its reason where that is a BlockError. */
export async function orAborted<Result>(work: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (signal === undefined) return work
  let abort: () => void = () => {}
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => {
      const { reason } = signal
      reject(BlockError.is(reason) ? reason : new BlockError('ABORTED', 'the call was aborted', { cause: reason }))
    }
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort)
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
    // Whichever lost the race has nobody to tell.
    aborted.catch(() => {})
    work.catch(() => {})
  }
}
