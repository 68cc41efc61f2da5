import type { PathSlot } from './path-slot.ts'

/**
 * The storage has refused an I/O of `slot` for a reservation: whether another path may be let in, which is then to be
 * tried. A conflict on every path is one of the host: it is told at once, and no path stands back.
 */
export function mayLetOthersIn(slot: PathSlot, slots: readonly PathSlot[]): boolean {
  slot.exclusion.meet()
  const others = slots.filter((other) => other !== slot && other.takesIo && !other.exclusion.lately)
  if (others.length === 0) for (const each of slots) each.exclusion.standIn()
  // They rest for a moment: what is sent again must not find this one only.
  else if (!others.some((other) => other.usable)) slot.rest()
  if (others.length > 0) slot.exclusion.standBack()
  return others.length > 0
}

/** Who may do what has changed. */
export function forgetExclusions(slots: readonly PathSlot[]): void {
  for (const { exclusion } of slots) exclusion.forget()
}
