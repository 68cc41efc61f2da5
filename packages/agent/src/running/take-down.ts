import type { DetachMode } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { releasePair } from '../pairs/again.ts'
import type { ClosedPair } from '../pairs/close-pair.ts'
import { closePair, isInUse } from '../pairs/close-pair.ts'
import { pairOf } from '../pairs/keeping.ts'
import { findPair } from './find.ts'
import type { Running } from './running.ts'

/** How a pair that is taken down ends: its node goes, or that is refused where it is in use. */
export type TakeDownMode = Exclude<DetachMode, 'leave'>

/** Ends a pair until it is asked for, and tells what may be lost. Rejects with IN_USE where its node is in use. */
export async function takeDown(running: Running, name: string, mode: TakeDownMode = 'clean'): Promise<ClosedPair> {
  const { agent, host, signal } = running
  // One that was lost, and is being made again, has nothing to end.
  if (pairOf(running, name) === undefined && releasePair(running, name)) return { stalled: false }
  const pair = findPair(running, name)
  try {
    return await closePair(pair, { mode, signal, clock: host.clock })
  } catch (error) {
    if (!isInUse(error)) throw error
    const advice = `"blockbraid down --force ${name}" removes it all the same: whoever uses it gets EIO`
    throw new BlockError('IN_USE', `${name} stays up: ${error.message}; ${advice}`, { cause: error })
  } finally {
    if (!agent.pairs.includes(pair)) releasePair(running, name)
  }
}
