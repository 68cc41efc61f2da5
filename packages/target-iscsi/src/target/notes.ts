import type { DiscoveryNote } from '@blockbraid/core'
import { printable } from '../login/text.ts'

/** Something to say of a logical unit, of a target, of a portal, or of several of them: it is said once. */
export interface Remark {
  /** iSCSI name; left out for a portal as a whole. */
  readonly targetName?: string | undefined
  /** Name of a logical unit. */
  readonly lun?: string | undefined
  /** Address of the portal where it is so; left out where it is no matter of one. */
  readonly portal?: string | undefined
  readonly text: string
  readonly missing: boolean
}

// A note names so many of a kind.
const MOST_NAMED = 4

/** One note for each thing that is wrong, wherever it is so. */
export function notesOf(remarks: readonly Remark[]): DiscoveryNote[] {
  const groups = Map.groupBy(remarks, ({ targetName, portal, text, missing }) =>
    // What is wrong with a portal is its own matter; what is wrong with a target may be so at each of its portals.
    JSON.stringify([targetName ?? portal, text, missing]),
  )
  return [...groups.values()].map((same) => {
    const [{ targetName, text, missing }] = same as [Remark]
    const luns = named(same.map(({ lun }) => lun))
    const portals = named(same.map(({ portal }) => portal))
    const unit = luns.length === 0 ? '' : `, LUN ${list(luns)}`
    const where = portals.length === 0 ? '' : ` at ${list(portals)}`
    return {
      place: printable(targetName === undefined ? list(portals) : `${targetName}${unit}${where}`),
      text,
      missing,
    }
  })
}

/** `a, b and 7 more` */
export function list(names: readonly string[]): string {
  if (names.length <= MOST_NAMED) return names.join(', ')
  return `${names.slice(0, MOST_NAMED).join(', ')} and ${names.length - MOST_NAMED} more`
}

function named(names: readonly (string | undefined)[]): string[] {
  return [...new Set(names)].filter((name) => name !== undefined)
}
