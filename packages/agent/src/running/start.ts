import { BlockError } from '@blockbraid/core'
import type { Begun } from '../pairs/begin.ts'
import { beginPairs } from '../pairs/begin.ts'
import type { PairFailure } from '../pairs/keeping.ts'
import { tellFailures } from '../pairs/keeping.ts'
import { notFound } from '../plan/pairing.ts'
import { follow } from './rescan.ts'
import type { Running } from './running.ts'
import { settlePairs } from './settled.ts'
import { lineOfError, tellPlan, tellScan } from './tell.ts'

/** How to start. */
export interface StartOptions {
  /** Whether another agent has left its nodes to this one: then it starts with whatever it can serve of them. */
  readonly replaced: boolean
  readonly signal: AbortSignal
}

/**
 * Looks at the targets and makes the pairs that the config wants; from then on it goes on by itself. Rejects with what is
 * wrong with the config or this host, or where nothing can be served.
 */
export async function startPairs(running: Running, { replaced, signal }: StartOptions): Promise<void> {
  const { agent, config, hider, log } = running
  const found = await agent.rescan({ signal })
  const begun = await beginPairs(running, true)
  const { failures, slow } = await settlePairs(running, begun.makings, signal)
  // Whoever uses a node that was taken over must not suffer from what is wrong with another.
  const holds = replaced || agent.pairs.some(({ kernel }) => kernel.tookOver)
  if (!holds) throwIfNothing(failures, begun, agent.pairs.length)
  const silent = found.errors.filter(({ volume, path }) => volume === undefined && path === undefined)
  const [first, ...others] = silent
  if (first !== undefined && silent.length === agent.targets.length && !holds) {
    tellScan(running, { ...found, errors: others })
    throw new BlockError('CONNECT_FAILED', hider.hide(lineOfError(first)))
  }
  tellScan(running, found)
  tellPlan(running, begun)
  tellFailures(running, [...failures, ...slow])
  for (const volume of notFound(agent.devices(), config.devices)) log.report(`${volume} is not there yet`)
  running.started = true
  agent.events.on('rescanned', (scan) => follow(running, scan))
}

/** Throws why an agent that has `pairs` must not start: a mistake, or nothing that it could serve. */
function throwIfNothing(failures: readonly PairFailure[], { refusals }: Begun, pairs: number): void {
  const mistake = failures.find(({ passing }) => !passing)
  if (mistake !== undefined) throw mistake.error
  if (pairs > 0) return
  const [first] = [...refusals, ...failures.map(({ error }) => error)]
  if (first !== undefined) throw first
}
