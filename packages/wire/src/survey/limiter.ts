import type { Clock } from '@blockbraid/core'

/**
 * Lets so many works run at once. One that takes longer than `patience`, milliseconds, gives its turn to the next and
 * goes on without: what hangs holds up nothing but itself.
 */
export class Limiter {
  readonly #clock: Clock
  readonly #most: number
  readonly #patience: number
  readonly #waiting: (() => void)[] = []
  #busy = 0

  constructor(clock: Clock, most: number, patience: number) {
    this.#clock = clock
    this.#most = most
    this.#patience = patience
  }

  /** Settles as `work` does, which begins when it has its turn. */
  run<Result>(work: () => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => {
        let over = false
        const end = (): void => {
          if (over) return
          over = true
          timer.cancel()
          this.#busy--
          this.#next()
        }
        const timer = this.#clock.after(this.#patience, end)
        work().then(resolve, reject).finally(end)
      })
      this.#next()
    })
  }

  #next(): void {
    while (this.#busy < this.#most && this.#waiting.length > 0) {
      this.#busy++
      this.#waiting.shift()?.()
    }
  }
}
