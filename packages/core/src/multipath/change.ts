import type { IoSource } from '../io-source.ts'

/** A change of data that has not ended: a try that is under way or waits, one that is done in pieces, or a guard. */
export class Change {
  /** First byte. */
  from = 0.5
  /** The byte behind the last. */
  end = 0.5
  /** Earlier changes have lower ones. */
  order = 0.5
  /** Whose it is. What one source has in flight at once is in no order (rule 7). */
  source: IoSource | null = null
  /** Whether everybody waits for it, its own source too. */
  holdsAll = false
  /** Whether a later one waits for it. */
  blocks = false
  /** Whether something went wrong with it, so that whoever waits for it does so for a bounded time only. */
  troubled = false
  /** Whether it stands in a {@link ChangeIndex}, and where. */
  level = -1
  before: Change | null = null
  after: Change | null = null

  constructor() {
    // Declared as doubles so that V8 keeps one representation when they pass 2 ** 31.
    this.from = 0
    this.end = 0
    this.order = 0
  }
}
