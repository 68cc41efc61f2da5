import type { Host, SignalOptions } from '@blockbraid/core'
import type { Place } from '../place/place.ts'
import type { Siblings } from './siblings.ts'

/** What the rungs of the ladder need. */
export interface LadderHost extends Host {
  readonly siblings: Siblings
  /** What is taken for the Command Quiesce Time of a controller that does not state it, milliseconds. */
  readonly quiesceTime: number
  /** Whether the subsystem knows no controller of that number of that host any more; rejects where that cannot be asked. */
  readonly forgets: (place: Place, controller: number, options: SignalOptions) => Promise<boolean>
}
