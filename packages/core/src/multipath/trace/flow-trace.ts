import type { IoStatus } from '../../status.ts'
import type { Attempt } from '../attempt.ts'
import type { PathEntry } from '../path-entry.ts'
import type { PathSlot } from '../path-slot.ts'

/** What an I/O waits for. */
export const Wait = {
  /** Room on a usable path. */
  Room: 0,
  /** A usable path. */
  Path: 1,
  /** The fence of the path that failed with it. */
  Fence: 2,
  /** An earlier change of its range, or a guard. */
  Order: 3,
} as const
/** One of the values of {@link Wait}. */
export type Wait = (typeof Wait)[keyof typeof Wait]

/** What the flow of I/O tells where it is traced. */
export interface FlowTrace {
  /** The policy picked `wanted` among `entries`; the try goes to `taken`, which has room. Before it is counted in flight. */
  picked(attempt: Attempt, wanted: PathEntry, taken: PathEntry, entries: readonly PathEntry[]): void
  /** It has to wait; `slot`: whose fence it is. */
  waits(attempt: Attempt, why: Wait, slot: PathSlot | null): void
  /** A try has failed, and the I/O is tried again, or waits. */
  failed(attempt: Attempt, slot: PathSlot, status: IoStatus): void
  /** `second` does the same as `first`, on another path; the first answer wins. */
  hedged(first: Attempt, second: Attempt): void
  /** The I/O is done; `attempt.slot` is the path that has answered, null where it waited. */
  done(attempt: Attempt, status: IoStatus): void
}
