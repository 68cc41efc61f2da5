import type { ResolvedOptions } from '../options.ts'
import type { PathEntry } from '../path-entry.ts'

// A path that has hung must serve for so many ioTimeouts to be as good as new.
const CURED = 4
const MOST_TIMEOUTS = 10
// So many in a row need more than to be left alone, unless they are known so soon, milliseconds, that they cost little.
const MANY_HANGS = 3
const COSTLY = 1000

/** How a path that was up has come to its end. */
export interface Ended {
  /** Milliseconds that it was up. */
  readonly up: number
  /** `clock.now()` when it failed, µs. */
  readonly at: number
  /** Where something had no answer, the milliseconds that this took to be known; else 0. */
  readonly hung: number
  /** Whether somebody has taken it out. */
  readonly byHand: boolean
}

/** What is held against a path that has failed: it has to earn its place again. */
export class Trust {
  /** Why it is on probation when it comes up, for people; an empty text where it is not. */
  cause = ''
  readonly #entry: PathEntry
  readonly #options: ResolvedOptions
  // How often in a row something had no answer, and what that cost last, milliseconds.
  #hangs = 0
  #cost = 0
  #ios = 0
  #errors = 0
  /** When it has failed last, µs; as many as may be too many. */
  #failures: number[] = []
  /** Probations that have followed each other. */
  #row = 0
  /** `clock.now()` of the end of the last one, µs. */
  #freed = Number.NEGATIVE_INFINITY

  constructor(entry: PathEntry, options: ResolvedOptions) {
    this.#entry = entry
    this.#options = options
  }

  /** It is up. */
  begin(): void {
    this.#ios = this.#entry.ios
    this.#errors = this.#entry.errors
  }

  /**
   * It has failed, and has nothing in flight any more. Returns whether it had served well, so that it is not the next in
   * a row of failures.
   */
  end(ended: Ended): boolean {
    const { up, hung, byHand } = ended
    const { ioTimeout, reconnectDelayMax } = this.#options
    const tried = this.#entry.ios - this.#ios
    const failed = this.#entry.errors - this.#errors
    const served = up >= reconnectDelayMax && (tried === 0 || tried > failed)
    if (served && up >= CURED * ioTimeout) this.#hangs = 0
    if (hung > 0) {
      this.#hangs++
      this.#cost = hung
    }
    if (!byHand) this.#judge(ended)
    return served
  }

  #judge({ up, at }: Ended): void {
    const { flapping } = this.#options
    if (flapping === false) return
    const { failures, window } = flapping
    // It has had its chance: a path that does not even stay up would soon be out for the longest time.
    if (this.cause !== '') {
      if (up >= window / failures) this.#row++
      return
    }
    this.#failures.push(at)
    if (this.#failures.length > failures) this.#failures.shift()
    const often = this.#failures.length === failures && at - (this.#failures[0] as number) <= window * 1000
    if (!often && (this.#hangs < MANY_HANGS || this.#cost < COSTLY)) return
    this.#row = at - this.#freed < this.term * 1000 ? this.#row + 1 : 0
    this.#failures = []
    this.cause = often
      ? `it has failed ${failures} times within ${window / 1000} s`
      : `${this.#hangs} times in a row it had no answer`
  }

  /** How long it is on probation, milliseconds. */
  get term(): number {
    const { flapping } = this.#options
    return flapping === false ? 0 : Math.min(flapping.probation * 2 ** this.#row, flapping.probationMax)
  }

  /** It has stayed up all through its probation. */
  free(now: number): void {
    this.cause = ''
    this.#freed = now
  }

  /** Somebody vouches for it. */
  restore(): void {
    this.#hangs = 0
    this.#row = 0
    this.#failures = []
    this.#freed = Number.NEGATIVE_INFINITY
    this.cause = ''
  }

  /** Whether it must show that it answers before it gets I/O. */
  get mustProve(): boolean {
    return this.#hangs > 0
  }

  /** Milliseconds for which it is better left alone where there is another path, as each try costs as much as the last. */
  get keepOut(): number {
    if (this.#hangs < 2) return 0
    return this.#cost * Math.min(2 ** (this.#hangs - 1), MOST_TIMEOUTS)
  }
}
