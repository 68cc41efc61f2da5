/**
 * What is left of 1 after `halvings`: exact where they are whole, in a straight line between. Far cheaper than a power, and
 * policies read it for each path of each I/O.
 */
export function halved(halvings: number): number {
  if (halvings >= 31) return 0
  const whole = halvings | 0
  return (1 - (halvings - whole) / 2) / (1 << whole)
}

/** A count that halves after each `halfLife` µs. */
export class FadingCount {
  readonly #halfLife: number
  #count = 0.5
  #since = 0.5

  constructor(halfLife: number) {
    this.#halfLife = halfLife
    // Declared as doubles so that V8 keeps one representation for them.
    this.#count = 0
    this.#since = 0
  }

  /** Counts one more. */
  add(now: number): void {
    this.#count = this.at(now) + 1
    this.#since = now
  }

  /** What is left. */
  at(now: number): number {
    return this.#count === 0 ? 0 : this.#count * halved((now - this.#since) / this.#halfLife)
  }
}
