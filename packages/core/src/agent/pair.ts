import type { Closing } from '../closing.ts'
import { closing } from '../closing.ts'
import type { DeviceLimits, SignalOptions } from '../device.ts'
import type { Emitter } from '../emitter.ts'
import { createEmitter } from '../emitter.ts'
import { BlockError } from '../errors.ts'
import type { MultipathDevice, MultipathEvents } from '../multipath/multipath-device.ts'
import type { BlockDevicePair, DeviceState, GuardStatus, PairEvents, PathStatus } from '../pair.ts'
import type { PathSelector } from '../policy.ts'
import type { Attachment, DetachOptions } from '../transport.ts'
import type { UserDevice } from '../user-device.ts'
import type { VolumeId } from '../volume-id.ts'
import type { PairSpec } from './types.ts'

const FORWARDED = ['path', 'trouble', 'policyFault', 'resized', 'cacheLost'] as const
// Told to the very end: whoever closes a pair may not want to wait for a path.
const FORWARDED_LAST = ['stalled', 'resumed'] as const

/** Attaches an open device; `onClosed` hears when the pair has ended. */
export async function makePair(
  spec: PairSpec,
  device: MultipathDevice,
  user: UserDevice,
  signal: AbortSignal | undefined,
  onClosed: (pair: BlockDevicePair) => void,
): Promise<BlockDevicePair> {
  let { size } = device.limits
  const kernel = await spec.transport.attach(user, {
    name: spec.name,
    volume: device.volume,
    signal,
    ...(spec.description === undefined ? {} : { description: spec.description }),
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
  return new Pair(spec.name, device, user, kernel, onClosed)
}

class Pair implements BlockDevicePair {
  readonly id: string
  readonly user: UserDevice
  readonly kernel: Attachment
  readonly events: Emitter<PairEvents> = createEmitter()
  #device: MultipathDevice
  #onClosed: (pair: BlockDevicePair) => void
  #closing: Closing = closing((options) => this.#end(options))
  /** Calls of `close` that wait for the attachment. */
  #detaching = 0
  #resizing = false
  #unsubscribe: (() => void)[] = []
  #unsubscribeLast: (() => void)[] = []

  constructor(
    id: string,
    device: MultipathDevice,
    user: UserDevice,
    kernel: Attachment,
    onClosed: (pair: BlockDevicePair) => void,
  ) {
    this.id = id
    this.user = user
    this.kernel = kernel
    this.#device = device
    this.#onClosed = onClosed
    for (const event of FORWARDED) this.#unsubscribe.push(this.#forward(event))
    for (const event of FORWARDED_LAST) this.#unsubscribeLast.push(this.#forward(event))
    const onResized = (): void => void this.#followSize()
    const onLost = (error: Error): void => void this.events.emit('lost', error)
    device.events.on('resized', onResized)
    kernel.events.on('lost', onLost)
    this.#unsubscribe.push(
      () => device.events.off('resized', onResized),
      () => kernel.events.off('lost', onLost),
    )
  }

  #forward(event: keyof MultipathEvents): () => void {
    const listener = (detail: unknown): void => void this.events.emit(event, detail as never)
    this.#device.events.on(event, listener)
    return () => this.#device.events.off(event, listener)
  }

  // One call at a time: of two at once the attachment could end with either's size.
  async #followSize(): Promise<void> {
    if (this.#resizing) return
    this.#resizing = true
    let size: number
    do {
      ;({ size } = this.#device.limits)
      try {
        await this.kernel.resize(size)
      } catch (error) {
        this.events.emit('resizeFailed', error as Error)
      }
    } while (size !== this.#device.limits.size)
    this.#resizing = false
  }

  get volume(): VolumeId {
    return this.#device.volume
  }

  get state(): DeviceState {
    return this.#closing.begun || this.#detaching > 0 ? 'closed' : this.#device.state
  }

  get limits(): DeviceLimits {
    return this.#device.limits
  }

  get parked(): number {
    return this.#device.parked
  }

  get queued(): number {
    return this.#device.queued
  }

  get policy(): string {
    return this.#device.policy
  }

  get policyFaults(): number {
    return this.#device.policyFaults
  }

  get paths(): readonly PathStatus[] {
    return this.#device.paths
  }

  get guards(): readonly GuardStatus[] {
    return this.#device.guards
  }

  releaseGuards(): void {
    this.#device.releaseGuards()
  }

  setSelector(create: () => PathSelector): void {
    this.#device.setSelector(create)
  }

  failPath(id: string): Promise<void> {
    return this.#device.failPath(id)
  }

  restorePath(id: string): void {
    this.#device.restorePath(id)
  }

  async close(options: DetachOptions = {}): Promise<void> {
    // A second call goes to the attachment too: its signal or its mode may be what the first one waits for.
    this.#detaching++
    try {
      await this.kernel.detach(options)
    } catch (error) {
      if (BlockError.is(error) && error.code === 'IN_USE') throw error
      await this.#closing.close(options)
      throw error
    } finally {
      this.#detaching--
    }
    await this.#closing.close(options)
  }

  async #end(options: SignalOptions): Promise<void> {
    for (const unsubscribe of this.#unsubscribe.splice(0)) unsubscribe()
    try {
      if (this.user.limits.writeCache && !this.user.limits.readOnly) await this.user.flush(options)
    } finally {
      await this.user.close(options).finally(() => {
        for (const unsubscribe of this.#unsubscribeLast) unsubscribe()
        this.#onClosed(this)
      })
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
