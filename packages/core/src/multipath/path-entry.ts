import type { BlockDevice } from '../device.ts'
import type { PathView } from '../policy.ts'
import type { Access, Path } from '../target.ts'
import { LATENCY_BUCKETS } from './latency.ts'
import { viewOf } from './path-view.ts'

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
  readonly view: PathView = viewOf(this)
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
