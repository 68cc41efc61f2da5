import type { Running } from '../running/running.ts'
import type { PairListing } from '../snapshot/listing.ts'
import { serveAgent } from './handlers.ts'
import { checkReach } from './reach.ts'
import type { ControlServer } from './server.ts'
import { takeOver } from './take-over.ts'

/** How to open a control socket. */
export interface OpenControlOptions {
  /** Whether an agent that runs there leaves its nodes to this one. */
  readonly replaces: boolean
  readonly asked: AbortSignal | undefined
  readonly signal: AbortSignal
}

/** The control socket of an agent. */
export interface OpenedControl {
  /** Undefined where the config has none. */
  readonly server: ControlServer | undefined
  /** Whether another agent has left its nodes. */
  readonly replaced: boolean
}

/** Listens on the control socket that the config names. Rejects with IN_USE where an agent runs there that stays. */
export async function openControl(
  running: Running,
  { replaces, asked, signal }: OpenControlOptions,
): Promise<OpenedControl> {
  const { config, log } = running
  if (config.control === undefined) return { server: undefined, replaced: false }
  const check = (served: readonly PairListing[]): Promise<void> => checkReach(served, running, signal)
  const replaced = replaces && (await takeOver(config.control, { report: log.report, check, signal: asked }))
  return { server: await serveAgent(config.control, running), replaced }
}
