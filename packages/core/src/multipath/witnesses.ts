import type { Clock } from '../clock.ts'
import { BlockError } from '../errors.ts'
import type { Path } from '../target.ts'
import { readsOne } from './health/reads-one.ts'
import type { PathSlot } from './path-slot.ts'
import { NO_ANSWER } from './troubles.ts'

/**
 * Asks paths that take I/O, and that tell of a lost cache before they answer, for a sign of life of the storage. Resolves
 * to whether one has answered, as soon as one has; one that has no answer in its time has failed.
 */
export async function oneAnswers(slots: readonly PathSlot[], clock: Clock, signal: AbortSignal): Promise<boolean> {
  try {
    await Promise.any(slots.map((slot) => answers(slot, clock, signal)))
    return true
  } catch {
    return false
  }
}

async function answers(slot: PathSlot, clock: Clock, signal: AbortSignal): Promise<void> {
  const path = slot.entry.path as Path
  const { limit } = slot.vitals
  try {
    await readsOne(path, clock, limit, signal)
  } catch (error) {
    const hung = BlockError.is(error) && error.code === 'TIMED_OUT'
    if (hung && slot.entry.path === path) slot.failHung(`a read had no answer for ${limit} ms`, NO_ANSWER)
    throw error
  }
}
