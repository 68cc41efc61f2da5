import { randomBytes } from 'node:crypto'
import type {
  Access,
  Clock,
  ConnectOptions,
  DiscoverOptions,
  Emitter,
  Host,
  Path,
  PathInfo,
  SignalOptions,
  Target,
  TargetEvents,
  Timer,
  VolumeId,
} from '@blockbraid/core'
import { abortable, BlockError, createEmitter, delay, messageOf, systemHost } from '@blockbraid/core'
import type { ChapAlgorithm, ChapOptions } from '../login/chap.ts'
import type { LoginOptions } from '../login/login.ts'
import { testUnitReady } from '../scsi/cdb.ts'
import type { Lun } from '../scsi/lun.ts'
import { Action, News } from '../scsi/status.ts'
import { openSession } from '../session/open.ts'
import type { Session } from '../session/session.ts'
import type { Listing } from './discovery/listing.ts'
import { fillListing } from './discovery/listing.ts'
import type { Place, Telling } from './discovery/places.ts'
import { keyOf } from './discovery/places.ts'
import { leadToOneGroup } from './discovery/prove-system.ts'
import { askTargets } from './discovery/send-targets.ts'
import { Shared } from './discovery/shared.ts'
import type { SurveyHost } from './discovery/survey.ts'
import { Survey } from './discovery/survey.ts'
import { Systems } from './discovery/systems.ts'
import { ToldPortals } from './discovery/told.ts'
import { LoginPace } from './nexus/login-pace.ts'
import type { Lost } from './nexus/nexus.ts'
import { Nexus } from './nexus/nexus.ts'
import type { IscsiOptions, Resolved } from './options/options.ts'
import { resolveOptions } from './options/options.ts'
import { IscsiPath } from './path/path.ts'
import type { Reviewed } from './path/review.ts'
import { takesIo } from './path/review.ts'
import type { NexusPlace } from './place/fence-token.ts'
import { nexusKey, parseFenceToken } from './place/fence-token.ts'
import { isidOf } from './place/isid.ts'
import { parsePathId } from './place/path-id.ts'
import type { Portal } from './place/portal.ts'
import type { Asker } from './unit/ask.ts'
import { ask, askAll, ScsiError, tell } from './unit/ask.ts'
import type { Disk, Identity } from './unit/disk.ts'
import { readAccess, readDisk, readIdentity, untoldDisk } from './unit/disk.ts'
import { joinRegistrants } from './unit/register.ts'

/** A target over iSCSI: one or more portals of storage systems. */
export interface IscsiTarget extends Target {
  /** iSCSI name of this host. */
  readonly initiator: string
}

/** Makes a target over iSCSI; throws a TypeError that names a wrong option. Nothing is connected yet. */
export function iscsi(options: IscsiOptions, host: Host = systemHost): IscsiTarget {
  return new Initiator(resolveOptions(options), host)
}

/** Where to log in; without a name a discovery session. */
type LoginPlace = Omit<NexusPlace, 'targetName'> & { readonly targetName: string | undefined }

const NO_DIGEST = ['None'] as const
// Between tries to reset a logical unit, milliseconds.
const RESET_DELAY = 500
// One change of an array is told by each of its logical units, milliseconds.
const CHANGED_DELAY = 50

class Initiator implements IscsiTarget, SurveyHost {
  readonly name: string
  readonly initiator: string
  readonly portals: readonly Portal[]
  readonly target: string | undefined
  readonly luns: readonly number[] | undefined
  readonly told: ToldPortals
  readonly clock: Clock
  readonly events: Emitter<TargetEvents> = createEmitter()
  readonly #options: Resolved
  readonly #host: Host
  readonly #salt: string
  readonly #nexuses = new Map<string, Nexus>()
  readonly #paces = new Map<string, LoginPace>()
  readonly #paths = new Set<IscsiPath>()
  /** Paths that have been opened, by id. */
  readonly #opened = new Map<string, PathInfo>()
  readonly #asking = new Shared<Telling>()
  /** Algorithms of CHAP that were taken, by target and portal. */
  readonly #offers = new Map<string, readonly ChapAlgorithm[]>()
  readonly #weak = new Map<string, { readonly targetName: string | undefined; readonly portal: string }>()
  readonly #disks = new Map<VolumeId, Disk>()
  readonly #writesLost = new Set<VolumeId>()
  readonly systems = new Systems((targetName, one, other) => this.#leadToOne(targetName, one, other))
  readonly #ended = new AbortController()
  readonly #survey: Survey
  #saysChanged: Timer | undefined
  #closed: Promise<void> | undefined

  constructor(options: Resolved, host: Host) {
    this.#options = options
    this.#host = host
    this.clock = host.clock
    this.name = options.name
    this.initiator = options.initiator
    this.portals = options.portals
    this.target = options.target
    this.luns = options.luns
    this.told = new ToldPortals({ from: options.toldPortals, most: options.maxToldPortals }, options.portals)
    this.#salt = options.isid === 'random' ? randomBytes(16).toString('hex') : ''
    this.#survey = new Survey(this, this.#ended.signal)
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
    if (!again) this.#compare(infos)
    return infos
  }

  /** Lets open paths look again where the array tells another volume or another size than they know, or may take writes. */
  #compare(infos: readonly PathInfo[]): void {
    const told = new Map(infos.map((info) => [info.id, info]))
    for (const path of this.#paths) {
      const info = told.get(path.id)
      if (info === undefined || info.unseen) continue
      const { size, readOnly } = path.limits
      if (info.size !== size || info.volume !== path.volume || readOnly) path.lookAgain()
    }
  }

  async list(listing: Listing, heard: (disk: boolean) => void, signal: AbortSignal): Promise<void> {
    const nexus = this.#nexus(listing.place, undefined)
    const session = await nexus.acquire({ signal })
    try {
      await fillListing(listing, this.luns, this.#asker(session, {}, signal), heard)
    } finally {
      nexus.release()
    }
  }

  inUse(): readonly PathInfo[] {
    const volumes = new Set(Array.from(this.#paths, ({ volume }) => volume))
    return [...this.#opened.values()].filter(({ volume }) => volumes.has(volume))
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
      return await this.#openPath(info, place.lun, nexus, session, both, progress)
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

  async #openPath(
    info: PathInfo,
    lun: Lun,
    nexus: Nexus,
    session: Session,
    signal: AbortSignal,
    onAnswer: (() => void) | undefined,
  ): Promise<Path> {
    let heard = 0
    const before = this.#lastDisk(info.volume)
    const onNews = (news: number, sense: Uint8Array): void => {
      heard |= news
      tell(session, lun, sense)
    }
    const asker = { ...this.#asker(session, {}, signal), lun, onNews, onAnswer, opens: true }
    const identity = await readIdentity(asker)
    if (identity === undefined) throw new BlockError('CONNECT_FAILED', `${info.id} leads to no disk`)
    if (identity.volume !== info.volume) {
      throw new BlockError('IDENTITY_CHANGED', `${info.id} leads to ${identity.volume} and not to ${info.volume}`)
    }
    let reading: Promise<Access> = Promise.resolve('optimized')
    const [access, disk] = await askAll(asker, [
      () => (reading = readAccess(asker, identity)),
      () => this.#readDisk(asker, identity, info, reading),
    ])
    // It may have changed while the rest was read; who is asked now has told all that was to be told.
    if ((heard & (News.Identity | News.Luns)) !== 0 && (await readIdentity(asker))?.volume !== info.volume) {
      throw new BlockError('IDENTITY_CHANGED', `${info.id} no longer leads to ${info.volume}`)
    }
    if (this.#options.registerKey !== undefined) await joinRegistrants(asker, this.#options.registerKey)
    // What answered while the end came is no path any more.
    signal.throwIfAborted()
    if (session.error !== undefined)
      throw new BlockError('CONNECT_FAILED', session.error.message, { cause: session.error })
    const { clock } = this.#host
    // What was told to whoever came first, this opening included.
    const missed = nexus.missed.take(lun)
    if ((missed & News.WriteLost) !== 0) this.#writeLost(info.volume)
    const cached = disk.limits.writeCache || before?.limits.writeCache === true
    const wasReset = cached && (missed & News.Reset) !== 0
    const path = new IscsiPath(
      {
        clock,
        taskTimeout: this.#options.taskTimeout,
        pollInterval: this.#options.pollInterval,
        resets: this.#options.fence === 'lun-reset',
        queueDepth: this.#options.queueDepth,
        maxTransfer: this.#options.maxTransfer,
        changed: (why) => this.changed(why),
        lastDisk: this.#lastDisk,
        writeLost: (volume) => this.#writeLost(volume),
        takeWriteLost: (volume) => this.#writesLost.delete(volume),
        resetHeard: (path) => this.#resetHeard(path),
        registerKey: this.#options.registerKey,
        fencedByReset: (lost, proven) => this.#fencedByReset(lost, proven),
        gone: (gone) => this.#paths.delete(gone),
      },
      nexus,
      session,
      lun,
      info.id,
      { identity, disk, access, wasReset },
    )
    this.#paths.add(path)
    this.#opened.set(info.id, info)
    return path
  }

  #writeLost(volume: VolumeId): void {
    this.#writesLost.add(volume)
    for (const path of this.#paths) if (path.volume === volume) path.failFlushes()
  }

  #resetHeard({ id, volume }: Reviewed): void {
    for (const path of this.#paths) if (path.volume === volume && path.id !== id) path.lookAgain()
  }

  async #readDisk(asker: Asker, identity: Identity, info: PathInfo, reading: Promise<Access>): Promise<Disk> {
    try {
      const disk = await readDisk(asker, identity, this.#options)
      this.#lastDisk(identity.volume, disk)
      return disk
    } catch (error) {
      // A port that takes no I/O may not tell of the disk: it is opened all the same, to be used later.
      if (!(error instanceof ScsiError)) throw error
      const access = await reading
      if (takesIo(access)) throw error
      return this.#lastDisk(identity.volume) ?? untoldDisk(info, this.#options)
    }
  }

  async #fencedByReset(lost: IscsiPath, proven: AbortSignal): Promise<void> {
    if (this.#options.fence !== 'lun-reset') return new Promise(() => {})
    const over = AbortSignal.any([proven, this.#ended.signal])
    while (!over.aborted) {
      if (await this.#resetThrough((other) => other !== lost && other.volume === lost.volume)) return
      await delay(this.#host.clock, RESET_DELAY, over)
    }
    // Given up, which proves nothing.
    return new Promise(() => {})
  }

  /** Resets the logical unit through the first of those paths that can; resolves to whether one could. */
  async #resetThrough(which: (path: IscsiPath) => boolean): Promise<boolean> {
    for (const path of this.#paths) {
      if (!which(path)) continue
      const done = await path.reset().then(
        () => true,
        () => false,
      )
      if (done) return true
    }
    return false
  }

  readonly #lastDisk = (volume: VolumeId, disk?: Disk): Disk | undefined => {
    if (disk !== undefined) this.#disks.set(volume, disk)
    return this.#disks.get(volume)
  }

  #asker(session: Session, owner: object, signal: AbortSignal): Omit<Asker, 'lun'> {
    return { session, owner, options: { clock: this.#host.clock, timeout: this.#options.taskTimeout, signal } }
  }

  #nexus({ targetName, portal }: Pick<Place, 'targetName' | 'portal'>, lun: Lun | undefined): Nexus {
    const own = this.#options.sessionPerLun && lun !== undefined ? lun.name : ''
    const { initiator } = this
    return this.#nexusAt({ initiator, isid: this.#isid(targetName, portal, own), targetName, portal })
  }

  #isid(targetName: string, portal: Portal, own: string): Uint8Array {
    return isidOf(this.initiator, targetName, portal.address, own, this.#salt)
  }

  #nexusAt(place: NexusPlace): Nexus {
    const key = nexusKey(place)
    const known = this.#nexuses.get(key)
    if (known !== undefined) return known
    const nexus = new Nexus(
      {
        clock: this.#host.clock,
        random: this.#host.random,
        open: (at, { signal, recent = false }) => {
          const pace = this.#paceOf(at)
          if (recent && pace.tooEarly !== undefined) return Promise.reject(pace.tooEarly)
          return pace.try(() => this.#open(at, this.#options.chap, { signal }))
        },
        workedOff: (session, lun, options) => this.#workedOff(session, lun, options),
        siblings: ({ targetName, portal }, lost) => {
          const others = [...this.#nexuses.values()].filter(
            (other) => other.place.targetName === targetName && mayShareGroup(other.session, lost),
          )
          const portals = new Map(others.map((other) => [other.place.portal.address, other.place.portal]))
          portals.delete(portal.address)
          return [...portals.values()]
        },
      },
      place,
    )
    this.#nexuses.set(key, nexus)
    return nexus
  }

  /** One for all sessions with a target at a portal: what one of them meets is what the others would. */
  #paceOf({ targetName, portal }: NexusPlace): LoginPace {
    const key = keyOf({ targetName, portal })
    const pace = this.#paces.get(key) ?? new LoginPace(this.#host.clock, this.#host.random)
    this.#paces.set(key, pace)
    return pace
  }

  async #workedOff(session: Session, lun: Lun, { signal }: SignalOptions): Promise<void> {
    // However long it takes: a question that is given up stays in the target, and the next one waits behind it.
    const options = { clock: this.#host.clock, timeout: Infinity, signal, ordered: true }
    try {
      await ask({ session, owner: {}, lun, options }, 'TEST UNIT READY', testUnitReady())
    } catch (error) {
      // A logical unit that is not there, or takes no commands here, executes none.
      if (error instanceof ScsiError && error.verdict.action === Action.None) return
      throw new BlockError('CONNECT_FAILED', `LUN ${lun.name}: ${messageOf(error)}`, { cause: error })
    }
  }

  #leadToOne(targetName: string, one: Portal, other: Portal): Promise<boolean> {
    // Of its own, so that the login ends no session that is in use.
    const isid = isidOf(randomBytes(16).toString('hex'))
    const { signal } = this.#ended
    return leadToOneGroup(one, other, {
      clock: this.#host.clock,
      timeout: this.#options.taskTimeout,
      signal,
      open: (portal) =>
        this.#open({ initiator: this.initiator, isid, targetName, portal }, this.#options.chap, { signal }),
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
      await this.#nexusAt(left).prove({ group: left.group }, left.lun, { signal: this.#both(signal) })
    } catch (error) {
      this.#throwIfEnded(signal)
      if (this.#options.fence === 'lun-reset' && (await this.#resetThrough((path) => path.leadsTo(left)))) return
      throw error
    }
  }

  /** Whether one of the portals may lead to that target. */
  #reaches({ targetName, portal }: NexusPlace): boolean {
    return (
      this.target === targetName ||
      this.portals.some(({ address }) => address === portal.address) ||
      this.#survey.hasFound(targetName) ||
      [...this.#nexuses.values()].some(({ place, session }) => place.targetName === targetName && session !== undefined)
    )
  }

  sendTargets(portal: Portal, signal: AbortSignal): Promise<Telling> {
    return this.#asking.ask(portal.address, signal, (shared) => this.#sendTargets(portal, shared))
  }

  async #sendTargets(portal: Portal, signal: AbortSignal): Promise<Telling> {
    const isid = isidOf(this.initiator, 'discovery', portal.address, this.#salt)
    const place = { initiator: this.initiator, isid, targetName: undefined, portal }
    const session = await this.#openDiscovery(place, { signal })
    return askTargets(session, portal, AbortSignal.any([signal, this.#ended.signal]))
  }

  async #openDiscovery(place: LoginPlace, options: SignalOptions): Promise<Session> {
    const { chap, discoveryChap } = this.#options
    try {
      return await this.#open(place, discoveryChap, options)
    } catch (error) {
      const isDenied = BlockError.is(error) && error.code === 'DENIED'
      if (!isDenied || chap === undefined || chap.fault !== undefined || discoveryChap !== chap) throw error
      // Not used, whatever it tells: the options ask for CHAP here, too.
      const session = await this.#open(place, undefined, options).catch(() => undefined)
      if (session === undefined) throw error
      void session.logout()
      const cure =
        'the target takes no CHAP for discovery: set discoveryChap to false (?discoveryChap=none in an address)'
      throw new BlockError('DENIED', `${error.message}; ${cure}`, { cause: error.cause })
    }
  }

  async #open(
    { initiator, isid, targetName, portal }: LoginPlace,
    chap: ChapOptions | undefined,
    { signal }: SignalOptions,
  ): Promise<Session> {
    const o = this.#options
    if (chap?.fault !== undefined) throw new BlockError('DENIED', chap.fault)
    const place = { targetName, portal: portal.address }
    const at = JSON.stringify(place)
    const login: LoginOptions = {
      initiatorName: initiator,
      targetName,
      isid,
      chap,
      // Discovery carries no data of volumes, and tgt knows no digests there.
      headerDigest: targetName === undefined ? NO_DIGEST : o.headerDigest,
      dataDigest: targetName === undefined ? NO_DIGEST : o.dataDigest,
      immediateData: o.immediateData,
      initialR2T: o.initialR2T,
      firstBurstLength: o.firstBurstLength,
      maxBurstLength: o.maxBurstLength,
      maxRecvDataSegmentLength: o.maxRecvDataSegmentLength,
      maxOutstandingR2T: o.maxOutstandingR2T,
      random: randomBytes,
    }
    const opened = openSession(
      {
        clock: this.#host.clock,
        keepAlive: { interval: o.keepAliveInterval, timeout: o.keepAliveTimeout },
        taskTimeout: o.taskTimeout,
        maxRecvDataSegmentLength: o.maxRecvDataSegmentLength,
        endpoint: { host: portal.host, port: portal.port, localAddress: o.localAddress },
        login,
        loginTimeout: o.loginTimeout,
        firstOffer: this.#offers.get(at),
        usedChap: (algorithm, offered) => {
          this.#offers.set(at, offered)
          if (chap?.reserve?.includes(algorithm)) this.#weak.set(at, place)
          else this.#weak.delete(at)
        },
        mayMoveTo: (host) => this.told.allows(host) || this.portals.some((one) => one.host === host),
      },
      { signal },
    )
    // Another one may be taken next time.
    opened.catch((error: unknown) => {
      if (BlockError.is(error) && error.code === 'DENIED') this.#offers.delete(at)
    })
    return opened
  }

  /** Places where CHAP had nothing better than MD5. */
  weak(): readonly { readonly targetName: string | undefined; readonly portal: string }[] {
    return [...this.#weak.values()]
  }

  changed(why: string): void {
    if (this.#closed !== undefined) return
    this.#saysChanged ??= this.#host.clock.after(CHANGED_DELAY, () => {
      this.#saysChanged = undefined
      this.events.emit('changed', why)
    })
  }

  close(options: SignalOptions = {}): Promise<void> {
    this.#closed ??= this.#close()
    return abortable(this.#closed, options.signal).finally(() => {
      // Whoever did not wait for the fences does not want them to go on either.
      for (const nexus of this.#nexuses.values()) void nexus.close()
    })
  }

  async #close(): Promise<void> {
    this.#saysChanged?.cancel()
    this.#ended.abort(this.#closedError())
    await Promise.all([...this.#paths].map((path) => path.close()))
    await Promise.all([...this.#nexuses.values()].map((nexus) => nexus.close()))
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

/** Whether there is a session, and it is not known to be of another portal group than each of the lost ones. */
function mayShareGroup(live: Session | undefined, lost: readonly Lost[]): boolean {
  if (live === undefined) return false
  const now = live.negotiated.targetPortalGroupTag
  return lost.some(({ group: before }) => before === undefined || now === undefined || before === now)
}
