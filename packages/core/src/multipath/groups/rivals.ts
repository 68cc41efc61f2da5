import { BackOff } from '../../back-off.ts'
import type { Host } from '../../clock.ts'
import type { ResolvedOptions } from '../options.ts'
import type { PathSlot } from '../path-slot.ts'

// First pause after the volume was taken back, milliseconds.
const FIRST = 1000
// What has lasted for so long was no ping-pong, µs.
const LASTED = 60_000_000
// The longest pause leaves I/O that waits for `noPathTimeout` time for so many tries.
const TRIES = 3

/** Kind of the trouble that others cause who take a volume back. */
export const TAKEN_BACK = 'taken back'

/** Others who take the volume back after this host has activated it: between two that do so it would never rest. */
export class Rivals {
  /** What they did last, for people; an empty text where nobody did. */
  words = ''
  readonly #host: Host
  readonly #backOff: BackOff
  #won: { readonly slot: PathSlot; readonly at: number } | undefined
  #losses = 0

  constructor(host: Host, { reconnectDelayMax, noPathTimeout }: ResolvedOptions) {
    this.#host = host
    this.#backOff = new BackOff(FIRST, Math.min(reconnectDelayMax, noPathTimeout / TRIES), host.random)
  }

  /** The slot takes I/O, after this host has asked for that. */
  won(slot: PathSlot): void {
    this.#won = { slot, at: this.#host.clock.now() }
  }

  /** No path takes I/O any more. Returns how long this host waits before it asks again, milliseconds. */
  lost(): number {
    const won = this.#won
    this.#won = undefined
    this.words = ''
    if (won === undefined || won.slot.state !== 'up' || won.slot.entry.access !== 'standby') return this.#rest()
    const lasted = this.#host.clock.now() - won.at
    if (lasted >= LASTED) return this.#rest()
    this.#losses++
    const wait = this.#backOff.wait()
    this.#backOff.count()
    const times = this.#losses === 1 ? '' : `, ${this.#losses} times in a row`
    this.words =
      `another host, or the storage itself, has taken the volume back ${(lasted / 1_000_000).toFixed(1)} s after ` +
      `this host activated it${times}`
    const text = `${this.words}; this host waits ${(wait / 1000).toFixed(1)} s before it asks for it again`
    won.slot.trouble({ kind: TAKEN_BACK, text, severity: 'warning', count: 1 })
    return wait
  }

  #rest(): number {
    this.#losses = 0
    this.#backOff.reset()
    return 0
  }
}
