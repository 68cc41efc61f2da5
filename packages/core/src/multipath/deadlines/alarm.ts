import type { Clock, Timer } from '../../clock.ts'

/** One timer for many times: it rings at the earliest of those that it was asked for, and then asks for none. */
export class Alarm {
  readonly #clock: Clock
  readonly #ring: () => void
  #timer: Timer | undefined
  #at = Number.POSITIVE_INFINITY

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock
    this.#ring = ring
  }

  /** Rings at `time`, µs, at the latest, to the next millisecond; Infinity asks for nothing. */
  by(time: number): void {
    if (time < this.#at) this.#set(time)
  }

  // By itself: a closure costs each call of the function that it stands in.
  #set(time: number): void {
    this.#timer?.cancel()
    this.#at = time
    const wait = Math.max(0, time - this.#clock.now()) / 1000
    this.#timer = this.#clock.after(Math.ceil(wait), () => {
      this.#at = Number.POSITIVE_INFINITY
      this.#ring()
    })
  }

  /** Rings no more. */
  stop(): void {
    this.#timer?.cancel()
  }
}
