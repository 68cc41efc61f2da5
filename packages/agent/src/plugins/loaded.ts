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
      targets.push(await loadTarget(await withHostName(plugin, config), config.folder, host))
    }
    return targets
  } catch (error) {
    await Promise.all(targets.map((target) => target.close()))
    throw error
  }
}

/** Where the host has no machine id to make its name of, by iSCSI or by NVMe, a name that is kept. */
async function withHostName(plugin: PluginUse, { state }: Config): Promise<PluginUse> {
  if (state === undefined || state === false) return plugin
  const make = await nameMaker(plugin)
  const id = make === undefined ? undefined : await keptHostId(resolve(state))
  return make === undefined || id === undefined ? plugin : { ...plugin, options: { ...plugin.options, ...make(id) } }
}

/** What makes options that name this host, of what is kept; undefined where it is named already. */
async function nameMaker({ use, options }: PluginUse): Promise<((id: string) => object) | undefined> {
  const [, protocol] = /^(?:@blockbraid\/target-)?(iscsi|nvmeof)$/.exec(use) ?? []
  if (protocol === 'iscsi' && options['initiator'] === undefined) {
    const { initiatorOf, machineInitiator } = await import('@blockbraid/target-iscsi')
    return machineInitiator() === undefined ? (id) => ({ initiator: initiatorOf(id) }) : undefined
  }
  if (protocol === 'nvmeof' && options['hostNqn'] === undefined && options['hostId'] === undefined) {
    const { hostOf, machineHost } = await import('@blockbraid/target-nvmeof')
    return machineHost() === undefined ? hostOf : undefined
  }
  return undefined
}
