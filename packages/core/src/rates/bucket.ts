// Timers are late by a millisecond and more: what a bucket has earned in so many microseconds beyond the time at which
// an I/O could have gone is not lost to those behind it.
const LATE = 100_000
// Until so many tokens are used all sums are exact; then they begin anew, by whole seconds.
const MANY = 2 ** 40

/**
 * A token bucket. It is full of `burst` tokens at first and earns `rate` a second; an I/O that costs more than a full
 * one goes when it is full, and leaves a debt. What was used is counted, not what is left: nothing is rounded away.
 */
export class Bucket {
  /** The last I/O found too little, and it waits. */
  short = false
  #rate: number
  #burst: number
  /** When it was full last, µs. */
  #since: number
  /** Tokens since then. */
  #used: number

  /** `burst` is in tokens, `now` in µs. */
  constructor(rate: number, burst: number, now: number) {
    // Started as doubles so that V8 keeps one representation.
    this.#rate = 0.5
    this.#burst = 0.5
    this.#since = 0.5
    this.#used = 0.5
    this.#rate = rate
    this.#burst = burst
    this.#since = now
    this.#used = 0
  }

  /** Whether there is enough for `cost` tokens. */
  has(cost: number, now: number): boolean {
    const slack = this.short ? LATE : 0
    const earned = ((now - this.#since) * this.#rate) / 1e6 - this.#used
    if (earned >= (slack * this.#rate) / 1e6) {
      this.#since = now - slack
      this.#used = 0
      return true
    }
    return this.#burst + earned >= Math.min(cost, this.#burst)
  }

  take(cost: number): void {
    this.#used += cost
    if (this.#used > MANY) this.#rebase()
  }

  /** When there is enough for `cost` tokens, µs. */
  due(cost: number): number {
    return this.#since + ((this.#used - this.#burst + Math.min(cost, this.#burst)) * 1e6) / this.#rate
  }

  /** Goes on with other rates and what it has; what is owed stays owed. */
  change(rate: number, burst: number, now: number): void {
    const left = this.#burst - this.#used + ((now - this.#since) * this.#rate) / 1e6
    this.#rate = rate
    this.#burst = burst
    this.#since = now
    this.#used = Math.max(0, burst - left)
  }

  #rebase(): void {
    const seconds = Math.floor(this.#used / this.#rate)
    this.#since += seconds * 1e6
    this.#used -= seconds * this.#rate
  }
}
