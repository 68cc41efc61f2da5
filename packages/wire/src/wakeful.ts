import type { Clock } from '@blockbraid/core'
import { systemClock } from '@blockbraid/core'
import type { EventLoop } from './event-loop.ts'
import { eventLoop } from './event-loop.ts'

// What came too late while it was waited for awake: another process had this core, as it will again as long as we
// take more of it than our share, or the other end is slow. So many times as long none is waited for awake, and twice
// as long as the last time where that was no longer ago.
const RESTS = 16
/** µs */
const LONGEST_REST = 1_000_000

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
  /** Both in µs. */
  #rest = 0
  #restsUntil = 0

  /** `window`, µs: a quick answer comes well within it. */
  constructor(clock: Clock, window: number, loop: EventLoop | null = clock === systemClock ? eventLoop : null) {
    this.#clock = clock
    this.#window = window
    this.#loop = loop
  }

  /** Something was sent, and nothing else is in flight. */
  waiting(): void {
    if (this.#loop === null) return
    const now = this.#clock.now()
    this.#since = now
    if (!this.#worth || now < this.#restsUntil) return
    this.#awake = true
    this.#loop.stayAwake(this.#window)
  }

  /** Bytes have come. */
  heard(): void {
    if (this.#since < 0) return
    const now = this.#clock.now()
    const waited = now - this.#since
    this.#since = -1
    this.#worth = waited < this.#window
    if (!this.#awake) return
    this.#awake = false
    this.#loop!.stayAwake(0)
    if (!this.#worth) this.#doze(now, waited)
  }

  #doze(now: number, waited: number): void {
    const again = now - this.#restsUntil < this.#rest ? 2 * this.#rest : 0
    this.#rest = Math.min(Math.max(RESTS * waited, again), LONGEST_REST)
    this.#restsUntil = now + this.#rest
  }
}
