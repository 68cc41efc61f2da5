import type { DeviceInfo } from '@blockbraid/core'
import type { DeviceConfig } from '../config/config.ts'
import { fillIn, mentions } from '../config/placeholders.ts'
import { ConfigError } from '../config/source.ts'
import { numbersOf } from './numbers.ts'
import { collision, ownedByAnother } from './owners.ts'
import type { Candidate, Paired, Plan, PlannedPair, Present, PresentPair } from './plan.ts'
import { textsOf, usesNumber } from './plan.ts'

/** What to pair of `found`, beside what is there already. What is wrong with one device is no matter of the others. */
export function planPairs(found: readonly DeviceInfo[], configs: readonly DeviceConfig[], present: Present): Plan {
  const refusals: ConfigError[] = []
  const pass = <One extends Candidate>(all: readonly One[], check: (one: One) => string | undefined): One[] =>
    all.filter((one) => {
      const why = check(one)
      if (why !== undefined) refusals.push(refusalOf(one, why))
      return why === undefined
    })

  const whole = pass(candidatesOf(found, configs, present.paired), lacking)
  const named = nameAll(pass(whole, unshared(present.pairs)), present)
  const owned = pass(named, (one) => ownedByAnother(one, present))
  const byName = Map.groupBy(owned, ({ name }) => name)
  const pairs = pass(owned, ({ name, config }) => {
    const all = byName.get(name)!
    return all.length > 1
      ? collision(
          config,
          name,
          all.map(({ device }) => device.volume),
        )
      : undefined
  })
  return { pairs, refusals }
}

/** The error for a device that is not paired. */
export function refusalOf(one: Candidate & { readonly name?: string }, why: string): ConfigError {
  const name = one.name ?? fillIn(one.config.name, textsOf(one.device))
  return new ConfigError(`${prefix(one.config)}pair ${name}: ${why}`)
}

function candidatesOf(found: readonly DeviceInfo[], configs: readonly DeviceConfig[], paired: Paired): Candidate[] {
  const named = new Set(configs.map((config) => config.volume))
  return configs.flatMap((config) =>
    found
      .filter(
        (device) =>
          !paired.get(config)?.has(device.id) &&
          (config.volume === '*' ? device.kind === 'multipath' && !named.has(device.id) : device.id === config.volume),
      )
      .map((device) => ({ device, config })),
  )
}

/** What an entry asks of a volume that does not tell it. */
function lacking({ device, config }: Candidate): string | undefined {
  for (const field of ['serial', 'lun'] as const) {
    if (device[field] || !(mentions(config.name, field) || mentions(config.transport.options, field))) continue
    return `{${field}} cannot be filled in: the paths of ${device.volume} tell none, or not the same; use {volume}`
  }
  return undefined
}

/** Refuses a volume that has a pair, or is about to get one, unless both entries share it. */
function unshared(pairs: readonly PresentPair[]): (one: Candidate) => string | undefined {
  const before: { volume: string; what: string; shared: boolean }[] = pairs.map(({ name, volume, config }) => ({
    volume,
    what: `pair ${name} has${at(config)}`,
    // A program that makes pairs answers for them.
    shared: config === undefined || config.shared === true,
  }))
  return ({ device: { volume }, config }) => {
    const other = before.find((one) => one.volume === volume && !(one.shared && config.shared))
    if (other !== undefined)
      return `it leads to ${volume}, which ${other.what}: keep one of them, or put "shared: true" into both entries`
    before.push({ volume, what: `the entry ${config.volume} takes${at(config)}`, shared: config.shared === true })
    return undefined
  }
}

/** Gives each its name: with the number that it has, or the first one that is free. */
function nameAll(candidates: readonly Candidate[], present: Present): PlannedPair[] {
  const numberOf = numbersOf(candidates, present)
  return candidates.map((one) => {
    const { device, config } = one
    const n = numberOf(one)
    const texts = textsOf(device, n)
    const name = fillIn(config.name, texts)
    const { volume } = device
    const isPlain = !usesNumber(config) && mentions(config.name, 'volume') && texts.volume === volume
    const claim = isPlain ? undefined : { name, template: config.name, n, volume }
    return { device, config, name, n, texts: { ...texts, name }, claim }
  })
}

/** Volumes and paths that a config names and nobody found. */
export function notFound(found: readonly DeviceInfo[], configs: readonly DeviceConfig[]): string[] {
  const ids = new Set(found.map((device) => device.id))
  return configs.map((config) => config.volume).filter((volume) => volume !== '*' && !ids.has(volume))
}

function prefix(config: DeviceConfig): string {
  return config.at === undefined ? '' : `${config.at}: `
}

function at(config: DeviceConfig | undefined): string {
  return config?.at === undefined ? '' : ` (${config.at})`
}
