import { setTimeout as sleep } from 'node:timers/promises'
import type { HostAgent, Target } from '@blockbraid/core'
import { BlockError, createHostAgent } from '@blockbraid/core'
import type { Hider } from '../config/secrets.ts'
import { loadScout } from '../plugins/plugins.ts'
import type { Running } from '../running/running.ts'
import type { PairListing } from '../snapshot/listing.ts'

/** How long what is missing is looked for, milliseconds. */
const LOOK_TIME = 10_000
const STEP = 100
/** How long the look may take to say goodbye to what it asked, milliseconds. */
const CLOSE_TIME = 1000

/**
 * Looks whether the targets of a config offer the volumes of pairs that another agent serves, without disturbing that
 * one; rejects with NO_PATH where one is not found. Volumes that are served through a target that cannot be asked so are
 * not looked for, nor those that have no path there either.
 */
export async function checkReach(
  served: readonly PairListing[],
  { config, host, hider }: Pick<Running, 'config' | 'host' | 'hider'>,
  signal: AbortSignal,
): Promise<void> {
  const wanted = served.filter(({ paths }) => paths.some(({ state }) => state === 'up'))
  if (wanted.length === 0) return
  const targets: Target[] = []
  const { same = [], distinct = [] } = config
  let agent: HostAgent | undefined
  try {
    for (const plugin of config.targets) {
      const target = await loadScout(plugin, config.folder, host)
      // What it would find nobody can tell.
      if (target === undefined) return
      targets.push(target)
    }
    agent = createHostAgent({ targets, host, same, distinct })
    const lacking = await lookFor(wanted, agent, signal)
    if (lacking.length > 0) throw unreachable(lacking, agent, hider)
  } finally {
    const over = { signal: AbortSignal.timeout(CLOSE_TIME) }
    // Nothing of it is in use: what cannot be closed in time ends with this process.
    if (agent !== undefined) await agent.close(over).catch(() => {})
    else await Promise.allSettled(targets.map((target) => target.close(over)))
  }
}

async function lookFor(
  wanted: readonly PairListing[],
  agent: HostAgent,
  signal: AbortSignal,
): Promise<readonly PairListing[]> {
  const until = performance.now() + LOOK_TIME
  await agent.rescan({ signal })
  for (;;) {
    const found = new Set(agent.devices().map(({ volume }) => volume as string))
    const lacking = wanted.filter(({ volume }) => !found.has(volume))
    if (lacking.length === 0 || agent.missing.length === 0 || performance.now() >= until) return lacking
    await sleep(STEP, undefined, { signal })
  }
}

function unreachable(lacking: readonly PairListing[], agent: HostAgent, hider: Hider): BlockError {
  const [first, ...others] = lacking
  const more = others.length === 0 ? '' : ` and ${others.length} more`
  const reasons = agent.missing.map(
    ({ target, place, text }) => `${[target, place].filter(Boolean).join(', ')}: ${text}`,
  )
  const why = reasons.length === 0 ? 'no target of this config offers it' : hider.hide(reasons.join('; '))
  const cure = `"blockbraid down ${first!.name}" ends what shall not be served any more`
  return new BlockError(
    'NO_PATH',
    `no path to ${first!.volume} (pair ${first!.name})${more} is found from here: ${why}; ${cure}`,
  )
}
