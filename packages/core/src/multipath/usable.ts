import type { PathSlot } from './path-slot.ts'

/** The slots that I/O goes to: the usable ones of the best access tier, in the order they were added. */
export function bestTier(slots: readonly PathSlot[]): PathSlot[] {
  const usable = slots.filter((slot) => slot.usable)
  const optimized = usable.filter((slot) => slot.entry.access === 'optimized')
  return optimized.length > 0 ? optimized : usable
}

/** A standby path that can be activated, where the device has nothing better. */
export function activatable(slots: readonly PathSlot[], last: PathSlot | undefined): PathSlot | undefined {
  const able = slots.filter(
    (slot) => slot.state === 'up' && slot.entry.access === 'standby' && slot.entry.path?.activate !== undefined,
  )
  return able[last === undefined ? 0 : (able.indexOf(last) + 1) % able.length]
}
