import type { Clock } from '../clock.ts'
import { Pause } from './pause.ts'

// How long a path is left alone that a reservation keeps out, milliseconds: nothing tells when it lets the path in again.
const WHILE = 5000

/** Whether a reservation keeps a path out, as far as is known. */
export class Exclusion {
  readonly #clock: Clock
  readonly #back: Pause
  #met = Number.NEGATIVE_INFINITY

  /** `over` hears when the path stands back no longer. */
  constructor(clock: Clock, over: () => void) {
    this.#clock = clock
    this.#back = new Pause(clock, over)
  }

  /** Whether the storage has refused an I/O lately. */
  get lately(): boolean {
    return this.#clock.now() - this.#met < WHILE * 1000
  }

  /** Whether the path stands back for others. */
  get isOn(): boolean {
    return this.#back.isOn
  }

  /** The storage has refused an I/O. */
  meet(): void {
    this.#met = this.#clock.now()
  }

  /** Others may be let in. */
  standBack(): void {
    this.#back.begin(WHILE)
  }

  /** No path is better than another. */
  standIn(): void {
    this.#back.end()
  }

  /** What is known does not hold any more. */
  forget(): void {
    this.standIn()
    this.#met = Number.NEGATIVE_INFINITY
  }
}
