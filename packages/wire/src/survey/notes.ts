import type { DiscoveryNote } from '@blockbraid/core'
import type { SurveyWords } from './words.ts'

/** Something to say of a unit, of a target, of a portal, or of several of them: it is said once. */
export interface Remark {
  /** Name of a target; left out for a portal as a whole. */
  readonly targetName?: string | undefined
  /** Name of a unit. */
  readonly unit?: string | undefined
  /** Address of the portal where it is so; left out where it is no matter of one. */
  readonly portal?: string | undefined
  /** Whether the portal is one that was told of: they are named together. */
  readonly told?: boolean
  /** What is wrong and what cures it, for people. */
  readonly text: string
  /** Whether something is expected, and not there. */
  readonly missing: boolean
}

// A note names so many of a kind.
const MOST_NAMED = 4

/** One note for each thing that is wrong, wherever it is so. */
export function notesOf(remarks: readonly Remark[], words: Pick<SurveyWords, 'unit'>): DiscoveryNote[] {
  const groups = Map.groupBy(remarks, ({ targetName, portal, told, text, missing }) =>
    // What is wrong with a portal is its own matter; what is wrong with a target may be so at each of its portals.
    JSON.stringify([targetName ?? (told ? '' : portal), text, missing]),
  )
  return [...groups.values()].flatMap((same) => {
    const [{ targetName, text, missing }] = same as [Remark]
    return placesIn(same).map(({ units, portals }) => {
      const unit = units.length === 0 ? '' : `, ${words.unit} ${list(units)}`
      const where = portals.length === 0 ? '' : ` at ${list(portals)}`
      const place = targetName === undefined ? list(portals) : `${targetName}${unit}${where}`
      return { place: printable(place), text, missing }
    })
  })
}

/** Units that are concerned at the same portals, together. */
function placesIn(same: readonly Remark[]): { units: string[]; portals: string[] }[] {
  const byUnit = [...Map.groupBy(same, ({ unit }) => unit)].map(([unit, own]) => ({
    unit,
    portals: named(own.map(({ portal }) => portal)),
  }))
  return [...Map.groupBy(byUnit, ({ portals }) => portals.join()).values()].map((alike) => ({
    units: named(alike.map(({ unit }) => unit)),
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

// What a target tells must not end a line of a log.
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '\ufffd')
}
