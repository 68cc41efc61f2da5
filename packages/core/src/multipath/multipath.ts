import type { Host } from '../clock.ts'
import type { Closing } from '../closing.ts'
import { closing, orAborted } from '../closing.ts'
import type { DeviceCommandOptions } from '../commands.ts'
import type { DeviceLimits, Extent } from '../device.ts'
import type { Emitter } from '../emitter.ts'
import { BlockError } from '../errors.ts'
import type { Failover } from '../failover.ts'
import type { Io } from '../io.ts'
import type { IoSource } from '../io-source.ts'
import type { Ledger } from '../ledger.ts'
import type { DeviceState, GuardStatus, PathStatus } from '../pair.ts'
import type { PathSelector } from '../policy.ts'
import type { SignalOptions } from '../signal.ts'
import { Errno } from '../status.ts'
import type { TraceOptions, TraceSink } from '../trace.ts'
import type { VolumeId } from '../volume-id.ts'
import type { ConnectTurns } from './connects/connect-turns.ts'
import type { CommandsOwner } from './device-commands.ts'
import { sendByHand } from './device-commands.ts'
import { DevicePaths } from './device-paths.ts'
import type { Engine } from './engine.ts'
import { extentsOf } from './extents.ts'
import { checkedSelector } from './first-path.ts'
import { firstUp } from './first-up.ts'
import type { Owed } from './guard.ts'
import { TAKEN_OUT } from './journal/by-hand.ts'
import type { MultipathDevice, MultipathEvents } from './multipath-device.ts'
import type { ResolvedOptions } from './options.ts'
import { PathSlot } from './path-slot.ts'
import type { PathSource } from './path-source.ts'

/** All paths of one volume as one device: its face. */
export class Multipath implements MultipathDevice {
  readonly volume: VolumeId
  readonly host: Host
  readonly options: ResolvedOptions
  readonly ledger: Ledger | undefined
  readonly events: Emitter<MultipathEvents>
  extents?: (offset: number, length: number, options?: SignalOptions) => Promise<readonly Extent[]>
  readonly connects: ConnectTurns
  readonly openedAt: number
  readonly #paths: DevicePaths
  readonly #engine: Engine
  readonly #commands: CommandsOwner
  #closing: Closing = closing(({ signal }) => this.#end(signal))
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
    connects: ConnectTurns,
  ) {
    this.volume = volume
    this.ledger = ledger
    this.host = host
    this.options = options
    this.connects = connects
    this.openedAt = host.clock.now()
    this.#paths = new DevicePaths(this, sources[0]?.info, selector, this.#ended.signal)
    this.#engine = this.#paths.engine
    this.events = this.#paths.events
    this.#commands = {
      volume,
      clock: host.clock,
      slots: this.#paths.slots,
      ended: this.#ended.signal,
      usable: () => this.#engine.usable,
      guardAll: (slot, why) => this.#engine.guardAll(slot, this.limits.size, why),
      reservationsChanged: () => this.#paths.forgetReservations(),
    }
    for (const each of owed) this.#engine.owe(each)
    if (owed.length > 0) this.#paths.limits.inherit()
    for (const source of sources) this.addPath(source)
  }

  /** Settles when one path is up, and the others have had their time. Rejects with NO_PATH. */
  async ready(signal: AbortSignal | undefined): Promise<void> {
    await firstUp(this.volume, this.#paths.slots.all, this.host.clock, signal)
    if (!this.#paths.slots.all.some((slot) => slot.entry.path?.extents !== undefined)) return
    // Not assigned as it is written: V8 takes such a function for one that lives long, and what it knows with it.
    const extents: MultipathDevice['extents'] = (offset, length, options) =>
      extentsOf(this.#engine.usable, offset, length, options)
    this.extents = extents
  }

  get limits(): DeviceLimits {
    return this.#paths.limits.limits
  }

  get state(): DeviceState {
    if (this.#paths.closed) return 'closed'
    if (this.#engine.usable.length === 0) return 'stalled'
    return this.#paths.slots.all.every((slot) => isWell(slot)) ? 'active' : 'degraded'
  }

  get patience(): number {
    return this.state === 'stalled' ? this.#paths.serving.patience : Number.POSITIVE_INFINITY
  }

  get unflushed(): boolean {
    return this.#paths.unflushed
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

  get expired(): number {
    return this.#paths.journal.ended
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
    return this.#paths.slots.all.map((slot) => slot.status())
  }

  get failovers(): readonly Failover[] {
    return this.#paths.journal.list()
  }

  trace(sink: TraceSink | undefined, options: TraceOptions = {}): void {
    if (!this.#closing.begun) this.#paths.tracing.start(sink, options, this.#paths.slots.all)
    else sink?.end?.()
  }

  submit(io: Io): void {
    if (!this.#closing.begun) this.#engine.submit(io)
    else this.#refuse(io)
  }

  // By itself: a closure costs each call of the function that it stands in.
  #refuse(io: Io): void {
    this.host.clock.defer(() => io.done(io, Errno.ESHUTDOWN))
  }

  settled(): Promise<void> {
    return this.#engine.settled()
  }

  setSelector(create: () => PathSelector): void {
    this.#engine.selection.exchange(checkedSelector(create))
  }

  addPath(source: PathSource): void {
    if (this.#closing.begun) return
    this.#paths.slots.add(source)
  }

  async removePath(id: string): Promise<void> {
    const slot = this.#paths.slots.find(id)
    const again = await this.#paths.slots.remove(id)
    this.#paths.journal.removed(slot)
    if (again !== undefined) this.addPath(again)
  }

  failPath(id: string): Promise<void> {
    return this.#paths.slots.find(id).disable(TAKEN_OUT)
  }

  restorePath(id: string): void {
    const slot = this.#paths.slots.find(id)
    slot.enable()
    this.#paths.serving.welcome(slot)
  }

  failBack(): void {
    this.#paths.serving.failBack()
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

  close(options?: SignalOptions): Promise<void> {
    return this.#closing.close(options)
  }

  async #end(signal: AbortSignal): Promise<void> {
    await orAborted(this.settled(), signal).catch(() => {})
    this.#paths.closed = true
    this.#ended.abort(new BlockError('CLOSED', 'the device is closed'))
    this.#engine.close()
    this.#paths.stop()
    const ended = Promise.all(this.#paths.slots.all.map((slot) => slot.end('the device is closed')))
    ended.then(this.#fenced)
    await orAborted(ended, signal).catch(() => {})
    this.#engine.stopWatch()
    this.#paths.tracing.stop('the device is closed')
  }
}

function isWell({ state, standsBack, health }: PathSlot): boolean {
  return state === 'up' && standsBack === '' && health === ''
}
