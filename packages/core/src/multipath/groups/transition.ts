import type { Clock } from '../../clock.ts'
import type { Access, Path } from '../../target.ts'
import { Pause } from '../pause.ts'

// The longest delay that setTimeout keeps.
const LONGEST = 2 ** 31 - 1

/** Bounds the time that a path may be in transition between access states: after that it counts as unavailable. */
export class Transition {
  readonly #clock: Clock
  readonly #timeout: number
  readonly #timer: Pause
  #limit = 0
  #since = 0
  #overdue = false

  /** `timeout`: milliseconds where the storage does not say; `over` is called when it takes longer. */
  constructor(clock: Clock, timeout: number, over: () => void) {
    this.#clock = clock
    this.#timeout = timeout
    this.#timer = new Pause(clock, () => {
      this.#overdue = true
      over()
    })
  }

  /** Whether one is under way, within its time. */
  get isOn(): boolean {
    return this.#timer.isOn
  }

  /** What the access state that a path tells comes to. */
  judge({ access, transitionTime = 0 }: Path): Access {
    if (access !== 'transitioning') {
      this.stop()
      return access
    }
    if (this.#overdue) return 'unavailable'
    if (!this.isOn) {
      this.#since = this.#clock.now()
      this.#limit = Math.min(transitionTime > 0 ? transitionTime : this.#timeout, LONGEST)
      this.#timer.begin(this.#limit)
    }
    return access
  }

  /** How it stands, in words; an empty text where there is none. */
  get reason(): string {
    const limit = `${this.#limit / 1000} s`
    if (this.#overdue) return `in transition for more than ${limit}: counts as unavailable`
    if (!this.isOn) return ''
    const seconds = Math.floor((this.#clock.now() - this.#since) / 1_000_000)
    return `in transition for ${seconds} s, and may be for ${limit}`
  }

  stop(): void {
    this.#timer.end()
    this.#overdue = false
  }
}
