import type { Host, Timer } from '@blockbraid/core'

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
  let tries = 0
  let timer: Timer | undefined
  let closed = false
  const plan = (): void => {
    if (closed || timer !== undefined) return
    if (!isWanted()) {
      tries = 0
      return
    }
    const wait = Math.min(FIRST_WAIT * 2 ** tries, LONGEST_WAIT) * (0.5 + random() / 2)
    tries++
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
