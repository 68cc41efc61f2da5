import { resolve } from 'node:path'
import type { Host, PathSelector, Target } from '@blockbraid/core'
import type { Config, DeviceConfig, PluginUse } from '../config/config.ts'
import { keptHostId } from '../state/initiator.ts'
import type { CreateTransport } from './plugins.ts'
import { loadPolicy, loadTarget, loadTransport } from './plugins.ts'

/** What of a config's entry was imported. */
export interface Loaded {
  readonly selector: (() => PathSelector) | undefined
  readonly transport: CreateTransport
}

/** Imports what the devices of a config name. */
export async function loadDevices(config: Config, host: Host): Promise<ReadonlyMap<DeviceConfig, Loaded>> {
  const loaded = new Map<DeviceConfig, Loaded>()
  for (const device of config.devices) {
    const selector = device.policy && (await loadPolicy(device.policy, config.folder, host))
    loaded.set(device, { selector, transport: await loadTransport(device.transport, config.folder, host) })
  }
  return loaded
}

/** Imports and makes the targets of a config; where one fails the others are closed. */
export async function loadTargets(config: Config, host: Host): Promise<Target[]> {
  const targets: Target[] = []
  try {
    for (const plugin of config.targets) {
      targets.push(await loadTarget(await withInitiator(plugin, config), config.folder, host))
    }
    return targets
  } catch (error) {
    await Promise.all(targets.map((target) => target.close()))
    throw error
  }
}

/** Where the host has no machine id to make an iSCSI name of, a name that is kept. */
async function withInitiator(plugin: PluginUse, { state }: Config): Promise<PluginUse> {
  const isNamed = plugin.options['initiator'] !== undefined || !/^(@blockbraid\/target-)?iscsi$/.test(plugin.use)
  if (isNamed || state === undefined || state === false) return plugin
  const { initiatorOf, machineInitiator } = await import('@blockbraid/target-iscsi')
  if (machineInitiator() !== undefined) return plugin
  const id = await keptHostId(resolve(state))
  return id === undefined ? plugin : { ...plugin, options: { ...plugin.options, initiator: initiatorOf(id) } }
}
