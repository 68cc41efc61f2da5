import type { Clock, Timer } from '../clock.ts'

/** Something that holds for a while, and then ends by itself. */
export class Pause {
  readonly #clock: Clock
  readonly #over: () => void
  #timer: Timer | undefined

  /** `over` hears when it has ended by itself. */
  constructor(clock: Clock, over: () => void) {
    this.#clock = clock
    this.#over = over
  }

  get isOn(): boolean {
    return this.#timer !== undefined
  }

  /** Begins, or begins anew. */
  begin(milliseconds: number): void {
    this.#timer?.cancel()
    this.#timer = this.#clock.after(milliseconds, () => {
      this.#timer = undefined
      this.#over()
    })
  }

  end(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
