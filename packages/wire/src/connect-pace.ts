import type { Clock } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'

// Milliseconds. Half of what a path waits for by itself: where it is the only one, it is never held up here.
const FIRST = 50
const LONGEST = 5000

/** Spaces tries to connect where they fail, however many ask: in between, all of them get what the last one got. */
export class ConnectPace {
  readonly #clock: Clock
  readonly #random: () => number
  #failures = 0
  #trying = 0
  #notBefore = 0
  #error: BlockError | undefined

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock
    this.#random = random
  }

  /** What the last try has failed with, where it is too early for another one. */
  get tooEarly(): BlockError | undefined {
    return this.#trying > 0 || this.#clock.now() < this.#notBefore ? this.#error : undefined
  }

  /** One try, whose result counts for all who ask later. */
  async try<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#trying++
    try {
      const result = await work()
      this.succeeded()
      return result
    } catch (error) {
      this.failed(error)
      throw error
    } finally {
      this.#trying--
    }
  }

  /** A try has succeeded: the next may come at once. */
  succeeded(): void {
    this.#failures = 0
    this.#notBefore = 0
    this.#error = undefined
  }

  /** A try has failed with `error`, or what it had led to was lost soon. */
  failed(error: unknown): void {
    // Called off, which tells nothing of the portal.
    if (!BlockError.is(error) || error.code === 'ABORTED' || error.code === 'CLOSED') return
    const full = Math.min(FIRST * 2 ** this.#failures, LONGEST)
    this.#failures++
    this.#error = error
    this.#notBefore = this.#clock.now() + full * (0.5 + this.#random() / 2) * 1000
  }
}
