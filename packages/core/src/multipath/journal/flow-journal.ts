import type { IoStatus } from '../../status.ts'
import type { Attempt } from '../attempt.ts'
import type { PathSlot } from '../path-slot.ts'

/** What the flow of I/O tells of failovers; never on the way of an I/O that met no trouble. */
export interface FlowJournal {
  /** Tries of a failed path go elsewhere at once, or, `held`, wait for its fence. */
  moved(slot: PathSlot, held: boolean): void
  /** The fence of a path is proven: so many I/Os that waited for it move on. */
  freed(slot: PathSlot, count: number): void
  /** An I/O has waited too long. */
  expired(): void
  /** An I/O that met trouble is done. */
  done(attempt: Attempt, status: IoStatus): void
}
