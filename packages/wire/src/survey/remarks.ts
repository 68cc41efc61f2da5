import type { BlockError, PathInfo } from '@blockbraid/core'
import type { Portal } from '../portal.ts'
import type { Lists } from './expected.ts'
import type { Listing } from './listing.ts'
import { nearest } from './nearest.ts'
import type { Remark } from './notes.ts'
import { list } from './notes.ts'
import type { TargetPlace } from './places.ts'
import { keyOf } from './places.ts'
import type { Round } from './round.ts'
import { MOST_PLACES } from './round.ts'
import type { SurveyWords } from './words.ts'

/** What remarks are made of. */
export interface Facts {
  /** Name of the target. */
  readonly name: string
  readonly portals: readonly Portal[]
  readonly target: string | undefined
  /** Numbers of the units that the options name. */
  readonly units: readonly number[] | undefined
  /** What the protocol calls things. */
  readonly words: SurveyWords
  /** The number of a unit, by its name; undefined where it has none. */
  numberOf(unit: string): number | undefined
  /** Where a path leads, and to which unit. */
  placeOf(info: PathInfo): Pick<TargetPlace, 'targetName' | 'portal'>
  readonly round: Round
  /** Places that are expected. */
  readonly places: ReadonlyMap<string, TargetPlace>
  readonly lists: Lists
  /** Paths whose volume is in use. */
  readonly inUse: readonly PathInfo[]
  /** What the protocol itself has to say. */
  readonly more: readonly Remark[]
}

const LATE = 'has not answered yet'

/** What is to be said of a look at the portals; `all` is what it lists. */
export function remarksOf(facts: Facts, all: readonly PathInfo[]): Remark[] {
  return [
    ...ofPortals(facts),
    ...ofPlaces(facts),
    ...ofTarget(facts),
    ...ofUnits(facts, all),
    ...ofNumbers(facts),
    ...ofUsed(facts),
    ...ofTold(facts),
    ...facts.more,
  ]
}

function ofPortals({ portals, round }: Facts): Remark[] {
  return portals.flatMap(({ address: portal }): Remark[] => {
    const telling = round.tellings.get(portal)
    if (telling === undefined) {
      const error = round.failures.get(portal)
      return [{ portal, text: error === undefined ? LATE : reasonOf(error, portal), missing: true }]
    }
    const [first] = telling.odd
    if (first === undefined) return []
    const more = telling.odd.length > 1 ? `, and ${telling.odd.length - 1} more like this` : ''
    return [{ portal, text: `tells what cannot be used, and is left out: ${first}${more}`, missing: false }]
  })
}

function ofPlaces({ portals, round, places }: Facts): Remark[] {
  const configured = new Set(portals.map(({ address }) => address))
  const silent = new Set([...configured].filter((address) => !round.tellings.has(address)))
  return [...places].flatMap(([key, place]): Remark[] => {
    const { targetName } = place
    const portal = place.portal.address
    const told = !configured.has(portal)
    // Said of the portal as a whole.
    if (silent.has(portal)) return []
    const error = round.errors.get(key)
    if (error !== undefined) {
      const text = reasonOf(error, portal)
      const unreachable = error.code === 'CONNECT_FAILED' || error.code === 'TIMED_OUT'
      return [{ ...(unreachable ? { told } : { targetName }), portal, text, missing: true }]
    }
    const listing = round.listings.get(key)
    if (listing !== undefined && (listing.complete || listing.waiting.size > 0 || listing.infos.size > 0)) return []
    return [{ portal, told, text: LATE, missing: true }]
  })
}

function ofTarget({ target, round, places, words }: Facts): Remark[] {
  if (target === undefined || places.size > 0 || round.tellings.size === 0) return []
  const names = [...new Set([...round.tellings.values()].flatMap(({ found }) => found.map(({ name }) => name)))]
  const meant = nearest(target, names)
  const others = names.length === 0 ? `they tell of no ${words.targets} at all` : `they tell of ${list(names)}`
  const cure = meant === undefined ? others : `did you mean ${meant}?`
  return [{ targetName: target, text: `is told of by no portal: ${cure}`, missing: true }]
}

function ofUnits({ round }: Facts, all: readonly PathInfo[]): Remark[] {
  return [...round.listings].flatMap(([key, listing]) => {
    const { targetName, portal: at } = listing.place
    const portal = at.address
    const of = (unit: string | undefined, text: string, missing: boolean): Remark => ({
      targetName,
      portal,
      unit,
      text,
      missing,
    })
    const late = round.errors.has(key) ? [] : [...listing.waiting]
    const sizeless = [...listing.sizeless].filter(
      ([unit]) => listing.infos.has(unit) && !all.some((info) => isAt(info, listing) && info.lun === unit),
    )
    return [
      ...[...listing.remarks].map((text) => of(undefined, text, listing.infos.size === 0)),
      ...listing.notes.map(({ unit, text, missing }) => of(unit, text, missing)),
      ...late.map((unit) => of(unit, LATE, true)),
      ...sizeless.map(([unit, why]) => of(unit, `does not tell its size: ${why}`, true)),
    ]
  })
}

/** Numbers of the options that are not mapped. */
function ofNumbers({ units, target, round, words, numberOf }: Facts): Remark[] {
  const whole = [...round.listings.values()].filter(({ complete }) => complete)
  return (units ?? []).flatMap((number): Remark[] => {
    const lacking = whole.filter(({ infos, notes }) =>
      [...infos.keys(), ...notes.map(({ unit }) => unit)].every((name) => numberOf(name) !== number),
    )
    const unit = String(number)
    const byTarget = Map.groupBy(whole, ({ place }) => place.targetName)
    const nowhere = lacking.length === whole.length
    return [...byTarget].flatMap(([targetName, own]): Remark[] => {
      const without = lacking.filter(({ place }) => place.targetName === targetName)
      // Without a target in the options, a number is for those that have it.
      if (without.length === 0 || (without.length === own.length && !nowhere && target === undefined)) return []
      const text = `is not mapped to this ${words.host}`
      if (without.length === own.length) return [{ targetName, unit, text, missing: true }]
      return without.map(({ place }) => ({ targetName, unit, portal: place.portal.address, text, missing: true }))
    })
  })
}

/** What is in use, and was taken away at a portal. */
function ofUsed({ places, round, lists, units, inUse, words, placeOf }: Facts): Remark[] {
  const ids = new Set([...lists.values()].flat().map(({ id }) => id))
  return inUse
    .filter(({ id }) => !ids.has(id))
    .flatMap((info): Remark[] => {
      const place = placeOf(info)
      const { targetName } = place
      const portal = place.portal.address
      if (!places.has(keyOf(place))) return [{ targetName, portal, text: 'is no longer told of', missing: true }]
      const isListed = round.listings.get(keyOf(place))?.complete === true
      if (!isListed || units !== undefined) return []
      return [{ targetName, unit: info.lun, portal, text: `is no longer mapped to this ${words.host}`, missing: true }]
    })
}

function ofTold({ name, words, round: { leftOut, beyond } }: Facts): Remark[] {
  const { many, outside, zone } = leftOut
  const remarks: Remark[] = []
  if (beyond > 0) {
    const text = `${beyond} more ${words.targets} at portals are told of than the ${MOST_PLACES} that are looked at: name one by ${words.targetOption}`
    remarks.push({ portal: name, text, missing: false })
  }
  const say = (addresses: ReadonlySet<string>, why: string): void => {
    if (addresses.size === 0) return
    const text = `${addresses.size} portals that are told of are not used, ${why}: ${list([...addresses])}`
    remarks.push({ portal: name, text, missing: false })
  }
  say(many, 'as they are more than maxToldPortals (list those to use in portals, or raise it)')
  say(outside, 'as they are outside of toldPortals')
  say(zone, 'as their link-local addresses say nothing here')
  return remarks
}

function isAt(info: PathInfo, { place }: Listing): boolean {
  return info.address === place.portal.address && info.endpoint === place.targetName
}

/** The message without the address that stands before it. */
function reasonOf({ message }: BlockError, portal: string): string {
  return message.startsWith(`${portal}: `) ? message.slice(portal.length + 2) : message
}
