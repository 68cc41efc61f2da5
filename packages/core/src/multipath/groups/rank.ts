import type { PathSlot } from '../path-slot.ts'

/** How good a path is to send I/O to; slots of one rank are a group. */
export interface Rank {
  /** It neither fails again and again nor is slow. */
  readonly well: boolean
  readonly optimized: boolean
  /** The storage would rather have its port used. */
  readonly preferred: boolean
  /** By the options. */
  readonly priority: number
}

/** The rank of a slot as it is now. */
export function rankOf({ entry, health, priority }: PathSlot): Rank {
  const { access, path } = entry
  return { well: health === '', optimized: access === 'optimized', preferred: path?.preferred === true, priority }
}

/** Above 0 where `one` is the better of two, 0 where they are equal: health first, then access, then the storage's wish, then the options. */
export function compareRanks(one: Rank, other: Rank): number {
  return (
    Number(one.well) - Number(other.well) ||
    Number(one.optimized) - Number(other.optimized) ||
    Number(one.preferred) - Number(other.preferred) ||
    one.priority - other.priority
  )
}

/** The best rank of some slots; undefined where there are none. */
export function bestRank(slots: readonly PathSlot[]): Rank | undefined {
  let best: Rank | undefined
  for (const slot of slots) {
    const rank = rankOf(slot)
    if (best === undefined || compareRanks(rank, best) > 0) best = rank
  }
  return best
}

/** Those of a rank, in their order. */
export function groupOf(slots: readonly PathSlot[], rank: Rank): PathSlot[] {
  return slots.filter((slot) => compareRanks(rankOf(slot), rank) === 0)
}
