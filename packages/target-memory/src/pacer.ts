import type { Clock } from '@blockbraid/core'

// Rounds between two timers of a millisecond. A healthy load does some hundred.
const MOST_ROUNDS = 4096

/**
 * Defers work to the end of the turn, and lets timers and sockets have theirs: a loop that awaits one
 * I/O after the other on an array without latency would otherwise never leave the microtask queue.
 */
export class Pacer {
  readonly #clock: Clock
  #rounds = 0
  #late: (() => void)[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Calls `callback` at the end of the turn, or a millisecond later after very many turns without a break. */
  defer(callback: () => void): void {
    if (this.#rounds === 0) this.#clock.after(1, this.#breathe)
    if (this.#rounds === MOST_ROUNDS) {
      this.#late.push(callback)
      return
    }
    this.#rounds++
    this.#clock.defer(callback)
  }

  readonly #breathe = (): void => {
    const late = this.#late
    this.#late = []
    this.#rounds = 0
    for (const callback of late) this.defer(callback)
  }
}
