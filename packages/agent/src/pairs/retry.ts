import type { Host, Timer } from '@blockbraid/core'
import { BackOff } from '@blockbraid/core'

// Milliseconds: the first wait, which doubles, with jitter, up to the last.
const FIRST_WAIT = 1000
const LONGEST_WAIT = 5000

/** Does something again and again as long as it is wanted. */
export interface Retry {
  /** Looks whether it is wanted now. */
  plan(): void
  close(): void
}

/** Makes a {@link Retry}; `work` handles its own errors. */
export function createRetry({ clock, random }: Host, isWanted: () => boolean, work: () => Promise<void>): Retry {
  const backOff = new BackOff(FIRST_WAIT, LONGEST_WAIT, random)
  let timer: Timer | undefined
  let closed = false
  const plan = (): void => {
    if (closed || timer !== undefined) return
    if (!isWanted()) {
      backOff.reset()
      return
    }
    const wait = backOff.wait()
    backOff.count()
    timer = clock.after(wait, () => {
      void work().finally(() => {
        timer = undefined
        plan()
      })
    })
  }
  return {
    plan,
    close() {
      closed = true
      timer?.cancel()
    },
  }
}
