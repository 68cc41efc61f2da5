import { abortable } from '@blockbraid/core'

/** Something that may change, and those who wait for it. */
export interface Change {
  /** It has changed. */
  tell(): void
  /** Settles at the next `tell`; rejects when the signal fires. */
  next(signal: AbortSignal | undefined): Promise<void>
}

export function createChange(): Change {
  let waiting = Promise.withResolvers<void>()
  return {
    tell() {
      waiting.resolve()
      waiting = Promise.withResolvers()
    },
    next: (signal) => abortable(waiting.promise, signal),
  }
}
