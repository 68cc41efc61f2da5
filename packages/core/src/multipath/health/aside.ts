import { IoOp } from '../../io.ts'
import type { Attempt } from '../attempt.ts'
import { compareRanks, rankOf } from '../groups/rank.ts'
import type { PathEntry } from '../path-entry.ts'
import type { PathSlot } from '../path-slot.ts'

// At most one read of so many, and one in so many µs.
const SHARE = 16
const INTERVAL = 100_000

/** Paths that are not well, and take a few reads all the same, so that it is seen when they are. */
export class Aside {
  readonly slots: readonly PathSlot[]
  #passed = 0
  #due = 0
  #turn = 0

  constructor(slots: readonly PathSlot[]) {
    this.slots = slots
  }

  /** Sends an attempt, whose slot the policy has set to that of `entry`, to one of them where it is time for that. */
  divert(attempt: Attempt, entry: PathEntry, now: number): PathEntry {
    // What has met trouble once is not sent into the next.
    if (attempt.io.op !== IoOp.Read || attempt.deadline !== 0) return entry
    if (++this.#passed < SHARE || now < this.#due) return entry
    const slot = this.slots[this.#turn++ % this.slots.length] as PathSlot
    if (slot.entry.inflight > 0) return entry
    this.#passed = 0
    this.#due = now + INTERVAL
    attempt.slot = slot
    return slot.entry
  }
}

/** Those of `slots` that take a few reads beside `tier`; null where there are none. */
export function asideOf(slots: readonly PathSlot[], tier: readonly PathSlot[]): Aside | null {
  const [first] = tier
  if (first === undefined) return null
  const takes = (slot: PathSlot): boolean =>
    slot.vitals.takesReads && slot.usable && !slot.exclusion.isOn && !slot.isProtected && !tier.includes(slot)
  // No read goes where it is worse off for any other reason than health.
  const serves = { ...rankOf(first), well: true }
  const aside = slots.filter((slot) => takes(slot) && compareRanks({ ...rankOf(slot), well: true }, serves) >= 0)
  return aside.length === 0 ? null : new Aside(aside)
}
