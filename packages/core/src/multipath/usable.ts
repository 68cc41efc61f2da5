import type { PathSlot } from './path-slot.ts'

/**
 * The slots that I/O goes to: the usable ones of the best access tier, in the order they were added. Those that a
 * reservation keeps out, and those through which nothing may be changed, come in only where there are no others.
 */
export function bestTier(slots: readonly PathSlot[]): PathSlot[] {
  const usable = slots.filter((slot) => slot.usable)
  const letIn = usable.filter((slot) => !slot.exclusion.isOn)
  const open = letIn.length > 0 ? letIn : usable
  const writable = open.filter((slot) => !slot.isProtected)
  const able = writable.length > 0 ? writable : open
  const optimized = able.filter((slot) => slot.entry.access === 'optimized')
  return optimized.length > 0 ? optimized : able
}

/** Why a slot that is up takes no I/O though its access would allow it; an empty text where it does not stand back. */
export function standsBack(slot: PathSlot, tier: readonly PathSlot[]): string {
  if (slot.takesIo && slot.exclusion.isOn && !tier.includes(slot)) {
    return 'kept out by a reservation: takes no I/O while other paths are let in; it may have to be registered'
  }
  if (!slot.usable || !slot.isProtected || tier.every((other) => other.isProtected)) return ''
  return 'write protected: takes no I/O while other paths are writable'
}

/** A standby path that can be activated, where the device has nothing better. */
export function activatable(slots: readonly PathSlot[], last: PathSlot | undefined): PathSlot | undefined {
  const able = slots.filter(
    (slot) => slot.state === 'up' && slot.entry.access === 'standby' && slot.entry.path?.activate !== undefined,
  )
  return able[last === undefined ? 0 : (able.indexOf(last) + 1) % able.length]
}
