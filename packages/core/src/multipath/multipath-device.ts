import type { Host } from '../clock.ts'
import { delay, systemHost } from '../clock.ts'
import type { Closing } from '../closing.ts'
import { closing, orAborted } from '../closing.ts'
import type { DeviceCommandOptions } from '../commands.ts'
import { COMMAND_TIMEOUT, protocolName } from '../commands.ts'
import type { BlockDevice, DeviceLimits, Extent } from '../device.ts'
import type { Emitter } from '../emitter.ts'
import { createEmitter } from '../emitter.ts'
import { BlockError } from '../errors.ts'
import type { Events } from '../events.ts'
import type { Io } from '../io.ts'
import type { IoSource } from '../io-source.ts'
import type { ByteRun, Ledger } from '../ledger.ts'
import type { DeviceState, GuardStatus, PairEvents, PathStatus } from '../pair.ts'
import type { PathSelector } from '../policy.ts'
import type { SignalOptions } from '../signal.ts'
import { Errno } from '../status.ts'
import type { Path, PathTrouble } from '../target.ts'
import type { VolumeId } from '../volume-id.ts'
import { CacheState } from './cache-state.ts'
import { Engine } from './engine.ts'
import { checkedSelector, firstPath } from './first-path.ts'
import type { Owed } from './guard.ts'
import { canOther, combineLimits, limitsFault, takesAll, widen } from './limits.ts'
import { misfit } from './misfit.ts'
import { narrowFront } from './narrow-front.ts'
import type { MultipathOptions, ResolvedOptions } from './options.ts'
import { resolveOptions } from './options.ts'
import type { PassThroughOwner } from './pass-through.ts'
import { anyRoute, oneRoute, passThrough } from './pass-through.ts'
import type { PathEntry } from './path-entry.ts'
import type { SlotOwner } from './path-slot.ts'
import { PathSlot } from './path-slot.ts'
import type { PathSource } from './path-source.ts'
import { NO_ANSWER } from './troubles.ts'
import { activatable, bestTier, standsBack } from './usable.ts'
import { WriteHold } from './write-hold.ts'

/** Events of a {@link MultipathDevice}: those of a pair, without the attachment's. */
export type MultipathEvents = Omit<PairEvents, 'lost' | 'resizeFailed' | 'limitsFailed'>

/** Options of {@link openMultipath}. */
export interface OpenMultipathOptions extends SignalOptions {
  /** Makes the policy; left out: the first usable path takes all I/O. */
  selector?: (() => PathSelector) | undefined
  /** Time-outs and weights. */
  multipath?: MultipathOptions | undefined
  /** Defaults to the machine's. */
  host?: Host | undefined
  /** Keeps what may be in flight beyond the life of this process. */
  ledger?: Ledger | undefined
  /** Ranges in which somebody before may still have changes in flight: what overlaps them waits for the proof. */
  owed?: readonly Owed[] | undefined
}

/**
 * All paths of one volume as one device. A read that meets a path error goes to another path at once;
 * what changes data goes after the failed path is fenced. With no usable path, I/O waits, but never
 * longer than `noPathTimeout`.
 */
export interface MultipathDevice extends BlockDevice {
  /** Identity that every path has. */
  readonly volume: VolumeId
  /** Whether I/O can go on. */
  readonly state: DeviceState
  /** How long I/O that waits since it has no usable path may still wait, milliseconds; Infinity where one is usable. */
  readonly patience: number
  /** Whether something was acknowledged that no flush has covered. */
  readonly unflushed: boolean
  /** Settles after `close`, when every path is fenced, even if `close` was hurried. */
  readonly fenced: Promise<void>
  /** Changes of state. */
  readonly events: Events<MultipathEvents>
  /** Ios waiting for a usable path or for a fence. */
  readonly parked: number
  /** Ios waiting for room on a usable path. */
  readonly queued: number
  /** Ios submitted and not done, waiting ones included. */
  readonly inflight: number
  /** Name of the policy; an empty text where there is none. */
  readonly policy: string
  /** How often the policy threw or returned what was not in its list; the first path served then. */
  readonly policyFaults: number
  /** Every path with its counters, as it is now. */
  readonly paths: readonly PathStatus[]
  /** Ranges that wait for a proof; see {@link BlockDevicePair.guards}. */
  readonly guards: readonly GuardStatus[]
  /** See {@link BlockDevicePair.releaseGuards}. */
  releaseGuards(): void
  /** After `close`: what it leaves without a proof, for whoever opens the volume next. */
  leaves(): Promise<readonly Owed[]>
  /** Settles when every I/O that is in flight now is done. */
  settled(): Promise<void>
  /** Exchanges the policy under I/O; throws what `create` throws, and then keeps the old one. */
  setSelector(create: () => PathSelector): void
  /** Adds a path of this volume; one that is known already stays as it is. */
  addPath(source: PathSource): void
  /** Ends a path; settles when it is fenced. */
  removePath(id: string): Promise<void>
  /** Takes a path out until `restorePath`; settles when it is fenced. */
  failPath(id: string): Promise<void>
  /** Lets a path that was taken out connect again, and makes one that waits try at once. */
  restorePath(id: string): void
  /** Sends a command as {@link UserDevice.sendCommand} says; the options are not checked. */
  sendCommand(
    protocol: string,
    command: unknown,
    data?: Uint8Array | number,
    options?: DeviceCommandOptions,
  ): Promise<unknown>
}

// How long the other paths are waited for once the first is up, milliseconds.
const GRACE = 1000

/**
 * Opens the paths of a volume as one device. Resolves when a path is up, after up to one second for
 * the others; rejects with NO_PATH when every first try has failed.
 */
export async function openMultipath(
  volume: VolumeId,
  sources: readonly PathSource[],
  options: OpenMultipathOptions = {},
): Promise<MultipathDevice> {
  const host = options.host ?? systemHost
  const { ledger, owed = [] } = options
  const device = new Multipath(volume, sources, host, resolveOptions(options.multipath), options.selector, ledger, owed)
  try {
    await device.ready(options.signal)
  } catch (error) {
    await device.close({ signal: AbortSignal.abort() })
    throw error
  }
  return device
}

class Multipath implements MultipathDevice, SlotOwner {
  readonly volume: VolumeId
  readonly host: Host
  readonly options: ResolvedOptions
  readonly ledger: Ledger | undefined
  readonly events: Emitter<MultipathEvents> = createEmitter()
  limits: DeviceLimits
  extents?: (offset: number, length: number, options?: SignalOptions) => Promise<readonly Extent[]>
  #slots: PathSlot[] = []
  #again = new Map<string, PathSource>()
  #engine: Engine
  #activating = false
  #closing: Closing = closing(({ signal }) => this.#end(signal))
  #closed = false
  #widest: DeviceLimits | undefined
  readonly #cache = new CacheState(this, () => this.#refreshLimits())
  readonly #hold: WriteHold
  #fenced: () => void = () => {}
  readonly fenced: Promise<void> = new Promise((resolve) => (this.#fenced = resolve))
  #ended = new AbortController()
  #asked: PathSlot | undefined
  #stalledAt: number

  constructor(
    volume: VolumeId,
    sources: readonly PathSource[],
    host: Host,
    options: ResolvedOptions,
    selector: (() => PathSelector) | undefined,
    ledger: Ledger | undefined,
    owed: readonly Owed[],
  ) {
    this.volume = volume
    this.ledger = ledger
    this.host = host
    this.options = options
    this.#hold = new WriteHold(host.clock, options.noPathTimeout, () => this.#refreshLimits())
    this.#engine = new Engine(host.clock, options, selector === undefined ? firstPath() : checkedSelector(selector), {
      policyFault: (error) => this.#emit('policyFault', error),
      drained: (slot) => slot.drained(),
      awaitsWritable: () => this.#hold.awaits(this.#slots),
      mayLetOthersIn: (slot) => this.#mayLetOthersIn(slot),
    })
    for (const each of owed) this.#engine.owe(each)
    if (owed.length > 0) this.#cache.inherit()
    this.#stalledAt = host.clock.now()
    this.limits = unknownLimits(sources[0]?.info.size ?? 0, sources[0]?.info.blockSize ?? 512)
    for (const source of sources) this.addPath(source)
  }

  async ready(signal: AbortSignal | undefined): Promise<void> {
    const stop = new AbortController()
    try {
      const firstUp = Promise.any(
        this.#slots.map(async (slot) => {
          await slot.firstTry
          if (slot.state !== 'up') throw new Error(slot.reason)
        }),
      )
      await orAborted(firstUp, signal)
      const others = Promise.all(this.#slots.map((slot) => slot.firstTry))
      await orAborted(Promise.race([others, delay(this.host.clock, GRACE, stop.signal)]), signal)
    } catch (error) {
      if (!(error instanceof AggregateError)) throw error
      const reasons = this.#slots.map((slot) => `${slot.entry.id}: ${slot.reason}`)
      const why = reasons.length === 0 ? 'it has none' : reasons.join('; ')
      throw new BlockError('NO_PATH', `no path to volume ${this.volume} could be opened (${why})`)
    } finally {
      stop.abort()
    }
    if (this.#slots.some((slot) => slot.entry.path?.extents !== undefined)) this.extents = this.#extents
  }

  get state(): DeviceState {
    if (this.#closed) return 'closed'
    if (this.#engine.usable.length === 0) return 'stalled'
    return this.#slots.every((slot) => slot.state === 'up' && slot.standsBack === '') ? 'active' : 'degraded'
  }

  get patience(): number {
    if (this.state !== 'stalled') return Number.POSITIVE_INFINITY
    const { clock } = this.host
    return Math.max(0, this.options.noPathTimeout - (clock.now() - this.#stalledAt) / 1000)
  }

  get parked(): number {
    return this.#engine.parked
  }

  get queued(): number {
    return this.#engine.queued
  }

  get inflight(): number {
    return this.#engine.inflight
  }

  get policy(): string {
    return this.#engine.selection.name
  }

  get policyFaults(): number {
    return this.#engine.selection.faults
  }

  get guards(): readonly GuardStatus[] {
    return this.#engine.guards
  }

  releaseGuards(): void {
    for (const by of this.#engine.release()) {
      if (by instanceof PathSlot) by.drained()
      else by.waive()
    }
  }

  async leaves(): Promise<readonly Owed[]> {
    await this.settled()
    return this.#engine.guarded().map(({ by, from, end, path, reason }) => ({
      offset: from,
      length: end - from,
      path,
      reason,
      proven: by instanceof PathSlot ? by.over : by.proven,
      // For whoever opens the volume after that, and for the next process, too.
      waive: () => this.releaseGuards(),
    }))
  }

  abandon(source: IoSource): void {
    this.#engine.abandon(source)
  }

  beginWhole(io: Io): void {
    this.#engine.beginWhole(io)
  }

  endWhole(io: Io): void {
    this.#engine.endWhole(io)
  }

  get paths(): readonly PathStatus[] {
    return this.#slots.map((slot) => slot.status())
  }

  submit(io: Io): void {
    if (!this.#closing.begun) this.#engine.submit(io)
    else this.host.clock.defer(() => io.done(io, Errno.ESHUTDOWN))
  }

  settled(): Promise<void> {
    return this.#engine.settled()
  }

  setSelector(create: () => PathSelector): void {
    this.#engine.selection.exchange(checkedSelector(create))
  }

  addPath(source: PathSource): void {
    if (this.#closing.begun) return
    const known = this.#slots.find((slot) => slot.entry.id === source.info.id)
    if (known === undefined) this.#slots = [...this.#slots, new PathSlot(source, this)]
    // Offered again while its end waits for the fence: it comes back as a new path after that.
    else if (known.ended) this.#again.set(source.info.id, source)
    else if (known.source.info.unseen === true && source.info.unseen !== true) known.seen()
  }

  async removePath(id: string): Promise<void> {
    const slot = this.#slot(id)
    this.#again.delete(id)
    await slot.end('no longer offered by the target')
    this.#slots = this.#slots.filter((other) => other !== slot)
    const again = this.#again.get(id)
    if (again === undefined) return
    this.#again.delete(id)
    this.addPath(again)
  }

  failPath(id: string): Promise<void> {
    return this.#slot(id).disable('taken out by hand')
  }

  restorePath(id: string): void {
    this.#slot(id).enable()
  }

  #slot(id: string): PathSlot {
    const slot = this.#slots.find(({ entry }) => entry.id === id)
    if (slot !== undefined) return slot
    throw new BlockError('NOT_FOUND', `volume ${this.volume} has no path ${id}`)
  }

  accepts(slot: PathSlot, path: Path, limits: DeviceLimits): string | undefined {
    this.#askOthers(slot, limits)
    return limitsFault(limits, this.limits.blockSize) ?? misfit(slot, path, limits, this.#slots, this.limits.size)
  }

  // What one path tells first, the others may not know yet: they would tell it with their next command, or never.
  #askOthers(slot: PathSlot, limits: DeviceLimits): void {
    for (const { state, entry } of this.#slots) {
      if (state !== 'up' || entry === slot.entry) continue
      const { path } = entry
      if (path !== null && (path.limits.size !== limits.size || canOther(path.limits, limits))) path.lookAgain?.()
    }
  }

  slotChanged(slot: PathSlot): void {
    this.#refreshLimits(slot)
    this.#refreshUsable()
    if (this.events.listenerCount('path') > 0) this.#emit('path', slot.status())
  }

  slotFenced(slot: PathSlot): void {
    this.#engine.fenced(slot)
  }

  get unflushed(): boolean {
    return this.limits.writeCache && this.#engine.durability.unflushed
  }

  get hasUsable(): boolean {
    return this.#engine.usable.length > 0
  }

  unprovenOf(slot: PathSlot): readonly ByteRun[] {
    return this.#engine.unprovenOf(slot)
  }

  // Every path is told of the same loss: the first to tell counts. One that has just been opened tells of what came
  // before it, such as its own connecting, where another path was there all the while and has heard of nothing.
  slotConnected(slot: PathSlot, wasReset: boolean): void {
    slot.tellsKnown = false
    slot.doubt = 0
    if (!wasReset) return
    const others = this.#slots.filter((other) => other !== slot && other.hears)
    if (others.length > 0) return doubt(others)
    this.slotLostCache(slot, 'it was powered on or reset')
  }

  slotLostCache(slot: PathSlot, reason: string): void {
    // A path that hears late tells of all that it has missed at once (SAM-5 §5.14): counting would not do.
    if (slot.tellsKnown) {
      slot.tellsKnown = false
      return
    }
    const inDoubt = slot.entry.ios < slot.doubt
    slot.doubt = 0
    const others = this.#slots.filter((other) => other !== slot && other.hears)
    if (inDoubt) doubt(others)
    else for (const other of others) other.tellsKnown = true
    if (this.limits.writeCache && this.#engine.durability.cacheLost())
      this.#emit('cacheLost', { path: slot.entry.id, reason })
  }

  slotTroubled(slot: PathSlot, trouble: PathTrouble): void {
    this.#emit('trouble', { ...trouble, path: slot.entry.id })
  }

  #refreshLimits(by?: PathSlot): void {
    const entries = this.#slots.filter((slot) => slot.state === 'up').map((slot) => slot.entry)
    if (entries.length === 0) return
    const before = this.limits
    const { size, writeCache: hadCache, fua: hadFua } = before
    const told = combineLimits(entries.map((entry) => (entry.path as Path).limits))
    const readOnly = this.#hold.update(this.#slots)
    const combined = readOnly === told.readOnly ? told : { ...told, readOnly }
    // Once something was lost, flushes come here for as long as the device lives: they are how clients are told.
    const writeCache = this.#cache.update(combined.writeCache) || this.#engine.durability.hasLost
    this.limits = writeCache === combined.writeCache ? combined : { ...combined, writeCache }
    const isNew = this.#widest === undefined
    this.#widest = widen(this.#widest, this.limits)
    if (writeCache && !hadCache) this.#engine.durability.cacheOn()
    if (hadFua && !this.limits.fua) this.#engine.durability.fuaOff()
    for (const entry of entries) this.#chooseFront(entry, entry.path as Path, this.#widest)
    const { limits } = this
    if (limits.readOnly && !before.readOnly) this.#engine.unpark()
    if (limits.size !== size) this.#emit('resized', { size: limits.size })
    if (!isNew && canOther(limits, before)) this.#emit('limits', { limits, before, path: by?.entry.id ?? '' })
  }

  // An I/O that was let through while wider paths were up must find its way on a narrower one too.
  #chooseFront(entry: PathEntry, path: Path, widest: DeviceLimits): void {
    if (takesAll(path.limits, widest)) entry.device = path
    else if (entry.device === null || entry.device === path) entry.device = narrowFront(path, this.host.clock)
  }

  // A listener that throws must not leave the device half way through a change.
  #emit<Name extends keyof MultipathEvents>(event: Name, detail: MultipathEvents[Name]): void {
    try {
      this.events.emit(event, detail)
    } catch (error) {
      this.host.clock.defer(() => {
        throw error
      })
    }
  }

  #refreshUsable(): void {
    const slots = this.#closed ? [] : bestTier(this.#slots)
    this.#standBack(slots)
    const before = this.#engine.usable
    if (slots.length !== before.length || slots.some((slot, index) => slot !== before[index])) {
      const expired = this.#engine.setUsable(slots)
      if (slots.length === 0) this.#stalledAt = this.host.clock.now()
      if (slots.length === 0 && !this.#closed) this.#emit('stalled', { parked: this.parked })
      if (expired !== undefined) this.#emit('resumed', { expired })
      if (slots.length === 0) for (const slot of this.#slots) slot.hurry()
    }
    this.#activate()
  }

  #standBack(tier: readonly PathSlot[]): void {
    for (const slot of this.#slots) {
      const why = standsBack(slot, tier)
      if (why === slot.standsBack) continue
      slot.standsBack = why
      if (this.events.listenerCount('path') > 0) this.#emit('path', slot.status())
    }
  }

  #activate(): void {
    if (this.#activating || this.#closed || this.#engine.usable.length > 0) return
    this.#asked = activatable(this.#slots, this.#asked)
    const path = this.#asked?.entry.path
    if (path?.activate === undefined) return
    this.#activating = true
    const { clock } = this.host
    const over = new AbortController()
    // Refused, failed or without an answer: the next one is asked as long as nothing better comes up.
    void Promise.race([
      path.activate({ signal: over.signal }).catch(() => {}),
      delay(clock, this.options.connectTimeout, over.signal),
    ])
      .then(() => over.abort())
      .then(() => delay(clock, this.options.reconnectDelay, this.#ended.signal))
      .then(() => {
        this.#activating = false
        this.#activate()
      })
  }

  #extents = async (offset: number, length: number, options?: SignalOptions): Promise<readonly Extent[]> => {
    for (const { entry } of this.#engine.usable) {
      if (entry.path?.extents === undefined) continue
      try {
        return await entry.path.extents(offset, length, options)
      } catch (error) {
        // A path that fails meanwhile says nothing of the volume: another may know.
        if (options?.signal?.aborted || entry.index !== -1) throw error
      }
    }
    return [{ length, hole: false, zero: false }]
  }

  async sendCommand(
    protocol: string,
    command: unknown,
    data: Uint8Array | number = 0,
    { timeout = COMMAND_TIMEOUT, signal, path }: DeviceCommandOptions = {},
  ): Promise<unknown> {
    if (this.#closing.begun) throw new BlockError('CLOSED', 'the device is closed')
    const signals = signal === undefined ? [this.#ended.signal] : [signal, this.#ended.signal]
    const route =
      path === undefined ? anyRoute(this.volume, protocol, () => this.#upSlots()) : oneRoute(this.#slot(path), protocol)
    const owner: PassThroughOwner = {
      unproven: (lost) => this.#guardAll(lost, protocolName(protocol)),
      reservationsChanged: () => this.#forgetReservations(),
    }
    return passThrough(route, { command, data, timeout, signals }, owner, this.host.clock)
  }

  #forgetReservations(): void {
    for (const { exclusion } of this.#slots) exclusion.forget()
    this.#refreshUsable()
  }

  // What a command has in its parameters is not known here.
  #guardAll(path: Path, name: string): void {
    const slot = this.#slots.find(({ entry }) => entry.path === path)
    if (slot === undefined) return
    slot.fail(`a ${name} command had no answer`, NO_ANSWER)
    this.#engine.guardAll(
      slot,
      this.limits.size,
      `a ${name} command that changes data had no answer and may still come`,
    )
    slot.drained()
  }

  // A conflict on every path is one of the host: it is told at once, and no path stands back.
  #mayLetOthersIn(slot: PathSlot): boolean {
    if (slot.entry.path?.reservesAlone !== true) return false
    slot.exclusion.meet()
    const others = this.#slots.filter((other) => other !== slot && other.takesIo && !other.exclusion.lately)
    if (others.length === 0) for (const each of this.#slots) each.exclusion.standIn()
    // They rest for a moment: what is sent again must not find this one only.
    else if (!others.some((other) => other.usable)) slot.rest()
    if (others.length > 0) slot.exclusion.standBack()
    this.#refreshUsable()
    return others.length > 0
  }

  // The usable ones first.
  #upSlots(): PathSlot[] {
    const usable = this.#engine.usable
    return [...usable, ...this.#slots.filter((slot) => slot.state === 'up' && !usable.includes(slot))]
  }

  close(options?: SignalOptions): Promise<void> {
    return this.#closing.close(options)
  }

  async #end(signal: AbortSignal): Promise<void> {
    await orAborted(this.settled(), signal).catch(() => {})
    this.#closed = true
    this.#ended.abort(new BlockError('CLOSED', 'the device is closed'))
    this.#engine.close()
    this.#hold.stop()
    const ended = Promise.all(this.#slots.map((slot) => slot.end('the device is closed')))
    ended.then(this.#fenced)
    await orAborted(ended, signal).catch(() => {})
    this.#engine.stopWatch()
  }
}

/**
 * Another path has told what these may have told before, or have yet to tell. A path tells with its next command: what
 * it tells after one is new. What it tells before counts, as it may be new.
 */
function doubt(slots: readonly PathSlot[]): void {
  for (const slot of slots) if (!slot.tellsKnown) slot.doubt = slot.entry.ios + slot.entry.inflight + 1
}

function unknownLimits(size: number, blockSize: number): DeviceLimits {
  return {
    size,
    blockSize,
    preferredBlockSize: blockSize,
    maxTransfer: blockSize,
    queueDepth: 1,
    writeCache: true,
    fua: false,
    trim: false,
    writeZeroes: false,
    readOnly: false,
  }
}
