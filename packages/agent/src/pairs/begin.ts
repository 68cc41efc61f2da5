import type { KernelNode } from '@blockbraid/core'
import { messageOf } from '@blockbraid/core'
import type { DeviceConfig } from '../config/config.ts'
import type { NamedPlan } from '../plan/naming.ts'
import { planNamed } from '../plan/naming.ts'
import { planPairs } from '../plan/pairing.ts'
import type { Plan, PlannedPair, Present, PresentPair } from '../plan/plan.ts'
import { needsRecord } from '../plan/plan.ts'
import type { NameRecord } from '../state/name-record.ts'
import { forgetCommand } from '../state/name-record.ts'
import type { Keeping, Kept, Making } from './keeping.ts'
import { pairOf } from './keeping.ts'
import type { Failed } from './make.ts'
import { makePair, nodesOf } from './make.ts'

/** What was begun of a plan. */
export interface Begun {
  readonly makings: readonly Making[]
  /** One for each device that a config wants and that must not be paired. */
  readonly refusals: readonly Error[]
  /** Why names cannot be read or kept. */
  readonly fault: Error | undefined
}

/** Begins to make what is wanted and is not there. `isStart`: rejects where names cannot be kept and nothing is held. */
export function beginPairs(keeping: Keeping, isStart = false): Promise<Begun> {
  return keeping.planning(() => begin(keeping, isStart))
}

async function begin(keeping: Keeping, isStart: boolean): Promise<Begun> {
  const nodes = await nodesOf(keeping)
  const plan = await planWanted(keeping, nodes)
  const { pairs, refusals, fault } = plan
  if (isStart && fault !== undefined && !pairs.some((pair) => isLeft(pair, nodes))) throw fault
  dropUnwanted(keeping, pairs)
  const makings = pairs.map((planned) => {
    const one: Kept = { planned, state: 'making', making: undefined }
    keeping.kept.set(planned.name, one)
    return makePair(keeping, one, async () => nodes, failedFirst(keeping, one, isStart ? plan : undefined))
  })
  return { makings, refusals, fault }
}

function planWanted(keeping: Keeping, nodes: readonly KernelNode[]): Promise<NamedPlan> {
  const { agent, config, names, state } = keeping
  const forget = (record: NameRecord): string => forgetCommand(record, state)
  const plan = (known: Present['names']): Plan => {
    const present = { paired: pairedBy(keeping), pairs: presentIn(keeping), nodes, names: known, forget }
    return planPairs(agent.devices(), config.devices, present)
  }
  return planNamed(names, !config.devices.some(needsRecord), plan, forget)
}

/** Whether the node of a pair was left by another process. */
function isLeft({ name, device }: PlannedPair, nodes: readonly KernelNode[]): boolean {
  return nodes.some((node) => !node.served && node.name === name && node.volume === device.volume)
}

/** What is no longer wanted, or is gone, does not fail. */
function dropUnwanted({ failures, kept }: Keeping, pairs: readonly PlannedPair[]): void {
  const wanted = new Set(pairs.map(({ name }) => name))
  for (const name of failures.keys()) if (!wanted.has(name) && !kept.has(name)) failures.delete(name)
}

/** A pair that was not made at its first try is planned anew; with the plan of a start its name is let go. */
function failedFirst(keeping: Keeping, one: Kept, start: NamedPlan | undefined): Failed {
  const { kept, failures, log } = keeping
  const { planned } = one
  return async (failure) => {
    // After the attach: it is there.
    if (pairOf(keeping, planned.name)) return void (one.state = 'up')
    kept.delete(planned.name)
    failures.set(planned.name, failure)
    if (start === undefined || failure.passing) return
    await start.undo(planned).catch((undone: unknown) => log.report(messageOf(undone), 'warning'))
  }
}

function pairedBy({ config, kept }: Keeping): Map<DeviceConfig, Map<string, number | null>> {
  const all = new Map(config.devices.map((entry) => [entry, new Map<string, number | null>()]))
  for (const { planned } of kept.values()) all.get(planned.config)!.set(planned.device.id, planned.n)
  return all
}

function presentIn(keeping: Keeping): PresentPair[] {
  const { agent, configOf, kept } = keeping
  const up = agent.pairs.map((pair) => ({ name: pair.id, volume: pair.volume, config: configOf.get(pair) }))
  const others = [...kept.values()].filter(({ planned, state }) => state !== 'down' && !pairOf(keeping, planned.name))
  return [...up, ...others.map(({ planned: { name, device, config } }) => ({ name, volume: device.volume, config }))]
}
