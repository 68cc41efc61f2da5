import type { Clock, Timer } from '../../clock.ts'
import type { Path } from '../../target.ts'
import { readsOne } from './reads-one.ts'

// Milliseconds to the first probe; each later one waits twice as long.
const FIRST = 1000

/** What a probation tells whoever has set it. */
export interface ProbationOwner {
  /** From now on it takes a few reads. */
  opened(): void
  /** A probe has failed. */
  failed(error: unknown): void
  /** It has stayed up all the time. */
  passed(): void
}

/** The probation of a path that is up: no I/O but probes for half of the time, then a few reads. */
export class Probation {
  /** Whether it takes a few reads. */
  takesReads = false
  readonly #clock: Clock
  readonly #owner: ProbationOwner
  #timer: Timer | undefined
  #probe: AbortController | undefined
  #until = 0

  constructor(clock: Clock, owner: ProbationOwner) {
    this.#clock = clock
    this.#owner = owner
  }

  /** Begins, for `term` milliseconds; a probe has `limit` milliseconds for its answer. */
  begin(path: Path, term: number, limit: number): void {
    const now = this.#clock.now()
    this.#until = now + term * 1000
    this.#next(path, now + term * 500, FIRST, limit)
  }

  stop(): void {
    this.#timer?.cancel()
    this.#probe?.abort()
    this.#probe = undefined
    this.takesReads = false
    this.#until = 0
  }

  /** Whether it is under way. */
  get isOn(): boolean {
    return this.#until !== 0
  }

  /** Milliseconds to its end. */
  get left(): number {
    return Math.max(0, this.#until - this.#clock.now()) / 1000
  }

  #next(path: Path, half: number, wait: number, limit: number): void {
    const left = Math.max(0, half - this.#clock.now()) / 1000
    if (left <= wait) {
      this.#timer = this.#clock.after(left, () => this.#open())
      return
    }
    this.#timer = this.#clock.after(wait, () => {
      const probe = new AbortController()
      this.#probe = probe
      readsOne(path, this.#clock, limit, probe.signal).then(
        () => {
          if (this.#probe === probe) this.#next(path, half, wait * 2, limit)
        },
        (error) => {
          if (this.#probe === probe) this.#owner.failed(error)
        },
      )
    })
  }

  #open(): void {
    this.#probe = undefined
    this.takesReads = true
    this.#timer = this.#clock.after(this.left, () => {
      this.stop()
      this.#owner.passed()
    })
    this.#owner.opened()
  }
}
