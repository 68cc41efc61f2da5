import type { Clock } from '@blockbraid/core'

// µs. A quick target answers a lone command well within this.
const WINDOW = 120
// Also bounds it where the clock stands still, as in virtual time. A look takes about 2 µs.
const MAX_LOOKS = 96

/**
 * Keeps the event loop awake for a moment after a lone command, where the answer to the last one came as soon: at
 * queue depth 1, going to sleep and being woken takes longer than all the rest of what is done here for a command.
 */
export class Wakeful {
  readonly #clock: Clock
  /** When the lone command was sent, µs; -1 when none is waited for. */
  #since = -1
  #worth = false
  #scheduled = false
  #looks = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A command was sent, and no other is in flight. */
  sent(): void {
    this.#since = this.#clock.now()
    this.#looks = 0
    if (!this.#worth || this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#look)
  }

  /** Bytes have come. */
  heard(): void {
    if (this.#since < 0) return
    this.#worth = this.#clock.now() - this.#since < WINDOW
    this.#since = -1
  }

  // An immediate that is pending makes the loop look at its sockets without sleeping.
  readonly #look = (): void => {
    if (this.#since >= 0 && ++this.#looks < MAX_LOOKS && this.#clock.now() - this.#since < WINDOW) {
      setImmediate(this.#look)
      return
    }
    this.#scheduled = false
  }
}
