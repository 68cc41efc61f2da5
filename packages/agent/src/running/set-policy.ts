import type { PluginUse } from '../config/config.ts'
import { forgivePolicy } from '../pairs/policy-faults.ts'
import { loadPolicy } from '../plugins/plugins.ts'
import { describeFault, probePolicy } from '../plugins/policy-probe.ts'
import { findPair } from './find.ts'
import type { Running } from './running.ts'

/**
 * Exchanges the policy of a pair under I/O. Resolves to what the policy does wrong, so that the first path is used;
 * undefined: nothing that a trial shows.
 */
export async function setPolicy(running: Running, name: string, policy: PluginUse): Promise<string | undefined> {
  const pair = findPair(running, name)
  const create = await loadPolicy(policy, running.config.folder, running.host)
  const fault = probePolicy(create(), pair.paths)
  const { policy: before } = pair
  try {
    pair.setSelector(create)
  } catch (error) {
    const stays = before === '' ? 'the pair stays without one' : `${before} stays`
    throw new Error(`${describeFault(policy.use, 'update threw', error)}; ${stays}`, { cause: error })
  }
  forgivePolicy(pair)
  return fault === undefined ? undefined : `${fault}; the first path serves meanwhile`
}
