import type { Clock, PathInfo, SignalOptions } from '@blockbraid/core'
import { abortable, BlockError, delay, messageOf } from '@blockbraid/core'
import type { Portal } from '../portal.ts'
import { Limiter } from './limiter.ts'
import { Listing } from './listing.ts'
import type { LeftOuts, TargetPlace, Telling } from './places.ts'
import { addPlace, keyOf, placesOf } from './places.ts'
import type { ToldPortals } from './told.ts'

/** What a look at the portals needs of its target. */
export interface RoundHost {
  /** Time. */
  readonly clock: Clock
  /** Portals of the options. */
  readonly portals: readonly Portal[]
  /** The one target to use. */
  readonly target: string | undefined
  /** Portals that targets have told of. */
  readonly told: ToldPortals
  /** Asks a portal for its targets: one try. */
  askPortal(portal: Portal, signal: AbortSignal): Promise<Telling>
  /** Connects at the place of a listing, one try, and fills it; `heard` is called with each answer. */
  list(listing: Listing, heard: (disk: boolean) => void, signal: AbortSignal): Promise<void>
  /** What was found at a place before. */
  before(place: TargetPlace): readonly PathInfo[]
  /** What units there have said themselves when they were asked last, by name. */
  sure(place: TargetPlace): ReadonlyMap<string, PathInfo> | undefined
  /** What a portal told last. */
  remembered(portal: Portal): Telling | undefined
  /** A place is asked now: whoever was asking it before is called off. */
  asks(place: TargetPlace, stop: AbortController): void
  /** A place has answered completely. */
  learnt(listing: Listing): void
  /** A portal has answered. */
  heardOf(portal: Portal, telling: Telling): void
}

const MAX_AT_ONCE = 16
/** Places that are looked at, at most. */
export const MOST_PLACES = 4096
// What hangs gives its turn to others after that time, milliseconds.
const PATIENCE = 1000
// Once something was found, what is silent is waited for as long as something is heard within so many steps, and no
// longer than so many in all; milliseconds.
const STEP = 200
const QUIET_STEPS = 4
const MOST_STEPS = 20

/**
 * One look at all portals, and at the targets that they tell of. What answers is there at once; what is slow goes on
 * behind it, until it has an answer or its own time is over.
 */
export class Round {
  readonly tellings = new Map<string, Telling>()
  /** Portals that were asked for their targets in vain, by address. */
  readonly failures = new Map<string, BlockError>()
  readonly places = new Map<string, TargetPlace>()
  readonly listings = new Map<string, Listing>()
  /** Places that were asked in vain, or in part. */
  readonly errors = new Map<string, BlockError>()
  readonly leftOut: LeftOuts = { outside: new Set(), many: new Set(), zone: new Set() }
  /** Places beyond the most that are looked at. */
  beyond = 0
  /** Settles when everything that was asked has answered, or has failed to. */
  readonly done: Promise<void>
  /** A newer one has begun, which asks from here on. */
  superseded = false
  readonly #host: RoundHost
  readonly #signal: AbortSignal
  readonly #again: boolean
  readonly #turns: Limiter
  #open = 0
  #finish: () => void = () => {}
  #news = 0
  #found = false

  /** `again`: units that have answered before, and are still told of, are not asked. */
  constructor(host: RoundHost, signal: AbortSignal, again: boolean) {
    this.#host = host
    this.#signal = signal
    this.#again = again
    this.#turns = new Limiter(host.clock, MAX_AT_ONCE, PATIENCE)
    this.done = new Promise((resolve) => {
      this.#finish = resolve
    })
    for (const portal of host.portals) this.#run(() => this.#askPortal(portal))
  }

  /** Settles when all have answered, or when something was found and the rest is silent. */
  async answered({ signal }: SignalOptions): Promise<void> {
    const over = new AbortController()
    try {
      await abortable(Promise.race([this.done, this.#quiet(over.signal)]), signal)
    } finally {
      over.abort()
    }
  }

  async #quiet(over: AbortSignal): Promise<void> {
    let [still, steps, before] = [0, 0, -1]
    while (still < QUIET_STEPS && steps < MOST_STEPS) {
      await delay(this.#host.clock, STEP, over)
      if (over.aborted) return
      if (!this.#found) continue
      steps++
      still = this.#news === before ? still + 1 : 0
      before = this.#news
    }
  }

  #run(work: () => Promise<void>): void {
    this.#open++
    void this.#turns.run(work).finally(() => {
      this.#open--
      this.#news++
      if (this.#open === 0) this.#finish()
    })
  }

  async #askPortal(portal: Portal): Promise<void> {
    const { told, target } = this.#host
    try {
      const telling = await this.#host.askPortal(portal, this.#signal)
      this.tellings.set(portal.address, telling)
      this.#host.heardOf(portal, telling)
      for (const place of placesOf(portal, telling.found, target, told, this.leftOut)) this.#add(place)
    } catch (error) {
      this.failures.set(portal.address, toBlockError(error))
      // What it told before may be reached though it says nothing.
      for (const place of placesOf(portal, this.#host.remembered(portal)?.found ?? [], target, told)) this.#add(place)
    }
  }

  #add(place: TargetPlace): void {
    if (this.places.size >= MOST_PLACES && !this.places.has(keyOf(place))) this.beyond++
    else if (addPlace(this.places, place) && !this.superseded) this.#run(() => this.#askPlace(place))
  }

  async #askPlace(place: TargetPlace): Promise<void> {
    if (this.superseded) return
    const key = keyOf(place)
    const before = new Map(this.#host.before(place).map((info) => [info.lun as string, info]))
    const listing = new Listing(place, before, this.#again ? this.#host.sure(place) : undefined)
    this.listings.set(key, listing)
    const stop = new AbortController()
    const heard = (found: boolean): void => {
      this.#news++
      this.#found ||= found
    }
    // It begins before the one before is called off: the two share one connection.
    const listed = this.#host.list(listing, heard, AbortSignal.any([this.#signal, stop.signal]))
    this.#host.asks(place, stop)
    try {
      await listed
      this.#found = true
      this.#host.learnt(listing)
    } catch (error) {
      if (!stop.signal.aborted) this.errors.set(key, toBlockError(error))
    }
  }
}

/** Anything thrown, as a BlockError. */
function toBlockError(error: unknown): BlockError {
  return BlockError.is(error) ? error : new BlockError('CONNECT_FAILED', messageOf(error), { cause: error })
}
