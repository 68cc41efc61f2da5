import type { BlockDevicePair, Clock, DetachMode } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'

/** How long what is in flight may take to end before it is dropped by force, milliseconds. */
const FORCE_TIME = 1000

/** How to end a pair. */
export interface ClosePairOptions {
  readonly mode: DetachMode
  readonly signal: AbortSignal
  readonly clock: Clock
}

/** How a pair has ended. */
export interface ClosedPair {
  /** Whether no path was usable: what waited has failed then. */
  readonly stalled: boolean
  /** What may be lost of what was acknowledged, in words; undefined where nothing is. */
  readonly loss?: string
}

/**
 * Ends a pair; where no path is usable, at once. Rejects with IN_USE, and the pair stays, where the mode is `clean` and
 * its kernel node is in use.
 */
export async function closePair(pair: BlockDevicePair, { mode, signal, clock }: ClosePairOptions): Promise<ClosedPair> {
  const hurry = new AbortController()
  let stalled = false
  const giveUp = (): void => {
    stalled = true
    hurry.abort()
  }
  pair.events.on('stalled', giveUp)
  if (pair.state === 'stalled') giveUp()
  const limit = mode === 'force' ? clock.after(FORCE_TIME, () => hurry.abort()) : undefined
  try {
    await pair.close({ mode, signal: AbortSignal.any([hurry.signal, signal]) })
  } catch (error) {
    // It has ended all the same, but for what could not be waited for.
    if (!hurry.signal.aborted || isInUse(error)) throw error
    if (BlockError.is(error) && error.code !== 'ABORTED') return { stalled, loss: error.message }
  } finally {
    limit?.cancel()
    pair.events.off('stalled', giveUp)
  }
  return { stalled }
}

/** Whether a kernel node was not removed because somebody uses it. */
export function isInUse(error: unknown): error is BlockError {
  return BlockError.is(error) && error.code === 'IN_USE'
}
