import type { Clock, Timer } from '../clock.ts'
import type { Closing } from '../closing.ts'
import { closing, orAborted } from '../closing.ts'
import type { DeviceLimits } from '../device.ts'
import type { Emitter } from '../emitter.ts'
import { createEmitter } from '../emitter.ts'
import { BlockError, messageOf } from '../errors.ts'
import type { Failover } from '../failover.ts'
import type { MultipathDevice, MultipathEvents } from '../multipath/multipath-device.ts'
import type { BlockDevicePair, DeviceState, GuardStatus, PairEvents, PathStatus } from '../pair.ts'
import type { PathSelector } from '../policy.ts'
import type { Rates } from '../rates/rates.ts'
import type { TraceOptions, TraceSink } from '../trace.ts'
import type { Attachment, DetachOptions } from '../transport.ts'
import type { FrontDevice } from '../user-device.ts'
import type { VolumeId } from '../volume-id.ts'
import { Following } from './following.ts'
import type { PairSpec } from './types.ts'

const FORWARDED = ['path', 'health', 'trouble', 'fenced', 'policyFault', 'resized', 'limits', 'cacheLost'] as const
// Told to the very end: whoever closes a pair may not want to wait for a path.
const FORWARDED_LAST = ['stalled', 'resumed', 'parking'] as const

/** Attaches an open device; `onClosed` hears when the pair has ended. */
export async function makePair(
  spec: PairSpec,
  device: MultipathDevice,
  user: FrontDevice,
  clock: Clock,
  signal: AbortSignal | undefined,
  onClosed: (pair: BlockDevicePair) => void,
): Promise<BlockDevicePair> {
  let { size } = device.limits
  const kernel = await spec.transport.attach(user, {
    name: spec.name,
    volume: device.volume,
    signal,
    ...(spec.description === undefined ? {} : { description: spec.description }),
    ...(spec.product === undefined ? {} : { product: spec.product }),
    ...(spec.serial === undefined ? {} : { serial: spec.serial }),
  })
  try {
    // It may have grown while the transport was busy.
    while (device.limits.size !== size) {
      size = device.limits.size
      await kernel.resize(size)
    }
  } catch (error) {
    await kernel.detach({ mode: 'force' })
    throw error
  }
  return new Pair(spec.name, device, user, kernel, clock, onClosed)
}

class Pair implements BlockDevicePair {
  readonly id: string
  readonly user: FrontDevice
  readonly kernel: Attachment
  readonly events: Emitter<PairEvents> = createEmitter()
  #device: MultipathDevice
  #clock: Clock
  #lost = false
  #onClosed: (pair: BlockDevicePair) => void
  #closing: Closing = closing((options) => this.#end(options))
  /** Calls of `close` that wait for the attachment. */
  #detaching = 0
  readonly #following: Following
  #unsubscribe: (() => void)[] = []
  #unsubscribeLast: (() => void)[] = []

  constructor(
    id: string,
    device: MultipathDevice,
    user: FrontDevice,
    kernel: Attachment,
    clock: Clock,
    onClosed: (pair: BlockDevicePair) => void,
  ) {
    this.id = id
    this.user = user
    this.kernel = kernel
    this.#clock = clock
    this.#device = device
    this.#onClosed = onClosed
    for (const event of FORWARDED) this.#unsubscribe.push(this.#forward(event))
    for (const event of FORWARDED_LAST) this.#unsubscribeLast.push(this.#forward(event))
    this.#following = new Following(user, kernel, {
      detaching: () => this.#detaching > 0 || this.#closing.begun,
      failed: (event, error) => this.events.emit(event, error),
    })
    const onResized = (): void => void this.#following.size()
    const onLimits = (): void => void this.#following.limits()
    const onLost = (error: Error): void => {
      if (this.#lost) return
      this.#lost = true
      this.events.emit('lost', error)
    }
    device.events.on('resized', onResized)
    device.events.on('limits', onLimits)
    kernel.events.on('lost', onLost)
    this.#unsubscribe.push(
      () => device.events.off('resized', onResized),
      () => device.events.off('limits', onLimits),
      () => kernel.events.off('lost', onLost),
    )
    // It may be other than it was when the attachment looked, or when the one who left it did.
    onLimits()
  }

  #forward(event: keyof MultipathEvents): () => void {
    const listener = (detail: unknown): void => void this.events.emit(event, detail as never)
    this.#device.events.on(event, listener)
    return () => this.#device.events.off(event, listener)
  }

  get volume(): VolumeId {
    return this.#device.volume
  }

  get state(): DeviceState {
    if (this.#closing.begun || this.#detaching > 0) return 'closed'
    return this.#lost ? 'lost' : this.#device.state
  }

  get limits(): DeviceLimits {
    return this.#device.limits
  }

  get parked(): number {
    return this.#device.parked
  }

  get parkedBytes(): number {
    return this.#device.parkedBytes
  }

  get refused(): number {
    return this.#device.refused
  }

  get expired(): number {
    return this.#device.expired
  }

  get queued(): number {
    return this.#device.queued
  }

  get rates(): Rates | undefined {
    return this.user.rates
  }

  get throttled(): number {
    return this.user.throttled
  }

  get policy(): string {
    return this.#device.policy
  }

  get policyFaults(): number {
    return this.#device.policyFaults
  }

  get behind(): string {
    return this.#following.behind
  }

  get paths(): readonly PathStatus[] {
    return this.#device.paths
  }

  get guards(): readonly GuardStatus[] {
    return this.#device.guards
  }

  get openedAt(): number {
    return this.#device.openedAt
  }

  get failovers(): readonly Failover[] {
    return this.#device.failovers
  }

  trace(sink: TraceSink | undefined, options?: TraceOptions): void {
    this.#device.trace(sink, options)
  }

  releaseGuards(): void {
    this.#device.releaseGuards()
  }

  setSelector(create: () => PathSelector): void {
    this.#device.setSelector(create)
  }

  setRates(rates: Rates | undefined): void {
    this.user.setRates(rates)
    this.events.emit('rates', this.rates)
  }

  failPath(id: string): Promise<void> {
    return this.#device.failPath(id)
  }

  restorePath(id: string): void {
    this.#device.restorePath(id)
  }

  failBack(): void {
    this.#device.failBack()
  }

  async close(options: DetachOptions = {}): Promise<void> {
    if (options.mode !== 'force') return this.#close(options)
    // Whoever forces it does not wait for a path.
    const hurry = new AbortController()
    const stop = this.#whenStalled(() => 0, hurry)
    const { signal } = options
    const both = signal === undefined ? hurry.signal : AbortSignal.any([signal, hurry.signal])
    return this.#close({ ...options, signal: both }).finally(stop)
  }

  async #close(options: DetachOptions): Promise<void> {
    // A second call goes to the attachment too: its signal or its mode may be what the first one waits for.
    this.#detaching++
    // What waits for its rates, and what a kernel holds back for the node, would keep it from its end for any time.
    this.user.liftRates(true)
    try {
      await this.kernel.detach(options)
    } catch (error) {
      if (BlockError.is(error) && error.code === 'IN_USE') {
        if (this.#detaching === 1) this.user.liftRates(false)
        throw error
      }
      // Of a call that is cut short the end of the device says more: whether anything was lost.
      const isCutShort = BlockError.is(error) && error.code === 'ABORTED' && options.signal?.aborted === true
      await this.#closing.close(options)
      if (isCutShort && options.mode === 'force') return
      throw error
    } finally {
      this.#detaching--
    }
    await this.#closing.close(options)
  }

  async #end({ signal }: { signal: AbortSignal }): Promise<void> {
    for (const unsubscribe of this.#unsubscribe.splice(0)) unsubscribe()
    const hurry = new AbortController()
    const stop = this.#whenStalled(() => this.#device.patience, hurry)
    const both = AbortSignal.any([signal, hurry.signal])
    try {
      await this.#flushAll(both)
    } finally {
      await this.user.close({ signal: both }).finally(() => {
        stop()
        for (const unsubscribe of this.#unsubscribeLast) unsubscribe()
        this.#onClosed(this)
      })
    }
  }

  async #flushAll(signal: AbortSignal): Promise<void> {
    await this.#flush(signal)
    // It has covered only what had ended before it.
    await orAborted(this.#device.settled(), signal).catch(() => {})
    if (this.#device.unflushed && !signal.aborted) await this.#flush(signal)
  }

  async #flush(signal: AbortSignal): Promise<void> {
    const { writeCache, readOnly } = this.user.limits
    if (!writeCache || readOnly) return
    const atRisk = this.#device.unflushed
    try {
      await this.user.flush({ signal })
    } catch (error) {
      const stalled = this.#device.state === 'stalled'
      if (!atRisk) {
        // A flush of nothing.
        if (stalled) return
        throw error
      }
      const reasons = this.paths.map(({ id, reason, state }) => `${id}: ${reason || state}`)
      const why = stalled ? `no path is usable (${reasons.join('; ') || 'it has none'})` : messageOf(error)
      const text = `${this.id} is closed, and what was acknowledged and not flushed may be lost: ${why}`
      throw new BlockError(stalled ? 'NO_PATH' : 'IO_FAILED', text, { cause: error })
    }
  }

  /** Fires `hurry` when the device has been without a usable path for as long as `patience` says, milliseconds. */
  #whenStalled(patience: () => number, hurry: AbortController): () => void {
    let timer: Timer | undefined
    const wait = (): void => {
      timer?.cancel()
      const left = patience()
      if (left <= 0) hurry.abort()
      else timer = this.#clock.after(left, () => hurry.abort())
    }
    const resume = (): void => timer?.cancel()
    this.#device.events.on('stalled', wait)
    this.#device.events.on('resumed', resume)
    if (this.#device.state === 'stalled') wait()
    return () => {
      timer?.cancel()
      this.#device.events.off('stalled', wait)
      this.#device.events.off('resumed', resume)
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
