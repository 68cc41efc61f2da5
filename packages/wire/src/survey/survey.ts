import type { DiscoveryNote, PathInfo } from '@blockbraid/core'
import { abortable, BlockError } from '@blockbraid/core'
import type { Portal } from '../portal.ts'
import type { PathIds } from './expected.ts'
import { expectedPaths, likeGroup, movedTo, withDoubts, withoutCrowds } from './expected.ts'
import type { Listing } from './listing.ts'
import type { Remark } from './notes.ts'
import { notesOf } from './notes.ts'
import type { TargetPlace, Telling } from './places.ts'
import { addPlace, keyOf, placesOf } from './places.ts'
import type { Facts } from './remarks.ts'
import { remarksOf } from './remarks.ts'
import type { RoundHost } from './round.ts'
import { MOST_PLACES, Round } from './round.ts'

/** What a survey needs of its target. */
export interface SurveyHost
  extends Pick<RoundHost, 'clock' | 'portals' | 'target' | 'told' | 'askPortal' | 'list'>,
    Pick<Facts, 'name' | 'units' | 'words' | 'numberOf' | 'placeOf'> {
  /** Whether each target may be behind a portal that has never told which are. */
  readonly guesses: boolean
  /** Ids of paths. */
  readonly idOf: PathIds
  /** Fills `system` in; `tellings` by address of the portal, `answers` says which portals can be asked now. */
  tellSystems(
    infos: readonly PathInfo[],
    tellings: ReadonlyMap<string, Telling>,
    answers: (address: string) => boolean,
  ): Promise<readonly PathInfo[]>
  /** Paths that have been opened and whose volume is still in use. */
  inUse(): readonly PathInfo[]
  /** What the protocol itself has to say of a look. */
  remarks(): readonly Remark[]
  /** Something has answered after it was no longer waited for. */
  changed(why: string): void
}

/** Options of a look. */
export interface LookOptions {
  /** Ends the look. */
  readonly signal: AbortSignal
  /** Whether units that have answered before are not asked again. @defaultValue false */
  readonly again?: boolean
}

/** What a look has found. */
interface Found {
  readonly infos: readonly PathInfo[]
  readonly notes: readonly DiscoveryNote[]
}

/** Looks at what is there, again and again, and knows what was there before. */
export class Survey implements RoundHost {
  /** Time. */
  readonly clock: RoundHost['clock']
  /** Portals of the options. */
  readonly portals: readonly Portal[]
  readonly target: string | undefined
  /** Portals that targets have told of. */
  readonly told: RoundHost['told']
  readonly #host: SurveyHost
  readonly #stop: AbortSignal
  /** What each place had when it answered last. */
  readonly #known = new Map<string, { readonly place: TargetPlace; readonly infos: readonly PathInfo[] }>()
  /** Of each place what units have said themselves when they were asked last. */
  readonly #sure = new Map<string, ReadonlyMap<string, PathInfo>>()
  readonly #tellings = new Map<string, Telling>()
  readonly #asks = new Map<string, AbortController>()
  /** By id of a path that was only expected, the path that it must be of one storage system with. */
  readonly #doubts = new Map<string, string>()
  #listed: ReadonlyMap<string, PathInfo> = new Map()
  #round: Round | undefined
  #turn: Promise<unknown> = Promise.resolve()

  /** Nothing goes on once `stop` has fired. */
  constructor(host: SurveyHost, stop: AbortSignal) {
    this.#host = host
    this.#stop = stop
    this.clock = host.clock
    this.portals = host.portals
    this.target = host.target
    this.told = host.told
  }

  /** Targets that were found, by name. */
  hasFound(targetName: string): boolean {
    return [...this.#known.values()].some(({ place }) => place.targetName === targetName)
  }

  /**
   * Lists what is there, and what was there and cannot be asked now; with `note`, also what is expected. One look at a
   * time: a newer one calls off what the one before is still asking.
   */
  async look(options: LookOptions, note?: (note: DiscoveryNote) => void): Promise<PathInfo[]> {
    const turn = abortable(this.#turn, options.signal).then(() => this.#look(options, note))
    this.#turn = Promise.allSettled([this.#turn, turn])
    return turn
  }

  async #look({ signal, again = false }: LookOptions, note?: (note: DiscoveryNote) => void): Promise<PathInfo[]> {
    if (this.#round !== undefined) {
      this.#round.superseded = true
      for (const [key, listing] of this.#round.listings) this.#sure.set(key, listing.sure)
    }
    const stop = new AbortController()
    const round = new Round(this, AbortSignal.any([this.#stop, stop.signal]), again)
    this.#round = round
    try {
      await round.answered({ signal })
    } catch (error) {
      stop.abort()
      throw error
    }
    const { infos, notes } = this.#findings(round)
    void round.done.then(() => this.#lookBack(round, infos))
    for (const one of notes) note?.(one)
    const nothing = round.listings.size === 0 || [...round.listings.values()].every((one) => !answered(one))
    const failures = this.portals.flatMap(({ address }) => round.failures.get(address) ?? [])
    const errors = [...failures, ...round.errors.values()]
    if (nothing && errors.length > 0) throw nothingAnswers(this.#host.name, errors)
    const wanted = note === undefined ? infos.filter(({ unseen }) => unseen !== true) : infos
    const placed = await this.#host.tellSystems(wanted, round.tellings, (address) => hasAnswered(round, address))
    return this.#settle(placed)
  }

  #settle(placed: readonly PathInfo[]): PathInfo[] {
    const { infos, doubts } = withDoubts(placed)
    this.#listed = new Map(infos.map((info) => [info.id, info]))
    for (const [id, origin] of doubts) if (!this.#doubts.has(id)) this.#doubts.set(id, origin)
    for (const [id, origin] of this.#doubts) {
      const now = this.#listed.get(id)
      const isSeen = now !== undefined && now.unseen !== true
      if (isSeen && now.system === this.#listed.get(origin)?.system) this.#doubts.delete(id)
    }
    return infos
  }

  /** Why a path that was only expected must not be opened yet; undefined where it may be. */
  doubtOf(id: string): string | undefined {
    const origin = this.#doubts.get(id)
    if (origin === undefined) return undefined
    const now = this.#listed.get(id)
    return now === undefined || now.unseen === true
      ? 'it has not answered discovery yet; its volume has an identity that many storage systems have'
      : `it is not known to be of the same storage system as ${origin}`
  }

  /** Tells it where something has come since the round was no longer waited for. */
  #lookBack(round: Round, infos: readonly PathInfo[]): void {
    if (round !== this.#round || this.#stop.aborted) return
    if (fingerprint(this.#findings(round).infos) !== fingerprint(infos))
      this.#host.changed('a portal has answered late')
  }

  #findings(round: Round): Found {
    const { idOf, guesses } = this.#host
    const places = this.#placesOf(round)
    this.#forget(round, places)
    const lists = new Map<string, readonly PathInfo[]>()
    for (const [key, place] of places) {
      const listing = round.listings.get(key)
      const known = this.#known.get(keyOf(place))?.infos
      if (listing !== undefined && answered(listing)) lists.set(key, listing.found)
      else if (known !== undefined) lists.set(key, known)
    }
    const unlisted = [...places].filter(([key]) => !lists.has(key)).map(([, place]) => place)
    const seen = new Map(lists)
    for (const place of unlisted.filter(({ portal }) => this.told.names(portal.address))) {
      const like = likeGroup(place, places.values(), seen)
      if (like === undefined) continue
      const infos = movedTo(place, like, idOf)
      lists.set(keyOf(place), infos)
      this.#known.set(keyOf(place), { place, infos })
    }
    const silent = this.portals.filter(
      ({ address }) =>
        !round.tellings.has(address) && ![...places.values()].some(({ portal }) => portal.address === address),
    )
    const expected = expectedPaths(
      withoutCrowds(
        unlisted.filter((place) => !lists.has(keyOf(place))),
        (address) => this.told.names(address),
      ),
      guesses ? silent : [],
      seen,
      idOf,
    )
    const { name, portals, target, units, words, numberOf, placeOf } = this.#host
    const of = { name, portals, target, units, words, numberOf, placeOf, round, places, lists }
    const facts: Facts = { ...of, inUse: this.#host.inUse(), more: this.#host.remarks() }
    const infos = complete([...lists.values(), expected].flat())
    return { infos, notes: notesOf(remarksOf(facts, infos), words) }
  }

  /** Places that were told of, and those that a portal told of that does not answer now; in the order of the options. */
  #placesOf(round: Round): Map<string, TargetPlace> {
    const places = new Map<string, TargetPlace>()
    for (const portal of this.portals) {
      const { found = [] } = round.tellings.get(portal.address) ?? this.#tellings.get(portal.address) ?? {}
      for (const place of placesOf(portal, found, this.target, this.told)) {
        if (places.size < MOST_PLACES || places.has(keyOf(place))) addPlace(places, place)
      }
    }
    return places
  }

  /** What nobody tells of any more is gone. */
  #forget(round: Round, places: ReadonlyMap<string, TargetPlace>): void {
    if (round !== this.#round) return
    for (const map of [this.#known, this.#sure]) {
      for (const key of map.keys()) if (!places.has(key)) map.delete(key)
    }
    this.told.keep(new Set(Array.from(places.values(), ({ portal }) => portal.address)))
  }

  // RoundHost

  askPortal(portal: Portal, signal: AbortSignal): Promise<Telling> {
    return this.#host.askPortal(portal, signal)
  }

  list(listing: Listing, heard: (disk: boolean) => void, signal: AbortSignal): Promise<void> {
    return this.#host.list(listing, heard, signal)
  }

  before(place: TargetPlace): readonly PathInfo[] {
    return this.#known.get(keyOf(place))?.infos ?? []
  }

  sure(place: TargetPlace): ReadonlyMap<string, PathInfo> | undefined {
    return this.#sure.get(keyOf(place))
  }

  remembered(portal: Portal): Telling | undefined {
    return this.#tellings.get(portal.address)
  }

  asks(place: TargetPlace, stop: AbortController): void {
    const key = keyOf(place)
    this.#asks.get(key)?.abort()
    this.#asks.set(key, stop)
  }

  learnt(listing: Listing): void {
    this.#known.set(keyOf(listing.place), { place: listing.place, infos: listing.found })
  }

  heardOf(portal: Portal, telling: Telling): void {
    this.#tellings.set(portal.address, telling)
  }
}

/** Whether it says something of what is there. */
function answered(listing: Listing): boolean {
  return listing.complete || listing.infos.size > 0
}

function hasAnswered(round: Round, address: string): boolean {
  return [...round.listings.values()].some((one) => one.place.portal.address === address && answered(one))
}

/** Puts the lists together: sizes that one path did not tell are those of another; what nobody told is left out. */
function complete(infos: readonly PathInfo[]): PathInfo[] {
  const told = new Map<string, PathInfo>()
  for (const info of infos) if (info.size > 0) told.set(info.volume, info)
  return infos.flatMap((info) => {
    if (info.size > 0) return [info]
    const other = told.get(info.volume)
    return other === undefined ? [] : [{ ...info, size: other.size, blockSize: other.blockSize }]
  })
}

function fingerprint(infos: readonly PathInfo[]): string {
  return infos
    .map(({ id, volume, size, unseen }) => `${id} ${volume} ${size} ${unseen === true}`)
    .sort()
    .join('\n')
}

// Portals of one array tend to fail for one reason each; more of them are of no more use.
const MOST_TOLD = 4

function nothingAnswers(name: string, errors: readonly BlockError[]): BlockError {
  const first = errors.find(({ code }) => code === 'DENIED') ?? (errors[0] as BlockError)
  if (first.code === 'DENIED') return first
  const texts = [...new Set(errors.map(({ message }) => message))].slice(0, MOST_TOLD)
  return new BlockError('CONNECT_FAILED', `no portal of ${name} answers: ${texts.join('; ')}`, { cause: first })
}
