import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import type { Io } from '../io.ts'
import type { IoView, PathSelector, PathView } from '../policy.ts'
import { viewOfCurrent } from './io-view.ts'
import type { PathEntry } from './path-entry.ts'
import { entryOf } from './path-entry.ts'

/**
 * The policy of a device and the wall around it: what it is given it cannot write, and what it does wrong is
 * counted, told once, and costs no I/O.
 */
export class Selection {
  /** Name of the policy, as it was when it was chosen. */
  name: string
  /** How often it threw or returned what is not in its list. */
  faults = 0
  /** The I/O that its `select` runs for, so that no other one is begun from inside; null outside. */
  current: Io | null = null
  readonly clock: Clock
  #selector: PathSelector
  #entries: readonly PathEntry[] = []
  #views: readonly PathView[] = []
  #io: IoView = viewOfCurrent(this)
  #updating = false
  #told = false
  #onFault: (error: Error) => void

  constructor(selector: PathSelector, clock: Clock, onFault: (error: Error) => void) {
    this.clock = clock
    this.#selector = selector
    this.name = selector.name
    this.#onFault = onFault
  }

  /** The path that the policy picks for `io`, else the first; undefined where a listener of faults left none. */
  pick(io: Io): PathEntry | undefined {
    let picked: unknown
    this.current = io
    try {
      picked = this.#selector.select(this.#io)
    } catch (error) {
      return this.#threw(error)
    }
    this.current = null
    const entry = entryOf(picked)
    return entry !== null && this.#entries[entry.index] === entry ? entry : this.#foreign(picked)
  }

  #threw(error: unknown): PathEntry | undefined {
    this.current = null
    return this.#fault(`select threw: ${reasonOf(error)}`, error)
  }

  #foreign(picked: unknown): PathEntry | undefined {
    if (picked != null) absorb(picked, ignore)
    return this.#fault('select returned what is not in the list of its last update')
  }

  /** Tells the policy the paths that it may pick from; `entry.index` is their place in the list. */
  update(entries: readonly PathEntry[]): void {
    this.#entries = entries
    this.#views = entries.map(({ view }) => view)
    // A change that its own `update` brought about is told when that has ended, so that the last list is told last.
    if (this.#updating) return
    this.#updating = true
    for (let views: readonly PathView[] = []; views !== this.#views && this.#views.length > 0; ) {
      views = this.#views
      try {
        this.#tell(this.#selector, views)
      } catch (error) {
        this.#fault(`update threw: ${reasonOf(error)}`, error)
      }
    }
    this.#updating = false
  }

  /** Exchanges the policy; throws what its `update` throws, and then keeps the old one. */
  exchange(selector: PathSelector): void {
    const { name } = selector
    for (let views: readonly PathView[] = []; views !== this.#views && this.#views.length > 0; ) {
      views = this.#views
      this.#tell(selector, views)
    }
    this.#selector = selector
    this.name = name
    this.#told = false
  }

  #tell(selector: PathSelector, views: readonly PathView[]): void {
    // A copy, not a frozen list: V8 reads those three times slower.
    const returned: unknown = selector.update([...views])
    absorb(returned, (error) => this.#fault(`update rejected: ${reasonOf(error)}`, error))
  }

  #fault(what: string, cause?: unknown): PathEntry | undefined {
    this.faults++
    if (!this.#told) {
      this.#told = true
      this.#onFault(new Error(`policy ${this.name}: ${what}; the first path is used`, { cause }))
    }
    return this.#entries[0]
  }
}

// What an asynchronous policy rejects with would else end the process.
function absorb(returned: unknown, onRejected: (error: unknown) => void): void {
  if (typeof returned !== 'object' || returned === null) return
  new Promise((resolve) => resolve(returned)).catch(onRejected)
}

function ignore(): void {}

// What a policy throws may throw again when it is looked at.
function reasonOf(error: unknown): string {
  try {
    return String(messageOf(error))
  } catch {
    return 'something that cannot be shown'
  }
}
