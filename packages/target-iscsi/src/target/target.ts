import { randomBytes } from 'node:crypto'
import type {
  Access,
  Clock,
  ConnectOptions,
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
import type { ChapOptions } from '../login/chap.ts'
import type { LoginOptions } from '../login/login.ts'
import { testUnitReady } from '../scsi/cdb.ts'
import type { Lun } from '../scsi/lun.ts'
import { Action, News } from '../scsi/status.ts'
import { openSession } from '../session/open.ts'
import type { Session } from '../session/session.ts'
import type { Asker } from './ask.ts'
import { ask, askAll, ScsiError, tell } from './ask.ts'
import type { DiscoveryHost, Place } from './discovery.ts'
import { askEach, complete, findPlaces, listPaths, movedTo, toBlockError } from './discovery.ts'
import type { Disk, Identity } from './disk.ts'
import { readAccess, readDisk, readIdentity, untoldDisk } from './disk.ts'
import type { NexusPlace } from './fence-token.ts'
import { nexusKey, parseFenceToken } from './fence-token.ts'
import { isidOf } from './isid.ts'
import { LoginPace } from './login-pace.ts'
import type { Lost } from './nexus.ts'
import { Nexus } from './nexus.ts'
import type { IscsiOptions, Resolved } from './options.ts'
import { resolveOptions } from './options.ts'
import { IscsiPath } from './path.ts'
import type { PathPlace } from './path-id.ts'
import { parsePathId } from './path-id.ts'
import type { Portal } from './portal.ts'
import { leadToOneGroup } from './prove-system.ts'
import type { Reviewed } from './review.ts'
import { takesIo } from './review.ts'
import { Systems } from './systems.ts'

/** A target over iSCSI: one or more portals of storage systems. */
export interface IscsiTarget extends Target {
  /** iSCSI name of this host. */
  readonly initiator: string
}

/** Makes a target over iSCSI; throws a TypeError that names a wrong option. Nothing is connected yet. */
export function iscsi(options: IscsiOptions, host: Host = systemHost): IscsiTarget {
  return new Initiator(resolveOptions(options), host)
}

const NO_DIGEST = ['None'] as const
// Between tries to reset a logical unit, milliseconds.
const RESET_DELAY = 500
// One change of an array is told by each of its logical units, milliseconds.
const CHANGED_DELAY = 50

class Initiator implements IscsiTarget, DiscoveryHost {
  readonly name: string
  readonly initiator: string
  readonly portals: readonly Portal[]
  readonly target: string | undefined
  readonly toldPortals: boolean
  readonly clock: Clock
  readonly events: Emitter<TargetEvents> = createEmitter()
  readonly #options: Resolved
  readonly #host: Host
  readonly #salt: string
  readonly #nexuses = new Map<string, Nexus>()
  readonly #paces = new Map<string, LoginPace>()
  readonly #paths = new Set<IscsiPath>()
  /** What each place had when it was asked last. */
  readonly #known = new Map<string, { readonly place: Place; readonly infos: readonly PathInfo[] }>()
  readonly #disks = new Map<VolumeId, Disk>()
  readonly #writesLost = new Set<VolumeId>()
  readonly #systems = new Systems((targetName, one, other) => this.#leadToOne(targetName, one, other))
  readonly #ended = new AbortController()
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
    this.toldPortals = options.toldPortals
    this.#salt = options.isid === 'random' ? randomBytes(16).toString('hex') : ''
  }

  async discover({ signal }: SignalOptions = {}): Promise<readonly PathInfo[]> {
    const options = { signal: this.#both(signal) }
    const { places, told, failures } = await findPlaces(this, options)
    this.#throwIfEnded(signal)
    const asked = await askEach(places, this.clock, options.signal, (place, each) => this.#ask(place, each))
    this.#throwIfEnded(signal)
    const lists = new Map<string, readonly PathInfo[]>()
    const errors = [...failures]
    for (const [index, result] of asked.entries()) {
      const place = places[index] as Place
      if (result.status === 'rejected') {
        errors.push(toBlockError(result.reason))
      } else {
        lists.set(keyOf(place), result.value)
        this.#known.set(keyOf(place), { place, infos: result.value })
      }
    }
    const first = errors.find(({ code }) => code === 'DENIED') ?? errors[0]
    if (lists.size === 0 && first !== undefined) throw nothingAnswers(this.name, first)
    this.#recall(places, lists, failures.length > 0)
    const infos = await this.#systems.tell(complete([...lists.values()].flat()), told)
    this.#throwIfEnded(signal)
    this.#compare(infos)
    return infos
  }

  /** Lets open paths look again where the array tells another volume or another size than they know. */
  #compare(infos: readonly PathInfo[]): void {
    const told = new Map(infos.map((info) => [info.id, info]))
    for (const path of this.#paths) {
      const info = told.get(path.id)
      if (info === undefined || (info.size === path.limits.size && info.volume === path.volume)) continue
      path.lookAgain()
    }
  }

  /** Adds what is known of places that could not be asked this time. */
  #recall(places: readonly Place[], lists: Map<string, readonly PathInfo[]>, someSilent: boolean): void {
    for (const [key, { place, infos }] of this.#known) {
      if (lists.has(key)) continue
      // Told of, or at a portal that says nothing: it is there, and cannot be reached just now.
      if (someSilent || places.some((other) => keyOf(other) === key)) lists.set(key, infos)
      else this.#known.delete(keyOf(place))
    }
    for (const place of places) {
      if (lists.has(keyOf(place)) || place.group === undefined) continue
      if (!this.portals.some(({ address }) => address === place.portal.address)) continue
      const like = places.find(
        (other) =>
          other.targetName === place.targetName &&
          other.group === place.group &&
          (lists.get(keyOf(other))?.length ?? 0) > 0,
      )
      if (like === undefined) continue
      const infos = movedTo(place, lists.get(keyOf(like)) ?? [], (info) => (parsePathId(info.id) as PathPlace).lun)
      lists.set(keyOf(place), infos)
      this.#known.set(keyOf(place), { place, infos })
    }
  }

  async #ask(place: Place, options: { signal: AbortSignal }): Promise<readonly PathInfo[]> {
    const nexus = this.#nexus(place, undefined)
    const session = await nexus.acquire(options)
    try {
      const before = this.#known.get(keyOf(place))?.infos ?? []
      return await listPaths(place, this.#options.luns, before, this.#asker(session, {}, options.signal))
    } finally {
      nexus.release()
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
    const asker = { ...this.#asker(session, {}, signal), lun, onNews, onAnswer, patient: true }
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
        changed: (why) => this.#changed(why),
        lastDisk: this.#lastDisk,
        writeLost: (volume) => this.#writeLost(volume),
        takeWriteLost: (volume) => this.#writesLost.delete(volume),
        resetHeard: (path) => this.#resetHeard(path),
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
      [...this.#known.values()].some(({ place }) => place.targetName === targetName) ||
      [...this.#nexuses.values()].some(({ place, session }) => place.targetName === targetName && session !== undefined)
    )
  }

  openDiscovery(portal: Portal, options: SignalOptions): Promise<Session> {
    const isid = isidOf(this.initiator, 'discovery', portal.address, this.#salt)
    const place = { initiator: this.initiator, isid, targetName: undefined, portal }
    return this.#open(place, this.#options.discoveryChap, options)
  }

  #open(
    { initiator, isid, targetName, portal }: Omit<NexusPlace, 'targetName'> & { targetName: string | undefined },
    chap: ChapOptions | undefined,
    { signal }: SignalOptions,
  ): Promise<Session> {
    const o = this.#options
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
    return openSession(
      {
        clock: this.#host.clock,
        keepAlive: { interval: o.keepAliveInterval, timeout: o.keepAliveTimeout },
        taskTimeout: o.taskTimeout,
        maxRecvDataSegmentLength: o.maxRecvDataSegmentLength,
        endpoint: { host: portal.host, port: portal.port, localAddress: o.localAddress },
        login,
        loginTimeout: o.loginTimeout,
      },
      { signal },
    )
  }

  #changed(why: string): void {
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

function keyOf({ targetName, portal }: Pick<Place, 'targetName' | 'portal'>): string {
  return `${targetName} ${portal.address}`
}

function nothingAnswers(name: string, first: BlockError): BlockError {
  if (first.code === 'DENIED') return first
  return new BlockError('CONNECT_FAILED', `no portal of ${name} answers: ${first.message}`, { cause: first })
}
