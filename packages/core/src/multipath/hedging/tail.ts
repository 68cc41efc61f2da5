// How many are seen before it is known what is slow.
const ENOUGH = 20
// One in a hundred is above: what the value rises by then it falls by in the 99 others.
const RISE = 1.1
const FALL = RISE ** (-1 / 99)

/** The latency below which 99 in 100 stay, learned one by one and in no memory; it follows what changes. */
export class Tail {
  #value = 0.5
  #seen = 0

  constructor() {
    // Declared as a double so that V8 keeps one representation.
    this.#value = 0
  }

  /** One has taken `elapsed` µs. */
  learn(elapsed: number): void {
    if (this.#seen < ENOUGH) {
      this.#seen++
      if (elapsed > this.#value) this.#value = elapsed
    } else {
      this.#value *= elapsed > this.#value ? RISE : FALL
    }
  }

  /** µs; Infinity as long as too few were seen. */
  get value(): number {
    return this.#seen < ENOUGH ? Number.POSITIVE_INFINITY : this.#value
  }
}
