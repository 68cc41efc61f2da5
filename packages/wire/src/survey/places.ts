import type { Portal } from '../portal.ts'
import type { ToldAddress } from './address.ts'
import type { LeftOut, ToldPortals } from './told.ts'
import { toldPortal } from './told.ts'

/** A target at a portal. */
export interface TargetPlace {
  /** Name of a storage system, such as an iSCSI name or an NQN. */
  readonly targetName: string
  /** Where it is reached. */
  readonly portal: Portal
  /** Portal group, as the system told; undefined where it did not name this portal. */
  readonly group: number | undefined
}

/** A target that a portal has told of. */
export interface FoundTarget {
  /** Name of a storage system. */
  readonly name: string
  /** Where it is said to be. */
  readonly portals: readonly ToldAddress[]
  /** Whether it is only where it was told to be, and not at the portal that tells. @defaultValue false */
  readonly elsewhere?: boolean
}

/** What a portal has told of. */
export interface Telling {
  /** The targets. */
  readonly found: readonly FoundTarget[]
  /** Entries that could not be used, in words. */
  readonly odd: readonly string[]
}

/** Addresses that were told of and are not used, by the reason. */
export type LeftOuts = Readonly<Record<'outside' | 'many' | 'zone', Set<string>>>

/** One text for one place. */
export function keyOf({ targetName, portal }: Pick<TargetPlace, 'targetName' | 'portal'>): string {
  return `${targetName} ${portal.address}`
}

/** Where the targets of an answer of `teller` are; what is not used goes into `leftOut`. */
export function placesOf(
  teller: Portal,
  found: readonly FoundTarget[],
  wanted: string | undefined,
  told: ToldPortals,
  leftOut?: LeftOuts,
): TargetPlace[] {
  return found
    .filter(({ name }) => wanted === undefined || name === wanted)
    .flatMap(({ name: targetName, portals, elsewhere = false }) => {
      const own = portals.find((one) => toldPortal(one, teller)?.address === teller.address)
      const others = portals.flatMap((one): TargetPlace[] => {
        const portal = told.admit(one, teller)
        if (typeof portal === 'object') return [{ targetName, portal, group: one.tag }]
        if (portal !== undefined) leftOut?.[portal as Exclude<LeftOut, undefined>].add(addressOf(one))
        return []
      })
      return elsewhere ? others : [{ targetName, portal: teller, group: own?.tag }, ...others]
    })
}

/** Adds a place to those that are known, unless it is there with its group. */
export function addPlace(places: Map<string, TargetPlace>, place: TargetPlace): boolean {
  const known = places.get(keyOf(place))
  if (known === undefined || known.group === undefined) places.set(keyOf(place), place)
  return known === undefined
}

function addressOf({ host, port }: ToldAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
