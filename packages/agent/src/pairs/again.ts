import type { BlockDevicePair } from '@blockbraid/core'
import { BlockError, messageOf } from '@blockbraid/core'
import { beginPairs } from './begin.ts'
import type { Keeping, Kept, PairFailure } from './keeping.ts'
import { pairOf, tellFailures } from './keeping.ts'
import { remakePair } from './make.ts'

/** Whether pairs were lost, or could not be made, and nothing is being done for them. */
export function lacksPairs(keeping: Keeping): boolean {
  return !keeping.signal.aborted && (lostIn(keeping).length > 0 || isWaiting(keeping))
}

/** Makes what was lost again, and plans anew what could not be made. */
export async function makeLacking(keeping: Keeping): Promise<void> {
  const { failures, telling } = keeping
  for (const one of lostIn(keeping)) {
    const { name } = one.planned
    const making = remakePair(keeping, one, (failure) => failures.set(name, failure))
    void making.ended.then((failure) => failure && tellFailures(keeping, [failure]))
  }
  if (!isWaiting(keeping)) return
  const { makings } = await beginPairs(keeping).catch((error: unknown) => {
    telling.tell('plan', [['names', messageOf(error)]])
    return { makings: [] }
  })
  for (const { ended } of makings) void ended.then((failure) => failure && tellFailures(keeping, [failure]))
}

/** Makes a pair again that was taken down, lost, or could not be made. Rejects with IN_USE where it is up, NOT_FOUND. */
export async function makeAgain(keeping: Keeping, name: string): Promise<BlockDevicePair> {
  const { kept, failures } = keeping
  const pair = pairOf(keeping, name)
  if (pair !== undefined && pair.state !== 'lost') {
    throw new BlockError('IN_USE', `${name} is up already, on ${pair.kernel.node}`)
  }
  if (!kept.has(name)) await beginPairs(keeping)
  const one = kept.get(name)
  if (one === undefined) throw new BlockError('NOT_FOUND', unknownPair(name, failures.get(name), downOf(kept)))
  const { state: before } = one
  if (before === 'down') one.state = 'making'
  const failure = await (one.making ?? remakePair(keeping, one, () => (one.state = before))).ended
  if (failure !== undefined) throw failure.error
  return pairOf(keeping, name)!
}

/** Marks a pair as taken down, so that nothing makes it again; whether it was being looked after without being there. */
export function releasePair(keeping: Keeping, name: string): boolean {
  const one = keeping.kept.get(name)
  keeping.failures.delete(name)
  if (one === undefined) return false
  const isGone = one.state === 'lost' && pairOf(keeping, name) === undefined
  one.state = 'down'
  return isGone
}

function lostIn({ kept }: Keeping): Kept[] {
  return [...kept.values()].filter(({ state, making }) => state === 'lost' && making === undefined)
}

function isWaiting({ failures, kept }: Keeping): boolean {
  return [...failures.keys()].some((name) => !kept.has(name))
}

function downOf(kept: ReadonlyMap<string, Kept>): string[] {
  return [...kept].filter(([, { state }]) => state === 'down').map(([name]) => name)
}

function unknownPair(name: string, failure: PairFailure | undefined, down: readonly string[]): string {
  if (failure !== undefined) return failure.error.message
  const others = down.length === 0 ? 'none was taken down' : `taken down are ${down.join(', ')}`
  return `the config makes no pair ${name} of what is there; ${others}`
}
