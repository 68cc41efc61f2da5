// One read in so many.
const ONE_IN = 20
// How many may come in a row after a quiet time.
const MOST_SAVED = 16

/** How many second tries there may be: at most one read in twenty has one, over time and of those in flight. */
export class Budget {
  /** Second tries, and first ones that nobody waits for any more, that are in flight. */
  out = 0
  // In twentieths.
  #saved = 0

  /** A read was sent. */
  earn(): void {
    if (this.#saved < MOST_SAVED * ONE_IN) this.#saved++
  }

  /** Whether there may be another one beside `reads` in flight. */
  allows(reads: number): boolean {
    return this.#saved >= ONE_IN && this.out < Math.max(1, Math.floor(reads / ONE_IN))
  }

  spend(): void {
    this.#saved -= ONE_IN
    this.out++
  }
}
