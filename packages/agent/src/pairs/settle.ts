import type { Clock, Timer } from '@blockbraid/core'

/**
 * Settles when all of `work`, which does not reject, has ended; or when none of it has ended for `patience` milliseconds,
 * none of it is `busy`, and what there is is `enough`.
 */
export function settleMost(
  work: readonly Promise<unknown>[],
  clock: Clock,
  patience: number,
  { enough, busy }: { readonly enough: () => boolean; readonly busy: () => boolean },
): Promise<void> {
  return new Promise((resolve) => {
    let left = work.length
    let timer: Timer | undefined
    const wait = (): void => {
      timer?.cancel()
      if (left === 0) return resolve()
      timer = clock.after(patience, () => {
        if (busy()) wait()
        else if (enough()) resolve()
      })
    }
    for (const one of work) {
      void one.then(() => {
        left--
        wait()
      })
    }
    wait()
  })
}
