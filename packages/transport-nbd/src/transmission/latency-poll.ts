import type { Clock } from '@blockbraid/core'

// µs. A client that keeps one request in flight and is quick comes back well within this.
const WINDOW = 50
// Also bounds it where the clock stands still, as in virtual time. A look takes about 2 µs.
const MAX_LOOKS = 64

/**
 * Keeps the event loop awake for a moment after a lone reply, where the last lone reply was followed by a
 * request just as soon: going to sleep and being woken costs more than the whole request. A client that
 * takes longer than the window, or goes idle, costs nothing.
 */
export class LatencyPoll {
  readonly #clock: Clock
  /** When the last lone reply was sent, µs; -1 when a request has come since. */
  #since = -1
  #worth = false
  #scheduled = false
  #looks = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A reply was sent and nothing is in flight. */
  waiting(): void {
    this.#since = this.#clock.now()
    this.#looks = 0
    if (!this.#worth || this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#look)
  }

  /** Bytes of a client have come. */
  arrived(): void {
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
