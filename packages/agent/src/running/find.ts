import type { BlockDevicePair } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import type { Keeping } from '../pairs/keeping.ts'
import { pairOf } from '../pairs/keeping.ts'

/** The pair of that name. Throws NOT_FOUND with the names that there are. */
export function findPair(running: Pick<Keeping, 'agent'>, name: string): BlockDevicePair {
  const found = pairOf(running, name)
  if (found !== undefined) return found
  throw new BlockError(
    'NOT_FOUND',
    noPair(
      name,
      running.agent.pairs.map(({ id }) => id),
    ),
  )
}

/** Says that there is no pair of that name, and which there are. */
export function noPair(name: string, names: readonly string[]): string {
  return `there is no pair ${name}; ${names.length === 0 ? 'no pair is up' : `up are ${names.join(', ')}`}`
}
