import type { PathInfo, Target } from '../target.ts'
import type { VolumeId } from '../volume-id.ts'
import { isVolumeId } from '../volume-id.ts'

/** A path as a target lists it. */
export interface OfferedPath {
  /** Who lists it. */
  readonly target: Pick<Target, 'name'>
  /** As it is listed. */
  readonly info: PathInfo
}

/** What the config says of identities, checked; see {@link HostAgentOptions.same} and `distinct`. */
export interface JoinRules {
  /** Lists of identities that are one volume each. */
  readonly identities: readonly (readonly VolumeId[])[]
  /** Lists of places at which equal identities are one volume. */
  readonly together: readonly (readonly string[])[]
  /** Lists of places at which equal identities are different volumes. */
  readonly apart: readonly (readonly string[])[]
}

/** Checks both options; throws a TypeError that names the field. */
export function joinRules(
  same: readonly (readonly string[])[] = [],
  distinct: readonly (readonly string[])[] = [],
): JoinRules {
  const identities: VolumeId[][] = []
  const together: (readonly string[])[] = []
  for (const [index, list] of listsOf('same', same).entries()) {
    const volumes = list.filter(isVolumeId)
    if (volumes.length === list.length) identities.push(volumes)
    else if (volumes.length > 0) {
      throw new TypeError(`same[${index}] has identities and places; it must be identities alone, or places alone`)
    } else together.push(twoOf(`same[${index}]`, list))
  }
  const twice = identities.flat().find((volume, index, all) => all.indexOf(volume) !== index)
  if (twice !== undefined) throw new TypeError(`same names ${twice} twice; an identity may stand in one list only`)
  const apart = listsOf('distinct', distinct).map((list, index) => {
    const field = `distinct[${index}]`
    const volume = list.find(isVolumeId)
    if (volume === undefined) return twoOf(field, list)
    throw new TypeError(`${field} has the identity ${volume}; it must be places, such as iqn.2026-11.io.example:a/lun1`)
  })
  return { identities, together, apart }
}

function listsOf(field: string, lists: readonly (readonly string[])[]): readonly (readonly string[])[] {
  if (!Array.isArray(lists)) throw new TypeError(`${field} must be a list of lists`)
  for (const [index, list] of lists.entries()) {
    if (!Array.isArray(list) || list.length === 0 || !list.every((item) => typeof item === 'string' && item !== '')) {
      throw new TypeError(`${field}[${index}] must be a list of at least one text`)
    }
    const twice = list.find((item, at) => list.indexOf(item) !== at)
    if (twice !== undefined) throw new TypeError(`${field}[${index}] names ${twice} twice`)
  }
  return lists
}

function twoOf(field: string, list: readonly string[]): readonly string[] {
  if (list.length > 1) return list
  throw new TypeError(`${field} has one place, ${list[0]}; it must have at least two`)
}

/** Whether a place of the config is where this path leads. */
export function isAt(place: string, { info: { id, address, endpoint, lun } }: OfferedPath): boolean {
  return place === id || place === address || place === endpoint || place === `${endpoint}/lun${lun}`
}

/** Whether the config says that paths of this identity, or at this place, are what they say. */
export function isVouched(source: OfferedPath, { identities, together }: JoinRules): boolean {
  return (
    identities.some((list) => list.includes(source.info.volume)) ||
    together.some((list) => list.some((place) => isAt(place, source)))
  )
}

/** Whether the config says that two paths are of one volume. */
export function saidSame(one: OfferedPath, other: OfferedPath, { identities, together }: JoinRules): boolean {
  if (identities.some((list) => list.includes(one.info.volume) && list.includes(other.info.volume))) return true
  return together.some((list) => [one, other].every((source) => list.some((place) => isAt(place, source))))
}

/** Whether the config says that two paths are of different volumes. */
export function saidDistinct(one: OfferedPath, other: OfferedPath, { apart }: JoinRules): boolean {
  return apart.some((list) => {
    const [first, second] = [one, other].map((source) => list.filter((place) => isAt(place, source)))
    return first!.length > 0 && second!.length > 0 && !first!.some((place) => second!.includes(place))
  })
}

/** The first place of `distinct` at which a path is. */
export function placeOf(source: OfferedPath, { apart }: JoinRules): string | undefined {
  return apart.flat().find((place) => isAt(place, source))
}

const LONGEST = 200

/** The identity by which a volume that shares its own with others is known: valid, and the same in every run. */
export function distinctId(volume: VolumeId, place: string): VolumeId {
  const text = `${volume}@${place}`.replace(/[^\x21-\x7e]/g, '_')
  return `serial.${text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}#${digest(`${volume}@${place}`)}`}`
}

/** 64 bits of FNV-1a in two halves, which tells texts of a config apart. */
function digest(text: string): string {
  return [0x811c9dc5, 0x050c5d1f]
    .map((basis) => {
      let hash = basis
      for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
      return (hash >>> 0).toString(16).padStart(8, '0')
    })
    .join('')
}
