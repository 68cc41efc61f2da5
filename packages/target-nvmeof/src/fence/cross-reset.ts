import { BackOff } from '@blockbraid/core'
import type { Association } from '../association/association.ts'
import type { LostController, Siblings } from './siblings.ts'

// Between two rounds of tries, milliseconds.
const FIRST_PAUSE = 50
const LONGEST_PAUSE = 5000

/**
 * Has one sibling after another reset a lost controller, until one has done it: resolves to whether one has, and to false
 * only when `signal` fires.
 */
export async function crossReset(
  lost: LostController,
  siblings: Siblings,
  random: () => number,
  signal: AbortSignal,
): Promise<boolean> {
  const refused = new WeakSet<Association>()
  const backOff = new BackOff(FIRST_PAUSE, LONGEST_PAUSE, random)
  for (; !signal.aborted; backOff.count()) {
    const tried = new Set<Association>()
    const next = () => siblings.of(lost).find((one) => !tried.has(one) && !refused.has(one))
    for (let sibling = next(); sibling !== undefined && !signal.aborted; sibling = next()) {
      tried.add(sibling)
      const outcome = await siblings.deskOf(sibling).reset(lost, signal)
      if (outcome === 'done') return true
      if (outcome === 'refused') refused.add(sibling)
    }
    await siblings.change(backOff.wait(), signal)
  }
  return false
}
