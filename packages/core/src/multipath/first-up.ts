import type { Clock } from '../clock.ts'
import { delay } from '../clock.ts'
import { orAborted } from '../closing.ts'
import { BlockError } from '../errors.ts'
import type { VolumeId } from '../volume-id.ts'
import type { PathSlot } from './path-slot.ts'

// How long the other paths are waited for once the first is up, milliseconds.
const GRACE = 1000

/** Settles when one is up, and the others have had their time. Rejects with NO_PATH where every first try has failed. */
export async function firstUp(
  volume: VolumeId,
  slots: readonly PathSlot[],
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<void> {
  const stop = new AbortController()
  try {
    const first = Promise.any(
      slots.map(async (slot) => {
        await slot.firstTry
        if (slot.state !== 'up') throw new Error(slot.reason)
      }),
    )
    await orAborted(first, signal)
    const others = Promise.all(slots.map((slot) => slot.firstTry))
    await orAborted(Promise.race([others, delay(clock, GRACE, stop.signal)]), signal)
  } catch (error) {
    if (!(error instanceof AggregateError)) throw error
    const reasons = slots.map((slot) => `${slot.entry.id}: ${slot.reason}`)
    const why = reasons.length === 0 ? 'it has none' : reasons.join('; ')
    throw new BlockError('NO_PATH', `no path to volume ${volume} could be opened (${why})`)
  } finally {
    stop.abort()
  }
}
