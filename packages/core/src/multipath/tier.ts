import type { PathEntry } from './path-entry.ts'
import type { PathSlot } from './path-slot.ts'

/** The paths that I/O goes to: the slots, and what the policy picks from, at the same places. */
export class Tier {
  slots: readonly PathSlot[] = []
  entries: readonly PathEntry[] = []

  /** Exchanges them; `entry.index` is their place. */
  set(slots: readonly PathSlot[]): void {
    for (const entry of this.entries) entry.index = -1
    this.slots = slots
    this.entries = slots.map((slot) => slot.entry)
    for (const [index, entry] of this.entries.entries()) entry.index = index
  }

  /** The first that has room; undefined where each has as much in flight as it works on at once. */
  withRoom(): PathEntry | undefined {
    const { entries } = this
    for (let index = 0; index < entries.length; index++) {
      const entry = entries[index] as PathEntry
      if (entry.inflight < entry.queueDepth) return entry
    }
    return undefined
  }
}
