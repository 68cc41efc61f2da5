import type { Host } from '../clock.ts'
import type { Closing } from '../closing.ts'
import { closing, orAborted } from '../closing.ts'
import type { DeviceCommandOptions } from '../commands.ts'
import type { DeviceLimits, Extent } from '../device.ts'
import type { Emitter } from '../emitter.ts'
import { createEmitter } from '../emitter.ts'
import { BlockError } from '../errors.ts'
import type { Failover } from '../failover.ts'
import type { Io } from '../io.ts'
import type { IoSource } from '../io-source.ts'
import type { ByteRun, Ledger } from '../ledger.ts'
import type { DeviceState, GuardStatus, HeldStatus, PathHealth, PathStatus } from '../pair.ts'
import type { PathSelector } from '../policy.ts'
import type { SignalOptions } from '../signal.ts'
import { Errno } from '../status.ts'
import type { FenceProof, Path, PathTrouble } from '../target.ts'
import type { TraceOptions, TraceSink } from '../trace.ts'
import type { VolumeId } from '../volume-id.ts'
import { CacheNews } from './cache-news.ts'
import type { CommandsOwner } from './device-commands.ts'
import { sendByHand } from './device-commands.ts'
import { LiveLimits } from './device-limits.ts'
import { Engine } from './engine.ts'
import { extentsOf } from './extents.ts'
import { checkedSelector, firstPath } from './first-path.ts'
import { firstUp } from './first-up.ts'
import { Serving } from './groups/serving.ts'
import type { Owed } from './guard.ts'
import { Comparison } from './health/comparison.ts'
import { TAKEN_OUT } from './journal/by-hand.ts'
import { Journal } from './journal/journal.ts'
import { canOther, limitsFault, unknownLimits } from './limits.ts'
import { misfit } from './misfit.ts'
import type { MultipathDevice, MultipathEvents } from './multipath-device.ts'
import type { ResolvedOptions } from './options.ts'
import { PathSlot } from './path-slot.ts'
import type { PathSource } from './path-source.ts'
import { forgetExclusions, mayLetOthersIn } from './reservations.ts'
import { SlotList } from './slot-list.ts'
import type { SlotOwner } from './slot-owner.ts'
import { Tracing } from './trace/tracing.ts'

/** All paths of one volume: the control side, around the {@link Engine}. */
export class Multipath implements MultipathDevice, SlotOwner<PathSlot> {
  readonly volume: VolumeId
  readonly host: Host
  readonly options: ResolvedOptions
  readonly ledger: Ledger | undefined
  readonly events: Emitter<MultipathEvents> = createEmitter()
  extents?: (offset: number, length: number, options?: SignalOptions) => Promise<readonly Extent[]>
  readonly openedAt: number
  readonly #journal: Journal
  readonly #tracing: Tracing
  readonly #slots: SlotList
  readonly #commands: CommandsOwner
  #engine: Engine
  #closing: Closing = closing(({ signal }) => this.#end(signal))
  #closed = false
  readonly #limits: LiveLimits
  readonly #cacheNews = new CacheNews()
  readonly #serving: Serving
  readonly #comparison: Comparison | undefined
  #fenced: () => void = () => {}
  readonly fenced: Promise<void> = new Promise((resolve) => (this.#fenced = resolve))
  #ended = new AbortController()

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
    this.openedAt = host.clock.now()
    this.#journal = new Journal(host.clock, (...told) => this.#tracing.event(...told))
    this.#slots = new SlotList(volume, (source) => new PathSlot(source, this))
    this.#engine = new Engine(host.clock, options, selector === undefined ? firstPath() : checkedSelector(selector), {
      journal: this.#journal,
      policyFault: (error) => this.#emit('policyFault', error),
      drained: (slot) => slot.drained(),
      awaitsWritable: () => this.#limits.awaitsWritable(this.#slots.all),
      mayLetOthersIn: (slot) => this.#mayLetOthersIn(slot),
      busy: () => this.#comparison?.start(),
      parking: (left) => this.#parking(left),
    })
    this.#tracing = new Tracing(host.clock, volume, this.#engine)
    const { size, blockSize } = sources[0]?.info ?? { size: 0, blockSize: 512 }
    this.#limits = new LiveLimits(unknownLimits(size, blockSize), this, this.#engine.durability, {
      clock: host.clock,
      patience: options.noPathTimeout,
      changed: () => this.#refreshLimits(),
    })
    this.#serving = new Serving(host, options, this.#ended.signal, this.#engine, {
      slots: () => this.#slots.all,
      routed: (slots) => this.#journal.routed(slots, this.parked),
      stalled: () => this.#emit('stalled', { parked: this.parked }),
      resumed: (expired) => this.#emit('resumed', { expired }),
      stoodBack: (slot) => {
        this.#journal.slotChanged(slot)
        this.#tracing.slotChanged(slot)
        this.#tell(slot)
      },
    })
    const { slow } = options
    if (slow !== false) this.#comparison = new Comparison(host.clock, slow, this.#slots, this.#engine)
    this.#commands = {
      volume,
      clock: host.clock,
      slots: this.#slots,
      ended: this.#ended.signal,
      usable: () => this.#engine.usable,
      guardAll: (slot, why) => this.#engine.guardAll(slot, this.limits.size, why),
      reservationsChanged: () => this.#forgetReservations(),
    }
    for (const each of owed) this.#engine.owe(each)
    if (owed.length > 0) this.#limits.inherit()
    for (const source of sources) this.addPath(source)
  }

  /** Settles when one path is up, and the others have had their time. Rejects with NO_PATH. */
  async ready(signal: AbortSignal | undefined): Promise<void> {
    await firstUp(this.volume, this.#slots.all, this.host.clock, signal)
    if (!this.#slots.all.some((slot) => slot.entry.path?.extents !== undefined)) return
    this.extents = (offset, length, options) => extentsOf(this.#engine.usable, offset, length, options)
  }

  get limits(): DeviceLimits {
    return this.#limits.limits
  }

  get state(): DeviceState {
    if (this.#closed) return 'closed'
    if (this.#engine.usable.length === 0) return 'stalled'
    return this.#slots.all.every((slot) => isWell(slot)) ? 'active' : 'degraded'
  }

  get patience(): number {
    return this.state === 'stalled' ? this.#serving.patience : Number.POSITIVE_INFINITY
  }

  get parked(): number {
    return this.#engine.parked
  }

  get parkedBytes(): number {
    return this.#engine.waiting.bytes
  }

  get refused(): number {
    return this.#engine.waiting.refused
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
    return this.#slots.all.map((slot) => slot.status())
  }

  get failovers(): readonly Failover[] {
    return this.#journal.list()
  }

  trace(sink: TraceSink | undefined, options: TraceOptions = {}): void {
    if (!this.#closing.begun) this.#tracing.start(sink, options, this.#slots.all)
    else sink?.end?.()
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
    this.#slots.add(source)
  }

  async removePath(id: string): Promise<void> {
    const again = await this.#slots.remove(id)
    if (again !== undefined) this.addPath(again)
  }

  failPath(id: string): Promise<void> {
    return this.#slots.find(id).disable(TAKEN_OUT)
  }

  restorePath(id: string): void {
    const slot = this.#slots.find(id)
    slot.enable()
    this.#serving.welcome(slot)
  }

  failBack(): void {
    this.#serving.failBack()
  }

  accepts(slot: PathSlot, path: Path, limits: DeviceLimits): string | undefined {
    this.#askOthers(slot, limits)
    return limitsFault(limits, this.limits.blockSize) ?? misfit(slot, path, limits, this.#slots.all, this.limits.size)
  }

  // What one path tells first, the others may not know yet: they would tell it with their next command, or never.
  #askOthers(slot: PathSlot, limits: DeviceLimits): void {
    for (const { state, entry } of this.#slots.all) {
      if (state !== 'up' || entry === slot.entry) continue
      const { path } = entry
      if (path !== null && (path.limits.size !== limits.size || canOther(path.limits, limits))) path.lookAgain?.()
    }
  }

  slotChanged(slot: PathSlot): void {
    if (!this.#closed) this.#journal.slotChanged(slot)
    this.#tracing.slotChanged(slot)
    this.#refreshLimits(slot)
    this.#serving.refresh()
    this.#comparison?.start()
    this.#tell(slot)
  }

  slotAiled(slot: PathSlot, state: PathHealth | 'well', reason: string): void {
    this.slotChanged(slot)
    this.#emit('health', { path: slot.entry.id, state, reason, since: this.host.clock.now() })
  }

  #tell(slot: PathSlot): void {
    if (this.events.listenerCount('path') > 0) this.#emit('path', slot.status())
  }

  describe(slot: PathSlot): string {
    return this.#serving.describe(slot)
  }

  inReserve(slot: PathSlot): string {
    return this.#serving.inReserve(slot)
  }

  slotFenced(slot: PathSlot, proof: FenceProof | undefined): void {
    this.#journal.fenced(slot, proof)
    this.#engine.fenced(slot)
    if (proof !== undefined) this.#emit('fenced', { ...proof, path: slot.entry.id })
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

  heldBy(slot: PathSlot): HeldStatus | undefined {
    return this.#engine.waiting.heldBy(slot)
  }

  slotConnected(slot: PathSlot, wasReset: boolean): void {
    if (this.#cacheNews.connected(slot, wasReset, this.#slots.all)) this.#cacheLost(slot, 'it was powered on or reset')
  }

  slotLostCache(slot: PathSlot, reason: string): void {
    if (this.#cacheNews.isNew(slot, this.#slots.all)) this.#cacheLost(slot, reason)
  }

  #cacheLost(slot: PathSlot, reason: string): void {
    if (!this.limits.writeCache || !this.#engine.durability.cacheLost()) return
    this.#emit('cacheLost', { path: slot.entry.id, reason })
  }

  slotTroubled(slot: PathSlot, trouble: PathTrouble): void {
    this.#emit('trouble', { ...trouble, path: slot.entry.id })
  }

  #refreshLimits(by?: PathSlot): void {
    const { limits: before, unknown } = this.#limits
    this.#limits.update(this.#slots.all)
    const { limits } = this
    if (limits === before) return
    if (limits.readOnly && !before.readOnly) this.#engine.unpark()
    if (limits.size !== before.size) this.#emit('resized', { size: limits.size })
    if (!unknown && canOther(limits, before)) this.#emit('limits', { limits, before, path: by?.entry.id ?? '' })
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

  #parking(left: number): void {
    const { parked, parkedBytes: bytes } = this
    this.#emit('parking', { parked, bytes, waited: this.options.noPathTimeout - left, left })
  }

  async sendCommand(
    protocol: string,
    command: unknown,
    data: Uint8Array | number = 0,
    options: DeviceCommandOptions = {},
  ): Promise<unknown> {
    if (this.#closing.begun) throw new BlockError('CLOSED', 'the device is closed')
    return sendByHand(this.#commands, protocol, command, data, options)
  }

  #forgetReservations(): void {
    forgetExclusions(this.#slots.all)
    this.#serving.refresh()
  }

  #mayLetOthersIn(slot: PathSlot): boolean {
    if (slot.entry.path?.reservesAlone !== true) return false
    const may = mayLetOthersIn(slot, this.#slots.all)
    this.#serving.refresh()
    return may
  }

  close(options?: SignalOptions): Promise<void> {
    return this.#closing.close(options)
  }

  async #end(signal: AbortSignal): Promise<void> {
    await orAborted(this.settled(), signal).catch(() => {})
    this.#closed = true
    this.#ended.abort(new BlockError('CLOSED', 'the device is closed'))
    this.#engine.close()
    this.#limits.stop()
    this.#serving.stop()
    this.#comparison?.stop()
    const ended = Promise.all(this.#slots.all.map((slot) => slot.end('the device is closed')))
    ended.then(this.#fenced)
    await orAborted(ended, signal).catch(() => {})
    this.#engine.stopWatch()
    this.#tracing.stop('the device is closed')
  }
}

function isWell({ state, standsBack, health }: PathSlot): boolean {
  return state === 'up' && standsBack === '' && health === ''
}
