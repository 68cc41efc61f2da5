import type { BlockDevicePair, Host, HostAgent } from '@blockbraid/core'
import type { Config, DeviceConfig } from '../config/config.ts'
import type { Hider } from '../config/secrets.ts'
import type { Log } from '../log/log.ts'
import type { Telling } from '../log/telling.ts'
import type { NodeCare } from '../nodes/care.ts'
import type { PlannedPair } from '../plan/plan.ts'
import type { Loaded } from '../plugins/loaded.ts'
import type { Names } from '../state/names.ts'
import type { Retry } from './retry.ts'
import type { TransportPool } from './transports.ts'
import type { Turns } from './turns.ts'

/** A pair that could not be made. */
export interface PairFailure {
  readonly name: string
  readonly error: Error
  /** Whether its volume cannot be opened now; else something is wrong here that waiting does not cure. */
  readonly passing: boolean
  /** `clock.now()` when it failed first, µs. */
  readonly since: number
}

/** A pair that is being made. */
export interface Making {
  readonly name: string
  /** Resolves to why it could not be made; never rejects. */
  readonly ended: Promise<PairFailure | undefined>
}

/** A pair that was planned, and what became of it. */
export interface Kept {
  readonly planned: PlannedPair
  state: 'making' | 'up' | 'lost' | 'down'
  making: Making | undefined
}

/** The pairs that a config wants, and all that it takes to make them, again and again where they fail or are lost. */
export interface Keeping {
  readonly config: Config
  readonly loaded: ReadonlyMap<DeviceConfig, Loaded>
  readonly agent: HostAgent
  readonly host: Host
  readonly hider: Hider
  readonly log: Log
  readonly telling: Telling
  readonly names: Names
  readonly state: string | false
  readonly transports: TransportPool
  readonly care: NodeCare
  /** Fires when the agent ends. */
  readonly signal: AbortSignal
  /** Makes again what failed or was lost. */
  readonly retry: Retry
  /** By name. */
  readonly kept: Map<string, Kept>
  /** Pairs that could not be made and are tried again, by name. */
  readonly failures: Map<string, PairFailure>
  readonly configOf: WeakMap<BlockDevicePair, DeviceConfig>
  /** How long I/O on the node of a pair waits for an agent, for people, by the pair's name. */
  readonly waits: Map<string, string>
  /** Plans change the same lists. */
  readonly planning: Turns
  /** Pairs are asked for in the order of the plan. */
  readonly preparing: Turns
  /** Nodes and exports that are being made, of volumes that are open: that takes what it takes, and no array delays it. */
  attachments: number
}

/** The pair of that name; undefined where none is there. */
export function pairOf({ agent }: Pick<Keeping, 'agent'>, name: string): BlockDevicePair | undefined {
  return agent.pairs.find(({ id }) => id === name)
}

/** Every pair that is being made. */
export function makingsOf({ kept }: Keeping): Making[] {
  return [...kept.values()].flatMap(({ making }) => making ?? [])
}

/** Tells what became of pairs, once each. */
export function tellFailures(
  { failures, telling }: Keeping,
  others: Iterable<Pick<PairFailure, 'name' | 'error'>>,
): void {
  const lines = new Map([...failures.values(), ...others].map(({ name, error }) => [name, error.message]))
  telling.tell('pairs', lines)
}
