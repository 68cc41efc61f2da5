import type { DeviceInfo, KernelNode } from '@blockbraid/core'
import { messageOf } from '@blockbraid/core'
import type { DeviceConfig } from '../config/config.ts'
import type { Texts } from '../config/placeholders.ts'
import { fillIn, mentions } from '../config/placeholders.ts'
import { ConfigError } from '../config/source.ts'
import type { NameRecord } from '../state/name-record.ts'
import { dayOf } from '../state/name-record.ts'
import type { NameClaim } from '../state/names.ts'
import { isTaken } from '../state/names.ts'

/** A device that shall be paired, and under which name. */
export interface PlannedPair {
  readonly device: DeviceInfo
  readonly config: DeviceConfig
  readonly name: string
  /** Its number; null where its entry uses none. */
  readonly n: number | null
  /** Text for each placeholder of a template. */
  readonly texts: Texts
  /** What must be kept of it; undefined where the name is that of the volume itself. */
  readonly claim: NameClaim | undefined
}

/** What to pair, and one error for each device that a config wants and that must not be paired. */
export interface Plan {
  readonly pairs: readonly PlannedPair[]
  readonly refusals: readonly ConfigError[]
}

/** What entries have paired: by the id of the device, its number. A pair that was taken down keeps its place. */
export type Paired = ReadonlyMap<DeviceConfig, ReadonlyMap<string, number | null>>

/** A pair that is up; without a config where a program made it. */
export interface PresentPair {
  readonly name: string
  readonly volume: string
  readonly config?: DeviceConfig | undefined
}

/** A kernel node of another process, or one that none serves and that a pair of its name and volume takes over. */
export type OtherNode = Pick<KernelNode, 'node' | 'name' | 'volume' | 'served'>

/** What new pairs have to agree with. */
export interface Present {
  readonly paired: Paired
  readonly pairs: readonly PresentPair[]
  readonly nodes: readonly OtherNode[]
  /** Which volume each name belongs to, or why that is not known. */
  readonly names: readonly NameRecord[] | Error
  /** The command that lets a name go. */
  forget(record: NameRecord): string
}

/** A device that an entry wants, on its way to a plan. */
interface Candidate {
  readonly device: DeviceInfo
  readonly config: DeviceConfig
}

/** Whether the number of a volume in an entry can be seen from outside. */
export function usesNumber({ name, transport }: DeviceConfig): boolean {
  return mentions(name, 'n') || mentions(transport.options, 'n')
}

/** Whether names of an entry must be kept, since they say nothing of their volume. */
export function needsRecord(config: DeviceConfig): boolean {
  return usesNumber(config) || !mentions(config.name, 'volume')
}

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

/** A number for each volume of each template that counts them. */
function numbersOf(candidates: readonly Candidate[], present: Present): (one: Candidate) => number | null {
  const counted = candidates.filter(({ config }) => usesNumber(config))
  const numbers = new Map<string, number>()
  const taken = new Set<string>()
  const place = (template: string, what: string | number): string => `${template}\0${what}`
  const give = (template: string, volume: string, n: number): void => {
    numbers.set(place(template, volume), n)
    taken.add(place(template, n))
  }
  for (const [{ name }, all] of present.paired) for (const n of all.values()) if (n !== null) taken.add(place(name, n))
  for (const one of counted) {
    const left = numberOfLeft(one, present.nodes)
    if (left === undefined || taken.has(place(one.config.name, left))) continue
    give(one.config.name, one.device.volume, left)
  }
  // Those of volumes that are gone are kept for them.
  for (const { template, volume, n } of recordsOf(present)) {
    if (n === null) continue
    if (numbers.has(place(template, volume))) taken.add(place(template, n))
    else give(template, volume, n)
  }
  for (const one of counted) {
    const { name } = one.config
    if (numbers.has(place(name, one.device.volume))) continue
    let n = 0
    while (taken.has(place(name, n)) || isNameOfAnother(one, n, present)) n++
    give(name, one.device.volume, n)
  }
  return ({ device, config }) => (usesNumber(config) ? numbers.get(place(config.name, device.volume))! : null)
}

/** The number that a device had when its node was left: it is taken over under its name only. */
function numberOfLeft({ device, config }: Candidate, nodes: readonly OtherNode[]): number | undefined {
  return nodes
    .filter(({ volume, served }) => volume === device.volume && !served)
    .flatMap(({ name }) => (name.match(/\d+/g) ?? []).map((digits) => ({ name, n: Number(digits) })))
    .find(({ name, n }) => mentions(config.name, 'n') && fillIn(config.name, textsOf(device, n)) === name)?.n
}

/** Whether a name counted up to is that of another volume, so that the next number is taken. */
function isNameOfAnother({ device, config }: Candidate, n: number, present: Present): boolean {
  if (!mentions(config.name, 'n')) return false
  const name = fillIn(config.name, textsOf(device, n))
  const others = [...present.pairs, ...present.nodes, ...recordsOf(present)]
  return others.some((other) => other.name === name && other.volume !== device.volume)
}

/** Why a name must not be used for a device, by what is known of the name. */
function ownedByAnother(one: PlannedPair, present: Present): string | undefined {
  const { device, config, name, claim } = one
  const { volume } = device
  const pair = present.pairs.find((other) => other.name === name)
  if (pair !== undefined) return collision(config, name, [pair.volume, volume])
  const node = present.nodes.find((other) => other.name === name && other.volume !== volume)
  if (node !== undefined) {
    const state = node.served ? 'which another process serves' : 'which was left'
    return `${name} is ${node.node}, ${state} for ${node.volume || 'another volume'}: "blockbraid down ${name}" ends that`
  }
  const other = present.nodes.find((each) => each.served && each.volume === volume && each.name !== name)
  if (other !== undefined && !config.shared)
    return `another process serves ${volume} already, as ${other.name} on ${other.node}: keep one, or put "shared: true" into the entry`
  if (claim === undefined) return undefined
  if (present.names instanceof Error) {
    const isLeft = present.nodes.some((left) => left.name === name && left.volume === volume)
    return isLeft ? undefined : messageOf(present.names)
  }
  const record = present.names.find((known) => isTaken(known, claim))
  return record === undefined ? undefined : belongs(record, claim, present.forget(record))
}

/** Says whose a name is, and how to let it go. */
export function belongs(record: NameRecord, { name, volume }: NameClaim, command: string): string {
  const what = record.name === name ? `the name ${name}` : `number ${record.n} of ${record.template}`
  const when = `since ${dayOf(record.since)}, last paired on ${dayOf(record.seen)}`
  return `${what} belongs to ${record.volume} (${when}) and is not given to ${volume}: ${command} lets it go`
}

function collision(config: DeviceConfig, name: string, volumes: readonly string[]): string {
  const cure = mentions(config.name, 'volume')
    ? 'give each an entry with a name of its own'
    : 'put {n} or {volume} into the name'
  return `two devices would be named ${name}, ${volumes.join(' and ')}: ${cure}`
}

function recordsOf({ names }: Present): readonly NameRecord[] {
  return names instanceof Error ? [] : names
}

function textsOf({ volume, serial, lun }: DeviceInfo, n?: number | null): Texts {
  return {
    volume: safe(volume),
    ...(serial && { serial: safe(serial) }),
    ...(lun && { lun: safe(lun) }),
    ...(typeof n === 'number' && { n: String(n) }),
  }
}

/** As a name can be. */
function safe(text: string): string {
  return text.replace(/[^A-Za-z0-9._:-]/g, '_')
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
