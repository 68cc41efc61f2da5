import type { Clock } from './clock.ts'
import { systemClock } from './clock.ts'
import type { BlockDevice, DeviceLimits, Extent } from './device.ts'
import { changesData, Io, IoFlag, IoOp, NO_BUFFERS } from './io.ts'
import { IoSource } from './io-source.ts'
import { promiseIo } from './promises.ts'
import type { SignalOptions } from './signal.ts'
import type { IoStatus } from './status.ts'
import { NOT_EXECUTED, OK } from './status.ts'

/**
 * A device for whoever never flushes, such as a kernel node that was made without a write cache: every write, trim and
 * zeroing is durable before its `done`, also from the moment on in which `device` says that it has a cache; where it has
 * one already, what others have written is flushed now. Its limits say that there is none. Closing it closes `device`.
 */
export function writeThrough(device: BlockDevice, clock: Clock = systemClock): BlockDevice {
  // Whoever served the same client before, such as a process that was killed, may not have heard of the cache.
  if (device.limits.writeCache) promiseIo(device, IoOp.Flush, 0, 0, 0, NO_BUFFERS, undefined).catch(() => {})
  return new WriteThrough(device, clock)
}

class WriteThrough implements BlockDevice {
  readonly abandon?: (source: IoSource) => void
  readonly extents?: (offset: number, length: number, options?: SignalOptions) => Promise<readonly Extent[]>
  readonly sendCommand?: NonNullable<BlockDevice['sendCommand']>
  readonly #device: BlockDevice
  readonly #clock: Clock
  readonly #idle: Change[] = []
  #innerLimits: DeviceLimits
  #limits: DeviceLimits

  constructor(device: BlockDevice, clock: Clock) {
    this.#device = device
    this.#clock = clock
    this.#innerLimits = device.limits
    this.#limits = uncached(device.limits)
    if (device.abandon !== undefined) this.abandon = device.abandon.bind(device)
    if (device.extents !== undefined) this.extents = device.extents.bind(device)
    if (device.sendCommand !== undefined) this.sendCommand = device.sendCommand.bind(device)
  }

  get limits(): DeviceLimits {
    if (this.#innerLimits !== this.#device.limits) {
      this.#innerLimits = this.#device.limits
      this.#limits = uncached(this.#innerLimits)
    }
    return this.#limits
  }

  submit(io: Io): void {
    const { op } = io
    if (!changesData(op)) return this.#device.submit(io)
    const { limits } = this.#device
    if (limits.writeCache && limits.fua && op !== IoOp.Trim) {
      io.flags |= IoFlag.Fua
      this.#device.submit(io)
    } else {
      const change = this.#idle.pop() ?? new Change(this.#device, this.#idle)
      change.start(io, this.#clock.now())
    }
  }

  close(options?: SignalOptions): Promise<void> {
    return this.#device.close(options)
  }
}

/**
 * A change that was sent without Fua. The cache may be switched on between its submit and its `done`, and then it may
 * lie there: what the limits say at the end decides.
 */
class Change {
  readonly #device: BlockDevice
  readonly #idle: Change[]
  readonly #child = new Io()
  /** Of its flush, which tells of what this very change may have lost: each one is told. */
  readonly #own = new IoSource(0, true)
  #parent: Io | null = null

  constructor(device: BlockDevice, idle: Change[]) {
    this.#device = device
    this.#idle = idle
    this.#child.owner = this
    this.#child.done = childDone
  }

  start(parent: Io, now: number): void {
    const child = this.#child
    this.#parent = parent
    this.#own.since = now
    child.op = parent.op
    child.flags = parent.flags
    child.offset = parent.offset
    child.length = parent.length
    child.buffers = parent.buffers
    child.source = parent.source
    this.#device.submit(child)
  }

  ended(status: IoStatus): void {
    const child = this.#child
    const flushed = child.op === IoOp.Flush
    if (!flushed && status === OK && this.#device.limits.writeCache) {
      child.op = IoOp.Flush
      child.flags &= IoFlag.FailFast
      child.offset = 0
      child.length = 0
      child.buffers = NO_BUFFERS
      child.source = this.#own
      this.#device.submit(child)
      return
    }
    const parent = this.#parent as Io
    this.#parent = null
    child.buffers = NO_BUFFERS
    child.source = null
    this.#idle.push(this)
    // The change itself has run, whatever is said of the flush.
    parent.done(parent, flushed ? status & ~NOT_EXECUTED : status)
  }
}

function childDone(child: Io, status: IoStatus): void {
  ;(child.owner as Change).ended(status)
}

function uncached(limits: DeviceLimits): DeviceLimits {
  return limits.writeCache ? { ...limits, writeCache: false } : limits
}
