import { BackOff } from '../back-off.ts'
import type { Host } from '../clock.ts'
import { delay } from '../clock.ts'
import type { ResolvedOptions } from './options.ts'

/** The waits of a path that is not up: how long they are, and what ends them early. */
export class Waits {
  /** Whether it is left alone for longer than a try to connect would be. */
  keptOut = false
  readonly #host: Host
  readonly #backOff: BackOff
  /** Whether nobody needs the path any more: what was asked for meanwhile must not be slept through. */
  readonly #over: () => boolean
  #interrupt = new AbortController()
  // Somebody has asked for it by hand.
  #atOnce = false

  constructor(host: Host, { reconnectDelay, reconnectDelayMax }: ResolvedOptions, over: () => boolean) {
    this.#host = host
    this.#over = over
    this.#backOff = new BackOff(reconnectDelay, reconnectDelayMax, host.random)
  }

  /** Begins something that {@link interrupt} ends by the signal. */
  begin(keptOut = false): AbortSignal {
    this.keptOut = keptOut
    this.#interrupt = new AbortController()
    if (this.#over()) this.#interrupt.abort()
    return this.#interrupt.signal
  }

  /** Ends what goes on now. */
  interrupt(): void {
    this.#interrupt.abort()
  }

  /** The next try is wanted now, and is to be one of its own. */
  hasten(): void {
    this.#backOff.reset()
    this.#atOnce = true
  }

  /** Whether a try may take what another one has met a moment ago. */
  takeRecent(): boolean {
    const recent = !this.#atOnce
    this.#atOnce = false
    return recent
  }

  /** It has served well. */
  reset(): void {
    this.#backOff.reset()
  }

  /** Settles when it is time for the next try. */
  next(signal?: AbortSignal): Promise<void> {
    const wait = this.#backOff.wait()
    this.#backOff.count()
    return delay(this.#host.clock, wait, signal)
  }
}
