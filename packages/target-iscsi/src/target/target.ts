import { randomBytes as systemBytes } from 'node:crypto'
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
import type { Listing, NetworkHost, Remark, SurveyHost, TargetPlace, Telling } from '@blockbraid/wire'
import { networkOf, SharedTry, Survey, ToldPortals } from '@blockbraid/wire'
import type { Lun } from '../scsi/lun.ts'
import type { Session } from '../session/session.ts'
import { fillListing } from './discovery/listing.ts'
import { iscsiNaming, weakRemarks } from './discovery/naming.ts'
import { leadToOneGroup } from './discovery/prove-system.ts'
import { askTargets } from './discovery/send-targets.ts'
import { Systems, toldOf } from './discovery/systems.ts'
import { Logins } from './nexus/logins.ts'
import type { Nexus } from './nexus/nexus.ts'
import { Nexuses } from './nexus/nexuses.ts'
import type { IscsiOptions, Resolved } from './options/options.ts'
import { resolveOptions } from './options/options.ts'
import { Paths } from './path/paths.ts'
import type { NexusPlace } from './place/fence-token.ts'
import { parseFenceToken } from './place/fence-token.ts'
import { isidOf } from './place/isid.ts'
import { parsePathId } from './place/path-id.ts'
import type { Portal } from './place/portal.ts'
import { ScsiError } from './unit/ask.ts'

/** A target over iSCSI: one or more portals of storage systems. */
export interface IscsiTarget extends Target {
  /** iSCSI name of this host. */
  readonly initiator: string
}

/** Makes a target over iSCSI; throws a TypeError that names a wrong option. Nothing is connected yet. */
export function iscsi(options: IscsiOptions, host: NetworkHost = systemHost): IscsiTarget {
  return new Initiator(resolveOptions(options), host)
}

// One change of an array is told by each of its logical units, milliseconds.
const CHANGED_DELAY = 50

class Initiator implements IscsiTarget {
  readonly name: string
  readonly initiator: string
  readonly #told: ToldPortals
  readonly clock: Clock
  readonly events: Emitter<TargetEvents> = createEmitter()
  readonly #systems = new Systems((targetName, one, other) => this.#leadToOne(targetName, one, other))
  readonly #options: Resolved
  readonly #salt: string
  readonly #randomBytes: (count: number) => Buffer
  readonly #logins: Logins
  readonly #nexuses: Nexuses
  readonly #paths: Paths
  readonly #asking = new SharedTry<Telling>()
  readonly #ended = new AbortController()
  readonly #survey: Survey
  #saysChanged: Timer | undefined
  #closed: Promise<void> | undefined

  constructor(options: Resolved, host: NetworkHost) {
    const { clock, randomBytes = systemBytes } = host
    this.#options = options
    this.clock = clock
    this.name = options.name
    this.initiator = options.initiator
    this.#told = new ToldPortals({ from: options.toldPortals, most: options.maxToldPortals }, options.portals)
    this.#salt = options.isid === 'random' ? randomBytes(16).toString('hex') : ''
    this.#randomBytes = randomBytes
    this.#logins = new Logins(
      { clock, network: networkOf(host), randomBytes },
      options,
      (to) => this.#told.allows(to) || options.portals.some((one) => one.host === to),
    )
    this.#nexuses = new Nexuses(host, (place, how) => this.#logins.open(place, how))
    this.#paths = new Paths(clock, options, this.#ended.signal, (why) => this.#changed(why))
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

  async #list(listing: Listing, heard: (disk: boolean) => void, signal: AbortSignal): Promise<void> {
    const nexus = this.#nexus(listing.place, undefined)
    const session = await nexus.acquire({ signal })
    try {
      const options = { clock: this.clock, timeout: this.#options.taskTimeout, signal }
      await fillListing(listing, this.#options.luns, { session, owner: {}, options }, heard)
    } finally {
      nexus.release()
    }
  }

  #surveyHost(): SurveyHost {
    const { name, portals, target, luns } = this.#options
    return {
      ...iscsiNaming,
      clock: this.clock,
      name,
      portals,
      target,
      units: luns,
      told: this.#told,
      guesses: true,
      askPortal: (portal, signal) =>
        this.#asking.ask(portal.address, signal, (shared) => this.#sendTargets(portal, shared)),
      list: (listing, heard, signal) => this.#list(listing, heard, signal),
      tellSystems: (infos, tellings, answers) => this.#systems.tell(infos, toldOf(tellings, portals), answers),
      inUse: () => this.#paths.inUse(),
      remarks: (): Remark[] => weakRemarks(this.#logins.weak()),
      changed: (why) => this.#changed(why),
    }
  }

  async connect(info: PathInfo, { signal, recent = false, progress }: ConnectOptions = {}): Promise<Path> {
    const place = parsePathId(info.id)
    if (place === undefined) {
      throw new TypeError(
        `info.id is ${JSON.stringify(info.id)}; it must be iscsi:TARGET/HOST:PORT/lunN, as discover lists it`,
      )
    }
    this.#throwIfEnded(signal)
    const doubt = this.#survey.doubtOf(info.id)
    if (doubt !== undefined) throw new BlockError('CONNECT_FAILED', `${place.portal.address}: ${doubt}`)
    const both = this.#both(signal)
    const nexus = this.#nexus(place, place.lun)
    let session: Session
    try {
      session = await nexus.acquire({ signal: both, recent })
    } catch (error) {
      this.#throwIfEnded(signal)
      throw error
    }
    try {
      progress?.()
      return await this.#paths.open(nexus, session, place.lun, info, { signal: both, onAnswer: progress })
    } catch (error) {
      nexus.release()
      this.#throwIfEnded(signal)
      // A logical unit that refuses, as one that was not sent to: the path cannot be opened now.
      if (error instanceof ScsiError || (BlockError.is(error) && error.code === 'IO_FAILED')) {
        throw new BlockError('CONNECT_FAILED', `${info.id}: ${error.message}`, { cause: error })
      }
      throw error
    }
  }

  #nexus({ targetName, portal }: Pick<TargetPlace, 'targetName' | 'portal'>, lun: Lun | undefined): Nexus {
    const own = this.#options.sessionPerLun && lun !== undefined ? lun.name : ''
    const { initiator } = this
    const isid = isidOf(initiator, targetName, portal.address, own, this.#salt)
    return this.#nexuses.at({ initiator, isid, targetName, portal })
  }

  #leadToOne(targetName: string, one: Portal, other: Portal): Promise<boolean> {
    // Of its own, so that the login ends no session that is in use.
    const isid = isidOf(this.#randomBytes(16).toString('hex'))
    const { initiator } = this
    const { signal } = this.#ended
    return leadToOneGroup(one, other, {
      clock: this.clock,
      timeout: this.#options.taskTimeout,
      signal,
      open: (portal) => this.#logins.open({ initiator, isid, targetName, portal }, { signal }),
    })
  }

  async fence(token: string, { signal }: SignalOptions = {}): Promise<void> {
    this.#throwIfEnded(signal)
    const left = parseFenceToken(token)
    if (left === undefined || !this.#reaches(left)) {
      const text = `${this.name} does not reach what this token tells of: ${JSON.stringify(token.slice(0, 300))}`
      throw new BlockError('NOT_SUPPORTED', text)
    }
    try {
      // Where it is a nexus of this process, its session stays: it took the place of the one that was left.
      await this.#nexuses.at(left).prove({ group: left.group }, left.lun, { signal: this.#both(signal) })
    } catch (error) {
      this.#throwIfEnded(signal)
      if (this.#paths.resets && (await this.#paths.resetThrough((path) => path.leadsTo(left)))) return
      throw error
    }
  }

  /** Whether one of the portals may lead to that target. */
  #reaches({ targetName, portal }: NexusPlace): boolean {
    return (
      this.#options.target === targetName ||
      this.#options.portals.some(({ address }) => address === portal.address) ||
      this.#survey.hasFound(targetName) ||
      this.#nexuses.hasSession(targetName)
    )
  }

  async #sendTargets(portal: Portal, signal: AbortSignal): Promise<Telling> {
    const { initiator } = this
    const isid = isidOf(initiator, 'discovery', portal.address, this.#salt)
    const session = await this.#logins.openDiscovery({ initiator, isid, portal }, { signal })
    return askTargets(session, portal, AbortSignal.any([signal, this.#ended.signal]))
  }

  #changed(why: string): void {
    if (this.#closed !== undefined) return
    this.#saysChanged ??= this.clock.after(CHANGED_DELAY, () => {
      this.#saysChanged = undefined
      this.events.emit('changed', why)
    })
  }

  close(options: SignalOptions = {}): Promise<void> {
    this.#closed ??= this.#close()
    return abortable(this.#closed, options.signal).finally(() => {
      // Whoever did not wait for the fences does not want them to go on either.
      void this.#nexuses.close()
    })
  }

  async #close(): Promise<void> {
    this.#saysChanged?.cancel()
    this.#ended.abort(this.#closedError())
    await this.#paths.close()
    await this.#nexuses.close()
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
