import type { BlockDevice } from '../device.ts'
import type { PathView } from '../policy.ts'
import type { Access, Path } from '../target.ts'
import { LATENCY_BUCKETS } from './latency.ts'

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

/** A path's numbers: those that policies see through its view, and the counters that operators see. */
export class PathEntry {
  readonly id: string
  readonly weight: number
  access: Access = 'optimized'
  queueDepth = 1
  inflight = 0
  inflightBytes: number
  latency: number
  /** Place in the list that the selector knows; -1 when it is not in it. */
  index = -1
  /** The connection; null when there is none. */
  path: Path | null = null
  /** What takes its I/O: the path itself, or a front where the path takes less than the device lets through. */
  device: BlockDevice | null = null
  ios = 0
  bytes: number
  errors = 0
  retries = 0
  failures = 0
  /** What policies get of it. */
  readonly view: PathView = new EntryView(this)
  readonly histogram: Float64Array = new Float64Array(LATENCY_BUCKETS)

  constructor(id: string, weight: number) {
    this.id = id
    this.weight = weight
    // Started as doubles so that V8 keeps one representation for them.
    this.inflightBytes = 0.5
    this.latency = 0.5
    this.bytes = 0.5
    this.inflightBytes = 0
    this.latency = 0
    this.bytes = 0
  }
}
