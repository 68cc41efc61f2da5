import type { DeviceInfo } from '@blockbraid/core'
import type { DeviceConfig } from './config/config.ts'
import { ConfigError } from './config/source.ts'

/** A device that shall be paired, and under which name. */
export interface PlannedPair {
  readonly device: DeviceInfo
  readonly config: DeviceConfig
  readonly name: string
  /** Text for each placeholder of a template. */
  readonly texts: Readonly<Record<'n' | 'name' | 'volume', string>>
}

/** What is paired now: by device, the entry of the config it came from and its number there. */
export type Paired = ReadonlyMap<string, { readonly config: DeviceConfig; readonly n: number }>

/** What to pair of `found`, beside what is `paired` already. Throws where two pairs would have one name. */
export function planPairs(
  found: readonly DeviceInfo[],
  configs: readonly DeviceConfig[],
  paired: Paired,
  names: ReadonlySet<string>,
): PlannedPair[] {
  const plan: PlannedPair[] = []
  const taken = new Set(names)
  const named = new Set(configs.map((config) => config.volume))
  for (const config of configs) {
    const numbers = new Set<number>()
    for (const entry of paired.values()) if (entry.config === config) numbers.add(entry.n)
    for (const device of found) {
      if (!(config.volume === '*' ? device.kind === 'multipath' && !named.has(device.id) : device.id === config.volume))
        continue
      if (paired.has(device.id)) continue
      let n = 0
      while (numbers.has(n)) n++
      numbers.add(n)
      const volume = device.volume.replace(/[^A-Za-z0-9._:-]/g, '_')
      const name = fillIn(config.name, { n: String(n), volume })
      if (taken.has(name))
        throw new ConfigError(`${prefix(config)}two devices would be named ${name}: put {n} or {volume} into the name`)
      taken.add(name)
      plan.push({ device, config, name, texts: { n: String(n), volume, name } })
    }
  }
  return plan
}

/** Volumes and paths that a config names and nobody found. */
export function notFound(found: readonly DeviceInfo[], configs: readonly DeviceConfig[]): string[] {
  const ids = new Set(found.map((device) => device.id))
  return configs.map((config) => config.volume).filter((volume) => volume !== '*' && !ids.has(volume))
}

/** Fills `{placeholders}` in; others stay as they are. */
export function fillIn(template: string, texts: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => texts[name] ?? whole)
}

/** The same for every text inside a value. */
export function fillInAll(value: unknown, texts: Readonly<Record<string, string>>): unknown {
  if (typeof value === 'string') return fillIn(value, texts)
  if (Array.isArray(value)) return value.map((item) => fillInAll(item, texts))
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fillInAll(item, texts)]))
}

function prefix(config: DeviceConfig): string {
  return config.at === undefined ? '' : `${config.at}: `
}
