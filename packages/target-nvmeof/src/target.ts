import type {
  Clock,
  ConnectOptions,
  DiscoverOptions,
  Emitter,
  Path,
  PathInfo,
  SignalOptions,
  Target,
  TargetEvents,
  Timer,
} from '@blockbraid/core'
import { abortable, BlockError, createEmitter, systemHost } from '@blockbraid/core'
import type { Listing, NetworkHost, SurveyHost, Telling } from '@blockbraid/wire'
import { SharedTry, Survey, ToldPortals } from '@blockbraid/wire'
import type { Association } from './association/association.ts'
import { forgets as askWhetherForgotten } from './association/forgets.ts'
import { openAssociation } from './association/open.ts'
import { DiscoveryControllers } from './discovery/controllers.ts'
import { fillListing } from './discovery/listing.ts'
import { nvmeNaming } from './discovery/naming.ts'
import type { LadderHost } from './fence/ladder-host.ts'
import type { SharedAssociation } from './fence/shared-association.ts'
import { SharedAssociations } from './fence/shared-associations.ts'
import { StatusError } from './nvme/status-error.ts'
import { DISCOVERY_NQN } from './options/check.ts'
import type { NvmeofOptions, Resolved } from './options/options.ts'
import { resolveOptions } from './options/options.ts'
import { Paths } from './path/paths.ts'
import { parseFenceToken } from './place/fence-token.ts'
import { parsePathId } from './place/path-id.ts'
import type { Place } from './place/place.ts'
import type { Portal } from './place/portal.ts'
import { DISCOVERY_PORT } from './place/portal.ts'
import { securedOf } from './secured.ts'

/** A target over NVMe/TCP: ports of subsystems, or discovery controllers that tell of them. */
export interface NvmeofTarget extends Target {
  /** NVMe Qualified Name of this host. */
  readonly hostNqn: string
  /** Host identifier, a UUID. */
  readonly hostId: string
}

/** Makes a target over NVMe/TCP; throws a TypeError that names a wrong option. Nothing is connected yet. */
export function nvmeof(options: NvmeofOptions, host: NetworkHost = systemHost): NvmeofTarget {
  return new Initiator(resolveOptions(options), host)
}

// One change of an array is told by each of its controllers, milliseconds.
const CHANGED_DELAY = 50
// In a Keep Alive Timeout: a controller that falls silent is given up after seven tenths of it at most, so that what is left
// is time to have it reset through another one, before it misses its host.
const KEEP_ALIVE_PINGS = 5

class Initiator implements NvmeofTarget {
  readonly name: string
  readonly hostNqn: string
  readonly hostId: string
  readonly events: Emitter<TargetEvents> = createEmitter()
  readonly #clock: Clock
  readonly #host: NetworkHost
  readonly #options: Resolved
  readonly #told: ToldPortals
  readonly #shared: SharedAssociations
  readonly #controllers: DiscoveryControllers
  readonly #paths: Paths
  readonly #survey: Survey
  readonly #asking = new SharedTry<Telling>()
  readonly #ended = new AbortController()
  #saysChanged: Timer | undefined
  #closed: Promise<void> | undefined

  constructor(options: Resolved, host: NetworkHost) {
    const { clock } = host
    const { name, hostNqn, hostId, portals, toldPortals, maxToldPortals, quiesceTime } = options
    this.name = name
    this.hostNqn = hostNqn
    this.hostId = hostId
    this.#clock = clock
    this.#host = host
    this.#options = options
    this.#told = new ToldPortals({ from: toldPortals, most: maxToldPortals }, portals)
    const open = (place: Place, how: SignalOptions): Promise<Association> => this.#open(place, how)
    const forgets: LadderHost['forgets'] = (place, controller, how) =>
      askWhetherForgotten({ ...options, ...securedOf(options, place, host), clock, place }, controller, how)
    this.#shared = new SharedAssociations(host, { open, forgets }, quiesceTime)
    const changed = (why: string): void => this.#changed(why)
    this.#controllers = new DiscoveryControllers({
      clock,
      told: this.#told,
      at: (portal) => this.#at(DISCOVERY_NQN, portal),
      changed,
    })
    this.#paths = new Paths(clock, options, this.#shared, changed)
    this.#survey = new Survey(this.#surveyHost(), this.#ended.signal)
  }

  async discover({ signal, note, again = false }: DiscoverOptions = {}): Promise<readonly PathInfo[]> {
    this.#throwIfEnded(signal)
    let infos: readonly PathInfo[]
    try {
      infos = await this.#survey.look({ signal: this.#both(signal), again }, note)
    } catch (error) {
      this.#throwIfEnded(signal)
      throw error
    }
    this.#throwIfEnded(signal)
    if (!again) this.#paths.compare(infos)
    return infos
  }

  async connect(info: PathInfo, { signal, recent = false, progress }: ConnectOptions = {}): Promise<Path> {
    const place = parsePathId(info.id)
    if (place === undefined) {
      throw new TypeError(
        `info.id is ${JSON.stringify(info.id)}; it must be nvme-tcp:SUBNQN/HOST:PORT/nsN, as discover lists it`,
      )
    }
    this.#throwIfEnded(signal)
    const doubt = this.#survey.doubtOf(info.id)
    if (doubt !== undefined) throw new BlockError('CONNECT_FAILED', `${place.portal.address}: ${doubt}`)
    const both = this.#both(signal)
    const shared = this.#at(place.subNqn, place.portal)
    let association: Association
    try {
      association = await shared.acquire({ signal: both, recent })
    } catch (error) {
      this.#throwIfEnded(signal)
      throw error
    }
    try {
      progress?.()
      return await this.#paths.open(shared, association, place.nsid, info, { signal: both, onAnswer: progress })
    } catch (error) {
      shared.release()
      this.#throwIfEnded(signal)
      // A controller that refuses, as one that was not sent to: the path cannot be opened now.
      if (error instanceof StatusError || (BlockError.is(error) && error.code === 'IO_FAILED')) {
        throw new BlockError('CONNECT_FAILED', `${info.id}: ${error.message}`, { cause: error })
      }
      throw error
    }
  }

  async fence(token: string, { signal }: SignalOptions = {}): Promise<void> {
    this.#throwIfEnded(signal)
    const left = parseFenceToken(token)
    if (left === undefined || !this.#reaches(left.place)) {
      const text = `${this.name} does not reach what this token tells of: ${JSON.stringify(token.slice(0, 300))}`
      throw new BlockError('NOT_SUPPORTED', text)
    }
    try {
      await this.#shared.prove(left, { signal: this.#both(signal) })
    } catch (error) {
      this.#throwIfEnded(signal)
      throw error
    }
  }

  /** Whether one of the portals may lead to that subsystem. */
  #reaches(place: Place): boolean {
    const { subNqn, portal } = place
    return (
      this.#options.subsystem === subNqn ||
      this.#options.portals.some(({ address }) => address === portal.address) ||
      this.#survey.hasFound(subNqn) ||
      this.#shared.reaches(place)
    )
  }

  #surveyHost(): SurveyHost {
    const { name, portals, subsystem, namespaces } = this.#options
    return {
      ...nvmeNaming,
      clock: this.#clock,
      name,
      portals,
      target: subsystem,
      units: namespaces,
      told: this.#told,
      // What is behind a discovery controller that has never answered is known to nobody.
      guesses: false,
      askPortal: (portal, signal) => this.#ask(portal, signal),
      list: (listing, heard, signal) => this.#list(listing, heard, signal),
      tellSystems: async (infos) => infos.map((info) => ({ ...info, system: `${info.endpoint} ${info.serial}` })),
      inUse: () => this.#paths.inUse(),
      remarks: () => this.#controllers.remarks(),
      changed: (why) => this.#changed(why),
    }
  }

  /** What is behind a portal: the subsystem of the options, or what its discovery controller tells. */
  #ask(portal: Portal, signal: AbortSignal): Promise<Telling> {
    const { subsystem } = this.#options
    if (subsystem !== undefined && portal.port !== DISCOVERY_PORT) {
      return Promise.resolve({ found: [{ name: subsystem, portals: [] }], odd: [] })
    }
    return this.#asking.ask(portal.address, signal, (shared) =>
      this.#controllers.ask(portal, AbortSignal.any([shared, this.#ended.signal])),
    )
  }

  async #list(listing: Listing, heard: (disk: boolean) => void, signal: AbortSignal): Promise<void> {
    const { targetName, portal } = listing.place
    const shared = this.#at(targetName, portal)
    const association = await shared.acquire({ signal })
    try {
      const asker = { clock: this.#clock, association, owner: {}, signal }
      await fillListing(listing, this.#options.namespaces, asker, heard)
    } finally {
      shared.release()
    }
  }

  #at(subNqn: string, portal: Portal): SharedAssociation {
    const { hostNqn, hostId } = this
    return this.#shared.at({ hostNqn, hostId, subNqn, portal })
  }

  async #open(place: Place, how: SignalOptions): Promise<Association> {
    const { queues, dhchap, tls, ...options } = this.#options
    const wanted = place.subNqn === DISCOVERY_NQN ? { queues: 0 } : { queues, keepAlivePings: KEEP_ALIVE_PINGS }
    const association = await openAssociation(
      { ...options, ...securedOf({ dhchap, tls }, place, this.#host), clock: this.#clock, place, ...wanted },
      how,
    )
    association.listeners.add({
      lost() {},
      namespaces: () => this.#changed(`${place.subNqn} at ${place.portal.address} tells of other namespaces`),
    })
    return association
  }

  #changed(why: string): void {
    if (this.#closed !== undefined) return
    this.#saysChanged ??= this.#clock.after(CHANGED_DELAY, () => {
      this.#saysChanged = undefined
      this.events.emit('changed', why)
    })
  }

  close(options: SignalOptions = {}): Promise<void> {
    this.#closed ??= this.#close()
    return abortable(this.#closed, options.signal).finally(() => {
      // Whoever did not wait for the fences does not want them to go on either.
      void this.#shared.close()
    })
  }

  async #close(): Promise<void> {
    this.#saysChanged?.cancel()
    this.#ended.abort(this.#closedError())
    this.#controllers.close()
    await this.#paths.close()
    await this.#shared.close()
  }

  #both(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#ended.signal : AbortSignal.any([signal, this.#ended.signal])
  }

  #throwIfEnded(signal: AbortSignal | undefined): void {
    if (this.#ended.signal.aborted) throw this.#closedError()
    if (signal?.aborted) throw new BlockError('ABORTED', 'the call was aborted', { cause: signal.reason })
  }

  #closedError(): BlockError {
    return new BlockError('CLOSED', `${this.name} is closed`)
  }
}
