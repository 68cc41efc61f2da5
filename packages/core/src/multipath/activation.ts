import type { Host } from '../clock.ts'
import { delay } from '../clock.ts'
import type { ResolvedOptions } from './options.ts'
import type { PathSlot } from './path-slot.ts'
import { activatable } from './usable.ts'

/** Asks standby paths, one after the other, to be made active, as long as nothing better is there. */
export class Activation {
  readonly #host: Host
  readonly #options: ResolvedOptions
  /** Fires when the device ends. */
  readonly #ended: AbortSignal
  readonly #wanted: () => readonly PathSlot[]
  #asking = false
  #last: PathSlot | undefined

  /** `wanted` lists all paths where none is usable, and nothing else. */
  constructor(host: Host, options: ResolvedOptions, ended: AbortSignal, wanted: () => readonly PathSlot[]) {
    this.#host = host
    this.#options = options
    this.#ended = ended
    this.#wanted = wanted
  }

  /** Looks whether one is to be asked now. */
  look(): void {
    if (this.#asking) return
    const slots = this.#wanted()
    if (slots.length === 0) return
    this.#last = activatable(slots, this.#last)
    const path = this.#last?.entry.path
    if (path?.activate === undefined) return
    this.#asking = true
    const { clock } = this.#host
    const { connectTimeout, reconnectDelay } = this.#options
    const over = new AbortController()
    // Refused, failed or without an answer: the next one is asked as long as nothing better comes up.
    void Promise.race([
      path.activate({ signal: over.signal }).catch(() => {}),
      delay(clock, connectTimeout, over.signal),
    ])
      .then(() => over.abort())
      .then(() => delay(clock, reconnectDelay, this.#ended))
      .then(() => {
        this.#asking = false
        this.look()
      })
  }
}
