import { open } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { MultipathOptions, Rates } from '@blockbraid/core'
import { BlockError, joinRules, messageOf } from '@blockbraid/core'
import { checkMultipath } from './check-multipath.ts'
import { checkNodes } from './check-nodes.ts'
import { checkRates } from './check-rates.ts'
import { checkShared } from './check-shared.ts'
import { checkDisks } from './check-volumes.ts'
import type { Config, DeviceConfig, PluginUse } from './config.ts'
import type { Source, Step } from './source.ts'
import { ConfigError, parseSource } from './source.ts'
import { validate } from './validate.ts'

const MAX_BYTES = 1024 * 1024

/** A config as the schema lets it through. */
interface RawConfig {
  control?: string
  state?: string
  initiator?: string
  same?: string[][]
  distinct?: string[][]
  targets: RawPlugin[]
  devices: {
    volume: string
    name?: string
    policy?: string | RawPlugin
    transport: RawPlugin
    multipath?: MultipathOptions
    rates?: Rates
    shared?: boolean
  }[]
}
type RawPlugin = { use: string } & Record<string, unknown>

/**
 * Reads a YAML config. `env` (default: the process's) is what `${NAME}` takes its text from; `tell` is told, in lines,
 * of what may be meant otherwise. Throws a {@link ConfigError} that names file, line, column and field, or a BlockError
 * where it cannot be read.
 */
export async function loadConfig(
  file: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
  tell?: (line: string) => void,
): Promise<Config> {
  const { config, source } = parse(await read(file), file, env, tell)
  checkMultipath(config.devices, source)
  return config
}

async function read(file: string): Promise<string> {
  try {
    await using handle = await open(file)
    if ((await handle.stat()).size > MAX_BYTES) throw new ConfigError(`${file}:1:1: larger than 1 MiB`)
    return await handle.readFile('utf8')
  } catch (error) {
    if (error instanceof ConfigError) throw error
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    throw new BlockError(
      'NOT_FOUND',
      missing ? `there is no file ${file}` : `cannot read ${file}: ${messageOf(error)}`,
      {
        cause: error,
      },
    )
  }
}

/**
 * The same for a text; `file` is used in messages and as the place that relative plugins are looked up from. Times that no
 * pair can have are refused where the pair is made.
 */
export function parseConfig(
  text: string,
  file: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
  tell?: (line: string) => void,
): Config {
  return parse(text, file, env, tell).config
}

function parse(
  text: string,
  file: string,
  env: Readonly<Record<string, string | undefined>>,
  tell: ((line: string) => void) | undefined,
): { config: Config; source: Source } {
  const source = parseSource(text, file, env)
  const raw = validate(source, tell) as RawConfig
  const devices = raw.devices.map((device, index): DeviceConfig => {
    const at: Step[] = ['devices', index]
    return {
      volume: device.volume,
      name: device.name ?? '{volume}',
      ...(device.policy === undefined ? {} : { policy: policyOf(device.policy, [...at, 'policy'], source) }),
      transport: pluginOf(device.transport, [...at, 'transport'], source),
      ...(device.multipath === undefined ? {} : { multipath: device.multipath }),
      ...(device.rates === undefined ? {} : { rates: device.rates }),
      ...(device.shared === undefined ? {} : { shared: device.shared }),
      at: source.locate(at),
    }
  })
  checkNodes(devices, source)
  checkRates(devices, source)
  checkShared(devices, source)
  checkJoins(raw, source)
  checkDisks(devices, source)
  const config = {
    folder: dirname(resolve(file)),
    ...(raw.control === undefined ? {} : { control: raw.control }),
    ...(raw.state === undefined ? {} : { state: raw.state }),
    targets: raw.targets.map((target, index) => {
      const plugin = pluginOf(target, ['targets', index], source)
      // By NVMe this host has another name, and an identifier that belongs to it.
      if (raw.initiator === undefined || isNvme(plugin.use)) return plugin
      return { ...plugin, options: { initiator: raw.initiator, ...plugin.options } }
    }),
    devices,
    ...(raw.same === undefined ? {} : { same: raw.same }),
    ...(raw.distinct === undefined ? {} : { distinct: raw.distinct }),
  }
  return { config, source }
}

function isNvme(use: string): boolean {
  return /^(@blockbraid\/target-)?nvmeof$/.test(use)
}

function checkJoins({ same, distinct }: RawConfig, source: Source): void {
  try {
    joinRules(same, distinct)
  } catch (error) {
    const [, field = 'same', index] = /^(same|distinct)(?:\[(\d+)\])?/.exec(messageOf(error)) ?? []
    const at = source.locate(index === undefined ? [field] : [field, Number(index)])
    throw new ConfigError(`${at}: ${messageOf(error)}`, { cause: error })
  }
}

function policyOf(policy: string | RawPlugin, path: readonly Step[], source: Source): PluginUse {
  const plugin = pluginOf(policy, path, source)
  const names = Object.keys(plugin.options)
  if (names.length === 0) return plugin
  return { ...plugin, places: Object.fromEntries(names.map((name) => [name, source.locateKey(path, name)])) }
}

function pluginOf(plugin: string | RawPlugin, path: readonly Step[], source: Source): PluginUse {
  const at = source.locate(path)
  if (typeof plugin === 'string') return { use: plugin, options: {}, at }
  const { use, ...options } = plugin
  return { use, options, at }
}
