import type { PathInfo } from '@blockbraid/core'
import { madeByDefault } from '@blockbraid/core'
import type { Portal } from '../portal.ts'
import type { TargetPlace } from './places.ts'
import { keyOf } from './places.ts'

/** What was found at places, by `keyOf`. */
export type Lists = ReadonlyMap<string, readonly PathInfo[]>

/** Gives the id of the path to a unit, by its name, at a place. */
export type PathIds = (place: Pick<TargetPlace, 'targetName' | 'portal'>, unit: string) => string

/** The same paths at another portal. */
export function movedTo(
  place: Pick<TargetPlace, 'targetName' | 'portal'>,
  infos: readonly PathInfo[],
  idOf: PathIds,
): PathInfo[] {
  return infos.map((info) => ({ ...info, id: idOf(place, info.lun as string), address: place.portal.address }))
}

/** What a place of the same portal group has, where there is one that was listed. */
export function likeGroup(
  place: TargetPlace,
  places: Iterable<TargetPlace>,
  lists: Lists,
): readonly PathInfo[] | undefined {
  if (place.group === undefined) return undefined
  for (const other of places) {
    const infos = lists.get(keyOf(other)) ?? []
    if (other.targetName === place.targetName && other.group === place.group && infos.length > 0) return infos
  }
  return undefined
}

// A target that tells of more portals where nobody answers does not tell of portals.
const MOST_TOLD = 8

/** Without the places of a target at told portals beyond the most that are expected to answer. */
export function withoutCrowds(
  places: readonly TargetPlace[],
  isConfigured: (address: string) => boolean,
): TargetPlace[] {
  const counts = new Map<string, number>()
  return places.filter(({ targetName, portal }) => {
    if (isConfigured(portal.address)) return true
    const count = (counts.get(targetName) ?? 0) + 1
    counts.set(targetName, count)
    return count <= MOST_TOLD
  })
}

/**
 * Paths at portals that cannot be asked now: those that the target has elsewhere are expected there too. Where nobody has
 * told which targets are behind a portal, each one may be: who answers is seen when it is tried.
 */
export function expectedPaths(
  places: readonly Pick<TargetPlace, 'targetName' | 'portal'>[],
  silent: readonly Portal[],
  lists: Lists,
  idOf: PathIds,
): PathInfo[] {
  const byTarget = Map.groupBy([...lists.values()].flat(), ({ endpoint }) => endpoint as string)
  const guesses = silent.flatMap((portal) => [...byTarget.keys()].map((targetName) => ({ targetName, portal })))
  return [...places, ...guesses].flatMap((place) =>
    movedTo(place, oneOfEach(byTarget.get(place.targetName) ?? []), idOf).map((info) => ({ ...info, unseen: true })),
  )
}

/** The first path to each unit. */
function oneOfEach(infos: readonly PathInfo[]): readonly PathInfo[] {
  return [...Map.groupBy(infos, ({ lun }) => lun).values()].map(([first]) => first as PathInfo)
}

/** Expected paths of an identity that does not tell one storage system from another: by id, the path they are expected beside. */
export type Doubts = ReadonlyMap<string, string>

/**
 * Those of the expected paths that nothing but an answer can tell whose disk they lead to. They are listed as of the
 * system that they are expected to be of.
 */
export function withDoubts(infos: readonly PathInfo[]): { readonly infos: PathInfo[]; readonly doubts: Doubts } {
  const seen = infos.filter(({ unseen }) => unseen !== true)
  const doubts = new Map<string, string>()
  const all = infos.flatMap((info) => {
    if (info.unseen !== true || madeByDefault(info) === undefined) return [info]
    const like = seen.filter(({ volume }) => volume === info.volume)
    if (like.some(({ system }) => system === info.system)) return [info]
    const origin = like.find(({ endpoint }) => endpoint === info.endpoint) ?? like[0]
    if (origin === undefined) return []
    doubts.set(info.id, origin.id)
    return [{ ...info, system: origin.system as string }]
  })
  return { infos: all, doubts }
}
