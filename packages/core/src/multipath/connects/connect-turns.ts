import type { Host, Timer } from '../../clock.ts'
import { BlockError } from '../../errors.ts'

/** How many may be at it at once; milliseconds for the rest. */
const MOST = 32
// One that takes longer gives its place to the next, and goes on: what hangs keeps nobody.
const PLACE_TIME = 250
// So many may begin in one turn of the event loop; the others follow one by one, after up to twice a millisecond each.
const AT_ONCE = 8
const LONGEST_GAP = 2
// Those that had no answer when they were last tried go behind the others, but for one in so many.
const FAIR_SHARE = 4

/** A place among those that connect. */
export interface ConnectPlace {
  /** Gives it to the next; twice is fine. */
  leave(): void
}

type Waiting = () => void

/**
 * Lets paths connect in the order in which they ask, a few at a time and not all in one turn of the event loop, whatever
 * device they are of: many of them come back at once when a switch or an array does.
 */
export class ConnectTurns {
  readonly #host: Host
  readonly #first = new Set<Waiting>()
  /** Those that had no answer when they were last tried. */
  readonly #silent = new Set<Waiting>()
  #running = 0
  #begun = 0
  #timer: Timer | undefined

  constructor(host: Host) {
    this.#host = host
  }

  /** How many wait. */
  get waiting(): number {
    return this.#first.size + this.#silent.size
  }

  /** Takes a place at once, where that may be. */
  tryEnter(): ConnectPlace | undefined {
    return this.#running < AT_ONCE && this.waiting === 0 ? this.#begin() : undefined
  }

  /**
   * Settles with a place when those before have begun; `silent`: it had no answer when it was last tried. Rejects with
   * CLOSED when `signal` fires.
   */
  enter(silent: boolean, signal: AbortSignal): Promise<ConnectPlace> {
    const list = silent ? this.#silent : this.#first
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        list.delete(go)
        reject(new BlockError('CLOSED', 'taken out'))
      }
      const go = (): void => {
        signal.removeEventListener('abort', abort)
        resolve(this.#begin())
      }
      if (signal.aborted) return abort()
      signal.addEventListener('abort', abort, { once: true })
      list.add(go)
      this.#plan()
    })
  }

  #begin(): ConnectPlace {
    this.#running++
    let left = false
    const leave = (): void => {
      if (left) return
      left = true
      timer.cancel()
      this.#running--
      this.#plan()
    }
    const timer = this.#host.clock.after(PLACE_TIME, leave)
    return { leave }
  }

  #plan(): void {
    if (this.#timer !== undefined || this.#running >= MOST || this.waiting === 0) return
    this.#timer = this.#host.clock.after(this.#host.random() * LONGEST_GAP, () => {
      this.#timer = undefined
      this.#next()
      this.#plan()
    })
  }

  #next(): void {
    const silentNow = this.#first.size === 0 || (this.#silent.size > 0 && ++this.#begun % FAIR_SHARE === 0)
    const list = silentNow ? this.#silent : this.#first
    for (const go of list) {
      list.delete(go)
      return go()
    }
  }
}
