import type { TargetAddress } from '../../login/address.ts'
import type { FoundTarget } from '../../login/send-targets.ts'
import type { Portal } from '../place/portal.ts'
import type { LeftOut, ToldPortals } from './told.ts'
import { toldPortal } from './told.ts'

/** A target at a portal. */
export interface Place {
  readonly targetName: string
  readonly portal: Portal
  /** Portal group, as SendTargets told; undefined where it did not name this portal. */
  readonly group: number | undefined
}

/** What a portal has told of. */
export interface Telling {
  readonly found: readonly FoundTarget[]
  /** Entries that could not be used, in words. */
  readonly odd: readonly string[]
}

/** Addresses that were told of and are not used, by the reason. */
export type LeftOuts = Readonly<Record<'outside' | 'many' | 'zone', Set<string>>>

/** One text for one place. */
export function keyOf({ targetName, portal }: Pick<Place, 'targetName' | 'portal'>): string {
  return `${targetName} ${portal.address}`
}

/** Where the targets of an answer of `teller` are; what is not used goes into `leftOut`. */
export function placesOf(
  teller: Portal,
  found: readonly FoundTarget[],
  wanted: string | undefined,
  told: ToldPortals,
  leftOut?: LeftOuts,
): Place[] {
  return found
    .filter(({ name }) => wanted === undefined || name === wanted)
    .flatMap(({ name: targetName, portals }) => {
      const own = portals.find((one) => toldPortal(one, teller)?.address === teller.address)
      const others = portals.flatMap((one): Place[] => {
        const portal = told.admit(one, teller)
        if (typeof portal === 'object') return [{ targetName, portal, group: one.tag }]
        if (portal !== undefined) leftOut?.[portal as Exclude<LeftOut, undefined>].add(addressOf(one))
        return []
      })
      return [{ targetName, portal: teller, group: own?.tag }, ...others]
    })
}

/** Adds a place to those that are known, unless it is there with its group. */
export function addPlace(places: Map<string, Place>, place: Place): boolean {
  const known = places.get(keyOf(place))
  if (known === undefined || known.group === undefined) places.set(keyOf(place), place)
  return known === undefined
}

function addressOf({ host, port }: TargetAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
