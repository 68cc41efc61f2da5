import type { PathView } from '../policy.ts'
import type { Access } from '../target.ts'
import type { PathEntry } from './path-entry.ts'

/** The entry behind a view that core made; null for everything else, whatever it is. */
export let entryOf: (value: unknown) => PathEntry | null

/** What policies hold of a path: it reads the path's numbers, and leads nowhere else. */
class EntryView implements PathView {
  readonly #entry: PathEntry

  constructor(entry: PathEntry) {
    this.#entry = entry
    Object.freeze(this)
  }

  static {
    entryOf = (value) => (typeof value === 'object' && value !== null && #entry in value ? value.#entry : null)
    // Else every view would lead to what makes views.
    Object.defineProperty(EntryView.prototype, 'constructor', { value: Object })
    Object.freeze(EntryView.prototype)
  }

  get id(): string {
    return this.#entry.id
  }

  get access(): Access {
    return this.#entry.access
  }

  get weight(): number {
    return this.#entry.weight
  }

  get queueDepth(): number {
    return this.#entry.queueDepth
  }

  get inflight(): number {
    return this.#entry.inflight
  }

  get inflightBytes(): number {
    return this.#entry.inflightBytes
  }

  get latency(): number {
    return this.#entry.latency
  }
}

/** Makes the view of an entry; a path has one for its whole life. */
export function viewOf(entry: PathEntry): PathView {
  return new EntryView(entry)
}
