import { BlockError } from '../errors.ts'
import type { PathSource } from '../multipath/path-source.ts'
import { tellAlike } from '../multipath/tell-alike.ts'
import type { VolumeId } from '../volume-id.ts'
import { madeByDefault } from './default-identities.ts'
import type { JoinRules, OfferedPath } from './join-rules.ts'
import { distinctId, isVouched, placeOf, saidDistinct, saidSame } from './join-rules.ts'
import type { ScanError } from './types.ts'

/** Paths by the volume they lead to. */
export interface Joined<Source extends OfferedPath = PathSource> {
  /** A path whose volume could not be told is in none. */
  readonly volumes: ReadonlyMap<VolumeId, readonly Source[]>
  /** What is not joined, and why. */
  readonly errors: readonly ScanError[]
}

/**
 * Joins paths of one identity where it is plausible that they lead to one volume. Where it is not, none of them is
 * taken, but for those of a device that is `open`, which keeps what it has: who came later stays outside.
 */
export function joinPaths<Source extends OfferedPath>(
  sources: Iterable<Source>,
  rules: JoinRules,
  open: ReadonlyMap<string, ReadonlySet<string>> = new Map(),
): Joined<Source> {
  const volumes = new Map<VolumeId, readonly Source[]>()
  const errors: ScanError[] = []
  for (const [volume, group] of groupsOf([...sources], rules, errors)) {
    const held = open.get(volume)
    const joined = group.filter(({ info }) => held?.has(info.id) === true)
    const kept = joined.length
    let refused: ScanError | undefined
    for (const source of group) {
      if (joined.includes(source)) continue
      const refusal = joined
        .map((other) => refusalOf(volume, other, source, rules))
        .find((error) => error !== undefined)
      if (refusal === undefined) joined.push(source)
      else if (kept > 0) errors.push(refusal)
      else refused ??= refusal
    }
    if (refused === undefined) volumes.set(volume, joined)
    else errors.push(refused)
  }
  return { volumes, errors }
}

function groupsOf<Source extends OfferedPath>(
  all: readonly Source[],
  rules: JoinRules,
  errors: ScanError[],
): Map<VolumeId, Source[]> {
  const groups = new Map<VolumeId, Source[]>()
  const places = new Map<OfferedPath, string | undefined>(all.map((source) => [source, placeOf(source, rules)]))
  const put = (volume: VolumeId, source: Source): void => {
    const group = groups.get(volume) ?? []
    groups.set(volume, group)
    group.push({ ...source, volume, vouched: isVouched(source, rules) })
  }
  for (const source of all) {
    const { volume } = source.info
    const split = all.filter((other) => other.info.volume === volume && places.get(other) !== undefined)
    if (split.length === 0) {
      put(rules.identities.find((list) => list.includes(volume))?.[0] ?? volume, source)
      continue
    }
    const at = places.get(source) ?? placeAlong(source, split, places, rules)
    if (at !== undefined) put(distinctId(volume, at), source)
    else errors.push({ target: source.target.name, volume, error: atNoPlace(source) })
  }
  return groups
}

/** The place of those that are known to lead to the same logical unit through another portal. */
function placeAlong(
  source: OfferedPath,
  split: readonly OfferedPath[],
  places: ReadonlyMap<OfferedPath, string | undefined>,
  rules: JoinRules,
): string | undefined {
  const { endpoint, lun } = source.info
  const along = split.filter(
    (other) =>
      endpoint !== undefined &&
      other.info.endpoint === endpoint &&
      other.info.lun === lun &&
      difference(source, other, rules) === undefined,
  )
  const found = new Set(along.map((other) => places.get(other)))
  return found.size === 1 ? [...found][0] : undefined
}

function atNoPlace({ info }: OfferedPath): BlockError {
  return new BlockError(
    'MISMATCH',
    `path ${info.id} says that it leads to ${info.volume}, which distinct splits, and is at none of its places: add it there`,
  )
}

function refusalOf(volume: VolumeId, one: OfferedPath, other: OfferedPath, rules: JoinRules): ScanError | undefined {
  const found = difference(one, other, rules)
  if (found === undefined) return undefined
  const places = placesOf(one, other)
  const cure = `distinct: [[${places}]] in the config makes them two volumes`
  const same = found.certain ? '' : `, same: [[${places}]] one`
  const told = one.info.volume === other.info.volume ? volume : `${one.info.volume} and ${other.info.volume}`
  const text = `paths ${one.info.id} and ${other.info.id} say that they lead to ${told}, and are not joined: ${found.text}; ${cure}${same}`
  return { target: other.target.name, volume, error: new BlockError('MISMATCH', text) }
}

/** Names for two paths that tell them apart in a config, and hold for every portal where they can. */
function placesOf({ info: one }: OfferedPath, { info: other }: OfferedPath): string {
  const isOneUnit = one.endpoint === other.endpoint && one.lun === other.lun
  if (one.endpoint !== undefined && other.endpoint !== undefined && !isOneUnit) {
    return [one, other].map(({ endpoint, lun }) => `${endpoint}/lun${lun}`).join(', ')
  }
  return `${one.id}, ${other.id}`
}

interface Difference {
  readonly text: string
  /** No word of the config makes one volume of it. */
  readonly certain: boolean
}

/** Why two paths of one identity cannot be taken for paths of one volume; what one of them does not tell proves nothing. */
function difference(one: OfferedPath, other: OfferedPath, rules: JoinRules): Difference | undefined {
  const [a, b] = [one.info, other.info]
  const certainly = (text: string): Difference => ({ text, certain: true })
  if (saidDistinct(one, other, rules)) return certainly('distinct in the config says that they are two volumes')
  if (a.size > 0 && b.size > 0) {
    if (a.size !== b.size) return certainly(`their sizes are ${a.size} and ${b.size} bytes`)
    if (a.blockSize !== b.blockSize) return certainly(`their blocks are of ${a.blockSize} and ${b.blockSize} bytes`)
  }
  if (saidSame(one, other, rules)) return undefined
  const told = tellAlike(a, b)
    ? (differs('products', a.product, b.product) ?? differs('serial numbers', a.serial, b.serial))
    : undefined
  const text = told ?? units(one, other)
  if (text !== undefined) return { text, certain: false }
  const maker = madeByDefault(a)
  if (maker === undefined || systemOf(one) === systemOf(other)) return undefined
  return {
    text: `${maker} gives this identity to a volume of every installation, and nothing proves that both are of one`,
    certain: false,
  }
}

function differs(what: string, one: string | undefined, other: string | undefined): string | undefined {
  return one === undefined || other === undefined || one === other
    ? undefined
    : `their ${what} are "${one}" and "${other}"`
}

function units({ info: a }: OfferedPath, { info: b }: OfferedPath): string | undefined {
  if (a.endpoint === undefined || a.endpoint !== b.endpoint || a.lun === b.lun) return undefined
  return `they are lun ${a.lun} and lun ${b.lun} of ${a.endpoint}`
}

function systemOf({ info, target }: OfferedPath): string {
  return info.system ?? `target ${target.name}`
}
