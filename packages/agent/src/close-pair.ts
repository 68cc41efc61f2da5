import type { BlockDevicePair } from '@blockbraid/core'

/** Ends a pair; where no path is usable, at once. Resolves to whether that was so: what waited has failed then. */
export async function closePair(pair: BlockDevicePair, signal: AbortSignal): Promise<boolean> {
  const hurry = new AbortController()
  const giveUp = (): void => hurry.abort()
  pair.events.on('stalled', giveUp)
  if (pair.state === 'stalled') giveUp()
  try {
    await pair.close({ signal: AbortSignal.any([hurry.signal, signal]) })
  } catch (error) {
    // It has ended all the same, but for what could not be waited for.
    if (!hurry.signal.aborted) throw error
  } finally {
    pair.events.off('stalled', giveUp)
  }
  return hurry.signal.aborted
}
