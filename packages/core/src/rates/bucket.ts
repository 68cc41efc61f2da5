// Until so many tokens are used all sums are exact; then they begin anew, by whole seconds.
const MANY = 2 ** 40
// A bucket that is full by less, µs, goes on counting: to begin anew each time would add up what times are rounded to.
const HAIR = 0.1

/**
 * A token bucket. It is full of `burst` tokens at first and earns `rate` a second; an I/O that costs more than a full
 * one goes when it is full, and leaves a debt. What was used is counted, not what is left: nothing is rounded away.
 * Times are µs, and never go back.
 */
export class Bucket {
  #rate = 0.5
  #burst = 0.5
  /** When it was full last. */
  #since = 0.5
  /** Tokens since then. */
  #used = 0.5

  constructor(rate: number, burst: number, now: number) {
    // Declared as doubles so that V8 keeps one representation.
    this.#rate = rate
    this.#burst = burst
    this.#since = now
    this.#used = 0
  }

  /** When there is enough for `cost` tokens, `from` at the earliest. */
  due(cost: number, from: number): number {
    const due = this.#since + ((this.#used - this.#burst + Math.min(cost, this.#burst)) * 1e6) / this.#rate
    return due > from ? due : from
  }

  /** Takes what there is enough for. */
  take(cost: number, now: number): void {
    if ((now - this.#since - HAIR) * this.#rate > this.#used * 1e6) {
      this.#since = now
      this.#used = cost
    } else {
      this.#used += cost
      if (this.#used > MANY) this.#rebase()
    }
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
