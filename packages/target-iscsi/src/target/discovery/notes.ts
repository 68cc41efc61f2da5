import type { DiscoveryNote } from '@blockbraid/core'
import { printable } from '../../login/text.ts'

/** Something to say of a logical unit, of a target, of a portal, or of several of them: it is said once. */
export interface Remark {
  /** iSCSI name; left out for a portal as a whole. */
  readonly targetName?: string | undefined
  /** Name of a logical unit. */
  readonly lun?: string | undefined
  /** Address of the portal where it is so; left out where it is no matter of one. */
  readonly portal?: string | undefined
  /** Whether the portal is one that was told of: they are named together. */
  readonly told?: boolean
  readonly text: string
  readonly missing: boolean
}

// A note names so many of a kind.
const MOST_NAMED = 4

/** One note for each thing that is wrong, wherever it is so. */
export function notesOf(remarks: readonly Remark[]): DiscoveryNote[] {
  const groups = Map.groupBy(remarks, ({ targetName, portal, told, text, missing }) =>
    // What is wrong with a portal is its own matter; what is wrong with a target may be so at each of its portals.
    JSON.stringify([targetName ?? (told ? '' : portal), text, missing]),
  )
  return [...groups.values()].flatMap((same) => {
    const [{ targetName, text, missing }] = same as [Remark]
    return placesIn(same).map(({ luns, portals }) => {
      const unit = luns.length === 0 ? '' : `, LUN ${list(luns)}`
      const where = portals.length === 0 ? '' : ` at ${list(portals)}`
      const place = targetName === undefined ? list(portals) : `${targetName}${unit}${where}`
      return { place: printable(place), text, missing }
    })
  })
}

/** Logical units that are concerned at the same portals, together. */
function placesIn(same: readonly Remark[]): { luns: string[]; portals: string[] }[] {
  const byLun = [...Map.groupBy(same, ({ lun }) => lun)].map(([lun, own]) => ({
    lun,
    portals: named(own.map(({ portal }) => portal)),
  }))
  return [...Map.groupBy(byLun, ({ portals }) => portals.join()).values()].map((alike) => ({
    luns: named(alike.map(({ lun }) => lun)),
    portals: (alike[0] as (typeof alike)[number]).portals,
  }))
}

/** `a, b and 7 more` */
export function list(names: readonly string[]): string {
  if (names.length <= MOST_NAMED) return names.join(', ')
  return `${names.slice(0, MOST_NAMED).join(', ')} and ${names.length - MOST_NAMED} more`
}

function named(names: readonly (string | undefined)[]): string[] {
  return [...new Set(names)].filter((name) => name !== undefined)
}
