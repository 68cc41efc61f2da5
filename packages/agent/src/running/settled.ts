import { abortable } from '@blockbraid/core'
import type { Making, PairFailure } from '../pairs/keeping.ts'
import { tellFailures } from '../pairs/keeping.ts'
import { settleMost } from '../pairs/settle.ts'
import type { Running } from './running.ts'

/** How long others are waited for once a pair is up, from the last one that came up, milliseconds. */
const PATIENCE = 1500

/** What became of pairs that were begun. */
export interface Settled {
  readonly failures: readonly PairFailure[]
  /** Those that are still being made. */
  readonly slow: readonly Pick<PairFailure, 'name' | 'error'>[]
  readonly paired: readonly string[]
}

/** Waits for most of what is being made; what takes longer is told when it has failed. */
export async function settlePairs(running: Running, makings: readonly Making[], signal: AbortSignal): Promise<Settled> {
  const { agent, host } = running
  const failures = new Map<string, PairFailure>()
  const left = new Set(makings)
  const ends = makings.map((making) =>
    making.ended.then((failure) => {
      left.delete(making)
      if (failure !== undefined) failures.set(making.name, failure)
    }),
  )
  const enough = (): boolean => agent.pairs.length > 0 || [...failures.values()].some(({ passing }) => !passing)
  const busy = (): boolean => running.attachments > 0
  await abortable(settleMost(ends, host.clock, PATIENCE, { enough, busy }), signal)
  for (const { ended } of left) void ended.then((failure) => failure && tellFailures(running, [failure]))
  return {
    failures: makings.flatMap(({ name }) => failures.get(name) ?? []),
    slow: [...left].map(({ name }) => ({ name, error: new Error(`pair ${name}: its volume takes long to open`) })),
    paired: makings.filter((making) => !left.has(making) && !failures.has(making.name)).map(({ name }) => name),
  }
}
