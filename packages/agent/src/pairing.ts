import type { DeviceInfo, KernelNode } from '@blockbraid/core'
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

/** A kernel node that no process serves, and that a pair of its name and volume takes over. */
export type LeftNode = Pick<KernelNode, 'name' | 'volume'>

/** What to pair of `found`, beside what is `paired` already. Throws where two pairs would have one name. */
export function planPairs(
  found: readonly DeviceInfo[],
  configs: readonly DeviceConfig[],
  paired: Paired,
  names: ReadonlySet<string>,
  left: readonly LeftNode[] = [],
): PlannedPair[] {
  const plan: PlannedPair[] = []
  const taken = new Set(names)
  const named = new Set(configs.map((config) => config.volume))
  for (const config of configs) {
    const numbers = new Set<number>()
    for (const entry of paired.values()) if (entry.config === config) numbers.add(entry.n)
    const wanted = found.filter(
      (device) =>
        !paired.has(device.id) &&
        (config.volume === '*' ? device.kind === 'multipath' && !named.has(device.id) : device.id === config.volume),
    )
    const kept = new Map<DeviceInfo, number>()
    for (const device of wanted) {
      const n = numberOfLeft(config, device, left)
      if (n === undefined || numbers.has(n)) continue
      kept.set(device, n)
      numbers.add(n)
    }
    for (const device of wanted) {
      let n = kept.get(device) ?? 0
      while (!kept.has(device) && (numbers.has(n) || isOfAnother(nameOf(config, device, n), config, left))) n++
      numbers.add(n)
      const name = nameOf(config, device, n)
      if (taken.has(name))
        throw new ConfigError(`${prefix(config)}two devices would be named ${name}: put {n} or {volume} into the name`)
      taken.add(name)
      plan.push({ device, config, name, texts: { n: String(n), volume: safeVolume(device), name } })
    }
  }
  return plan
}

function nameOf(config: DeviceConfig, device: DeviceInfo, n: number): string {
  return fillIn(config.name, { n: String(n), volume: safeVolume(device) })
}

function safeVolume({ volume }: DeviceInfo): string {
  return volume.replace(/[^A-Za-z0-9._:-]/g, '_')
}

/** The number that a device had when its node was left: it is taken over under its name only. */
function numberOfLeft(config: DeviceConfig, device: DeviceInfo, left: readonly LeftNode[]): number | undefined {
  const names = left.filter(({ volume }) => volume === device.volume).map(({ name }) => name)
  return names
    .flatMap((name) => (name.match(/\d+/g) ?? []).map((digits) => ({ name, n: Number(digits) })))
    .find(({ name, n }) => nameOf(config, device, n) === name && config.name.includes('{n}'))?.n
}

/** Whether a name counted up to is that of a node which waits for its volume to come back. */
function isOfAnother(name: string, config: DeviceConfig, left: readonly LeftNode[]): boolean {
  return config.name.includes('{n}') && left.some((node) => node.name === name)
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
