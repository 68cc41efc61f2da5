import type { Host } from '../clock.ts'
import type { DeviceLimits } from '../device.ts'
import type { Emitter } from '../emitter.ts'
import { createEmitter } from '../emitter.ts'
import type { ByteRun, Ledger } from '../ledger.ts'
import type { HeldStatus, PathHealth } from '../pair.ts'
import type { PathSelector } from '../policy.ts'
import type { FenceProof, Path, PathInfo, PathTrouble } from '../target.ts'
import type { VolumeId } from '../volume-id.ts'
import { CacheNews } from './cache-news.ts'
import type { CachedVolume } from './cache-state.ts'
import type { ConnectTurns } from './connects/connect-turns.ts'
import { LiveLimits } from './device-limits.ts'
import { Engine } from './engine.ts'
import { checkedSelector, firstPath } from './first-path.ts'
import { Serving } from './groups/serving.ts'
import { Comparison } from './health/comparison.ts'
import { Journal } from './journal/journal.ts'
import { canOther, limitsFault, unknownLimits } from './limits.ts'
import { misfit } from './misfit.ts'
import type { MultipathEvents } from './multipath-device.ts'
import type { ResolvedOptions } from './options.ts'
import { PathSlot } from './path-slot.ts'
import { forgetExclusions, mayLetOthersIn } from './reservations.ts'
import { SlotList } from './slot-list.ts'
import type { SlotOwner } from './slot-owner.ts'
import { Tracing } from './trace/tracing.ts'
import { oneAnswers } from './witnesses.ts'

const WITHOUT_WITNESS =
  'another path was told that it was powered on or reset, and this one failed before it could deny that'

/** What the paths of a device need of it. */
export interface PathsOwner extends CachedVolume {
  readonly volume: VolumeId
  readonly host: Host
  readonly options: ResolvedOptions
  readonly connects: ConnectTurns
  readonly ledger: Ledger | undefined
}

/** The paths of a device, and what comes of it when one of them changes: its limits, the paths that serve, its events. */
export class DevicePaths implements SlotOwner<PathSlot> {
  readonly host: Host
  readonly options: ResolvedOptions
  readonly connects: ConnectTurns
  readonly ledger: Ledger | undefined
  readonly events: Emitter<MultipathEvents> = createEmitter()
  readonly slots: SlotList
  readonly engine: Engine
  readonly limits: LiveLimits
  readonly serving: Serving
  readonly journal: Journal
  readonly tracing: Tracing
  /** The device has ended: nothing is told any more but the ends of its paths. */
  closed = false
  readonly #comparison: Comparison | undefined
  readonly #cacheNews = new CacheNews()

  /** `first`: what a path to the volume was listed with, where there is one. `ended` fires when the device ends. */
  constructor(
    device: PathsOwner,
    first: PathInfo | undefined,
    selector: (() => PathSelector) | undefined,
    ended: AbortSignal,
  ) {
    const { volume, host, options, connects, ledger } = device
    this.host = host
    this.options = options
    this.connects = connects
    this.ledger = ledger
    this.journal = new Journal(host.clock, (...told) => this.tracing.event(...told))
    this.slots = new SlotList(volume, (source) => new PathSlot(source, this))
    this.engine = new Engine(host.clock, options, selector === undefined ? firstPath() : checkedSelector(selector), {
      journal: this.journal,
      policyFault: (error) => this.#emit('policyFault', error),
      drained: (slot) => slot.drained(),
      awaitsWritable: () => this.limits.awaitsWritable(this.slots.all),
      mayLetOthersIn: (slot) => this.#mayLetOthersIn(slot),
      busy: () => this.#comparison?.start(),
      parking: (left) => this.#parking(left),
    })
    this.tracing = new Tracing(host.clock, volume, this.engine)
    const { size, blockSize } = first ?? { size: 0, blockSize: 512 }
    this.limits = new LiveLimits(unknownLimits(size, blockSize), device, this.engine.durability, {
      clock: host.clock,
      patience: options.noPathTimeout,
      changed: () => this.#refreshLimits(),
    })
    this.serving = new Serving(host, options, ended, this.engine, {
      slots: () => this.slots.all,
      routed: (slots) => this.journal.routed(slots, this.engine.parked),
      stalled: () => this.#emit('stalled', { parked: this.engine.parked }),
      resumed: (expired) => this.#emit('resumed', { expired }),
      stoodBack: (slot) => {
        this.journal.slotChanged(slot)
        this.tracing.slotChanged(slot)
        this.#tell(slot)
      },
    })
    const { slow } = options
    if (slow !== false) this.#comparison = new Comparison(host.clock, slow, this.slots, this.engine)
  }

  accepts(slot: PathSlot, path: Path, limits: DeviceLimits): string | undefined {
    this.#askOthers(slot, limits)
    return (
      limitsFault(limits, this.limits.limits.blockSize) ??
      misfit(slot, path, limits, this.slots.all, this.limits.limits.size)
    )
  }

  // What one path tells first, the others may not know yet: they would tell it with their next command, or never.
  #askOthers(slot: PathSlot, limits: DeviceLimits): void {
    for (const { state, entry } of this.slots.all) {
      if (state !== 'up' || entry === slot.entry) continue
      const { path } = entry
      if (path !== null && (path.limits.size !== limits.size || canOther(path.limits, limits))) path.lookAgain?.()
    }
  }

  slotChanged(slot: PathSlot): void {
    if (!this.closed) this.journal.slotChanged(slot)
    this.tracing.slotChanged(slot)
    if (!slot.hears && this.#cacheNews.deaf(slot, this.slots.all)) this.#cacheLost(slot, WITHOUT_WITNESS)
    this.#refreshLimits(slot)
    this.serving.refresh()
    if (!this.closed) this.#comparison?.start()
    this.#tell(slot)
  }

  slotAiled(slot: PathSlot, state: PathHealth | 'well', reason: string): void {
    this.journal.health(slot, state, reason)
    this.slotChanged(slot)
    this.#emit('health', { path: slot.entry.id, state, reason, since: this.host.clock.now() })
  }

  #tell(slot: PathSlot): void {
    if (this.events.listenerCount('path') > 0) this.#emit('path', slot.status())
  }

  describe(slot: PathSlot): string {
    return this.serving.describe(slot)
  }

  inReserve(slot: PathSlot): string {
    return this.serving.inReserve(slot)
  }

  slotFenced(slot: PathSlot, proof: FenceProof | undefined): void {
    this.journal.fenced(slot, proof)
    this.engine.fenced(slot)
    if (proof !== undefined) this.#emit('fenced', { ...proof, path: slot.entry.id })
  }

  get unflushed(): boolean {
    return this.limits.limits.writeCache && this.engine.durability.unflushed
  }

  get hasUsable(): boolean {
    return this.engine.usable.length > 0
  }

  unprovenOf(slot: PathSlot): readonly ByteRun[] {
    return this.engine.unprovenOf(slot)
  }

  heldBy(slot: PathSlot): HeldStatus | undefined {
    return this.engine.waiting.heldBy(slot)
  }

  slotConnected(slot: PathSlot, wasReset: boolean): void {
    if (this.#cacheNews.connected(slot, wasReset, this.slots.all)) this.#cacheLost(slot, 'it was powered on or reset')
  }

  async borneOut(signal: AbortSignal): Promise<void> {
    if (!this.unflushed) return
    const { question } = this.#cacheNews
    const asked = this.#cacheNews.witnesses(this.slots.all)
    if (asked.length > 0 && (await oneAnswers(asked, this.host.clock, signal)))
      this.#cacheNews.denied(question, this.slots.all)
  }

  slotLostCache(slot: PathSlot, reason: string): void {
    if (this.#cacheNews.isNew(slot, this.slots.all)) this.#cacheLost(slot, reason)
  }

  #cacheLost(slot: PathSlot, reason: string): void {
    if (!this.limits.limits.writeCache || !this.engine.durability.cacheLost()) return
    this.#emit('cacheLost', { path: slot.entry.id, reason })
  }

  slotTroubled(slot: PathSlot, trouble: PathTrouble): void {
    this.#emit('trouble', { ...trouble, path: slot.entry.id })
  }

  #refreshLimits(by?: PathSlot): void {
    // Nothing is let through any more, and what would wait for a path is waited for by nobody.
    if (this.closed) return
    const { limits: before, unknown } = this.limits
    this.limits.update(this.slots.all)
    const { limits } = this.limits
    if (limits === before) return
    if (limits.readOnly && !before.readOnly) this.engine.unpark()
    if (limits.size !== before.size) this.#emit('resized', { size: limits.size })
    if (!unknown && canOther(limits, before)) this.#emit('limits', { limits, before, path: by?.entry.id ?? '' })
  }

  #parking(left: number): void {
    const { parked, waiting } = this.engine
    this.#emit('parking', { parked, bytes: waiting.bytes, waited: this.options.noPathTimeout - left, left })
  }

  /** The device has ended. */
  stop(): void {
    this.limits.stop()
    this.serving.stop()
    this.#comparison?.stop()
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

  /** A command has changed who may do what. */
  forgetReservations(): void {
    forgetExclusions(this.slots.all)
    this.serving.refresh()
  }

  #mayLetOthersIn(slot: PathSlot): boolean {
    if (slot.entry.path?.reservesAlone !== true) return false
    const may = mayLetOthersIn(slot, this.slots.all)
    this.serving.refresh()
    return may
  }
}
