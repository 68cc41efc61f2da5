import type { PathSlot } from './path-slot.ts'

/**
 * Those of `slots` that I/O may go to, in their order. The ones that a reservation keeps out, and those through which
 * nothing may be changed, are among them only where there are no others.
 */
export function ableOf(slots: readonly PathSlot[]): readonly PathSlot[] {
  const letIn = slots.filter((slot) => !slot.exclusion.isOn)
  const open = letIn.length > 0 ? letIn : slots
  const writable = open.filter((slot) => !slot.isProtected)
  return writable.length > 0 ? writable : open
}

/** Why a slot that is up takes no I/O though its access would allow it; an empty text where it does not stand back. */
export function standsBack(slot: PathSlot, tier: readonly PathSlot[]): string {
  if (slot.takesIo && slot.exclusion.isOn && !tier.includes(slot)) {
    return 'kept out by a reservation: takes no I/O while other paths are let in; it may have to be registered'
  }
  if (!slot.usable || !slot.isProtected || tier.every((other) => other.isProtected)) return ''
  return 'write protected: takes no I/O while other paths are writable'
}
