import type { GuardStatus } from '../pair.ts'
import { Change } from './change.ts'
import type { PathSlot } from './path-slot.ts'

/** What somebody else, a process before or a device that was closed, owes a proof for. */
export interface Owed {
  /** First byte. */
  readonly offset: number
  /** Bytes; Infinity: to the end. */
  readonly length: number
  /** Id of the path through which it was sent. */
  readonly path: string
  /** Why there is no proof yet, for people. */
  reason(): string
  /** Settles with the proof. */
  readonly proven: Promise<void>
  /** Somebody answers for it: no proof is needed any more. */
  waive(): void
}

/**
 * A range in which a change that has no proof of its end may still come. It is troubled unless that is still in flight, on
 * a path that is not known to have failed.
 */
export class Guard extends Change {
  /** What brings the proof: the fence of a path, or somebody else. */
  readonly by: PathSlot | Owed
  readonly path: string
  /** Whether reads wait too: whoever reads now is not the one that was told of the failure. */
  readonly reads: boolean
  readonly since: number
  readonly reason: () => string

  constructor(
    by: PathSlot | Owed,
    range: { readonly from: number; readonly end: number; readonly order: number },
    about: { readonly path: string; readonly reads: boolean; readonly since: number; readonly reason: () => string },
  ) {
    super()
    this.by = by
    this.from = range.from
    this.end = range.end
    this.order = range.order
    this.troubled = true
    this.holdsAll = true
    this.path = about.path
    this.reads = about.reads
    this.since = about.since
    this.reason = about.reason
  }

  status(): GuardStatus {
    const { from, end, reads, path, since } = this
    return { offset: from, length: end - from, reads, path, since, reason: this.reason() }
  }
}
