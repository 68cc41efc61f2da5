import type { Clock } from '@blockbraid/core'
import { systemClock } from '@blockbraid/core'
import type { EventLoop } from './event-loop.ts'
import { eventLoop } from './event-loop.ts'

/**
 * Keeps the event loop awake for a moment after something lone was sent, where the answer to the last one came as soon:
 * at queue depth 1, going to sleep and being woken takes longer than all the rest of what is done here for an I/O. A
 * clock that is not the system's keeps nothing awake.
 */
export class Wakeful {
  readonly #clock: Clock
  readonly #window: number
  readonly #loop: EventLoop | null
  /** When the lone one was sent, µs; -1 when none is waited for. */
  #since = -1
  #worth = false
  #awake = false

  /** `window`, µs: a quick answer comes well within it. */
  constructor(clock: Clock, window: number, loop: EventLoop | null = clock === systemClock ? eventLoop : null) {
    this.#clock = clock
    this.#window = window
    this.#loop = loop
  }

  /** Something was sent, and nothing else is in flight. */
  waiting(): void {
    if (this.#loop === null) return
    this.#since = this.#clock.now()
    if (!this.#worth) return
    this.#awake = true
    this.#loop.stayAwake(this.#window)
  }

  /** Bytes have come. */
  heard(): void {
    if (this.#since < 0) return
    this.#worth = this.#clock.now() - this.#since < this.#window
    this.#since = -1
    if (!this.#awake) return
    this.#awake = false
    this.#loop!.stayAwake(0)
  }
}
