/** How long to wait between tries of what fails: each wait is twice the one before, up to a longest one, with jitter. */
export class BackOff {
  readonly #first: number
  readonly #longest: number
  readonly #random: () => number
  #tries = 0

  /** Both in milliseconds. */
  constructor(first: number, longest: number, random: () => number) {
    this.#first = first
    this.#longest = longest
    this.#random = random
  }

  /** The wait before the next try, milliseconds: half of it at least, the rest by chance. */
  wait(): number {
    return Math.min(this.#first * 2 ** this.#tries, this.#longest) * (0.5 + this.#random() / 2)
  }

  /** A try is made. */
  count(): void {
    this.#tries++
  }

  /** One has succeeded, or the next is wanted soon. */
  reset(): void {
    this.#tries = 0
  }
}
