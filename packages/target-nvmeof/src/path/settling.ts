import type { Access, Clock, Timer } from '@blockbraid/core'

// Where the controller does not say how long, seconds.
const USUAL = 10

/** Bounds the time that a namespace may be in transition: the longest is told by the controller (ANATT, NVMe Base 2.1 §8.1.1). */
export class Settling {
  readonly #clock: Clock
  readonly #limit: number
  readonly #over: () => void
  #timer: Timer | undefined
  #overdue = false

  /** `seconds`: ANATT; `over`: called when it takes longer. */
  constructor(clock: Clock, seconds: number, over: () => void) {
    this.#clock = clock
    this.#limit = 1000 * (seconds || USUAL)
    this.#over = over
  }

  /** What an access state that was read comes to: a transition that takes too long is none. */
  judge(told: Access): Access {
    if (told !== 'transitioning') {
      this.stop()
      this.#overdue = false
      return told
    }
    if (this.#overdue) return 'unavailable'
    this.#timer ??= this.#clock.after(this.#limit, () => {
      this.#overdue = true
      this.#over()
    })
    return told
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
