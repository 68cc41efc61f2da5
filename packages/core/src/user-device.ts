import type { Clock } from './clock.ts'
import { systemClock } from './clock.ts'
import type { Closing } from './closing.ts'
import { closing, orAborted } from './closing.ts'
import type { DeviceCommandOptions } from './commands.ts'
import { checkCommandOptions, protocolName } from './commands.ts'
import type { BlockDevice, DeviceLimits, Extent } from './device.ts'
import type { CompositeFactory } from './emulate.ts'
import { compositeFactory, RANGE_PIECE } from './emulate.ts'
import { BlockError } from './errors.ts'
import type { Io } from './io.ts'
import { changesData, IoFlag, IoOp, rangeErrno } from './io.ts'
import { IoSource } from './io-source.ts'
import type { IoOptions, ReadOptions, WriteOptions, ZeroOptions } from './promises.ts'
import { promiseIo } from './promises.ts'
import type { Rates } from './rates/rates.ts'
import { Throttle } from './rates/throttle.ts'
import type { SignalOptions } from './signal.ts'
import { Errno, OK } from './status.ts'

/**
 * A user-space block device as applications get it: ranges are checked, transfers of any length are
 * split, Fua and WriteZeroes work on every device, and beside `submit` there are promises.
 */
export interface UserDevice extends BlockDevice, AsyncDisposable {
  /** Reads `length` bytes at `offset`; resolves to one array. Both are multiples of `limits.blockSize`. */
  read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array>
  /** Fills `target` from `offset` without a copy; `target` is in use until the I/O itself has ended. */
  readInto(offset: number, target: Uint8Array, options?: ReadOptions): Promise<void>
  /** Writes `data` at `offset`; it must not be changed before the promise settles. */
  write(offset: number, data: Uint8Array, options?: WriteOptions): Promise<void>
  /** Makes every write that was acknowledged before durable. */
  flush(options?: IoOptions): Promise<void>
  /** Gives up the contents of a range. */
  trim(offset: number, length: number, options?: IoOptions): Promise<void>
  /** Makes a range read as zeroes. */
  writeZeroes(offset: number, length: number, options?: ZeroOptions): Promise<void>
  /**
   * Sends a command of a protocol through a usable path that speaks it, or through any that is up where none is usable.
   * It moves to another path when the answer says that it did not run, and when a path failed before it answered if the
   * command may be repeated; else it rejects with IO_FAILED then. See {@link BlockDevice.sendCommand}.
   */
  sendCommand(
    protocol: string,
    command: unknown,
    data?: Uint8Array | number,
    options?: DeviceCommandOptions,
  ): Promise<unknown>
}

/**
 * Puts the checks, the splitting, the emulation and the promises in front of a device: the one place
 * where they are. Closing it closes `device`, unless `close` says otherwise.
 */
export function userDevice(
  device: BlockDevice,
  clock: Clock = systemClock,
  close: (options?: SignalOptions) => Promise<void> = (options) => device.close(options),
): UserDevice {
  return new FrontDevice(device, clock, close)
}

/** Stays in an Io that was submitted without a source, and may be submitted through another front next. */
class FrontSource extends IoSource {}

/** What {@link userDevice} makes, which can be held to rates. */
export class FrontDevice implements UserDevice {
  readonly extents?: (offset: number, length: number, options?: SignalOptions) => Promise<readonly Extent[]>
  #device: BlockDevice
  #clock: Clock
  #closing: Closing
  #composites: CompositeFactory
  readonly #throttle: Throttle
  /** Where I/O goes that is not split: the device, or what holds it back. */
  #through: Pick<BlockDevice, 'submit'>
  #innerLimits: DeviceLimits
  #limits: DeviceLimits
  #ended = new AbortController()
  /** Of what comes without a source: others may have fronts of the same device. */
  readonly #own: FrontSource

  constructor(device: BlockDevice, clock: Clock, close: (options?: SignalOptions) => Promise<void>) {
    this.#device = device
    this.#clock = clock
    this.#own = new FrontSource(clock.now())
    this.#through = device
    this.#throttle = new Throttle(device, clock, (io) => this.#composites.submit(io))
    this.#composites = compositeFactory(this.#throttle, clock)
    this.#closing = closing(async (options) => {
      this.liftRates(true)
      // Pieces of what was accepted before must still find the device open.
      await orAborted(this.#composites.drained(), options.signal).catch(() => {})
      this.#ended.abort(new BlockError('CLOSED', 'the device is closed'))
      // What a hurried close has not waited for must not come late, where others use the device on.
      await close(options).finally(() => this.abandon(this.#own))
    })
    this.#innerLimits = device.limits
    this.#limits = frontLimits(device.limits)
    if (device.extents !== undefined) this.extents = device.extents.bind(device)
  }

  get limits(): DeviceLimits {
    if (this.#innerLimits !== this.#device.limits) {
      this.#innerLimits = this.#device.limits
      this.#limits = frontLimits(this.#innerLimits)
    }
    return this.#limits
  }

  submit(io: Io): void {
    const limits = this.#device.limits
    if (this.#closing.begun) return this.#end(io, Errno.ESHUTDOWN)
    const { op, length, offset, source } = io
    if (source === null) io.source = this.#own
    else if (source !== this.#own && (source.gone || source instanceof FrontSource)) {
      if (!(source instanceof FrontSource)) return this.#end(io, Errno.ECANCELED)
      io.source = this.#own
    }
    if (op === IoOp.Flush) {
      if (limits.writeCache) this.#through.submit(io)
      else this.#end(io, OK)
      return
    }
    const mask = limits.blockSize - 1
    // `&` takes a number modulo 2 ** 32, which is exact for the low bits of every integer below 2 ** 53.
    if (
      ((offset | length) & mask) !== 0 ||
      !Number.isInteger(offset) ||
      !Number.isInteger(length) ||
      offset < 0 ||
      length < 0
    ) {
      return this.#end(io, Errno.EINVAL)
    }
    if (offset + length > limits.size) return this.#end(io, rangeErrno(op))
    if (limits.readOnly && changesData(op)) return this.#end(io, Errno.EPERM)
    if (length === 0) return this.#end(io, OK)
    if (op === IoOp.Read) {
      if (length <= limits.maxTransfer) this.#through.submit(io)
      else this.#throttle.submitWhole(io)
    } else if (op === IoOp.Trim) {
      if (!limits.trim) this.#end(io, OK)
      else if ((io.flags & IoFlag.Fua) !== 0 || length > RANGE_PIECE) this.#throttle.submitWhole(io)
      else this.#through.submit(io)
    } else if (op === IoOp.Write || op === IoOp.WriteZeroes) {
      this.#submitWrite(io, limits)
    } else {
      this.#end(io, Errno.EINVAL)
    }
  }

  /** What its I/O is held to. */
  get rates(): Rates | undefined {
    return this.#throttle.rates
  }

  /** How many Ios wait for that. */
  get throttled(): number {
    return this.#throttle.waiting
  }

  /** Exchanges the rates under I/O. Throws a TypeError that names a wrong field. */
  setRates(rates: Rates | undefined): void {
    this.#throttle.set(rates)
    this.#route()
  }

  /** Lets everything through, whatever the rates, as long as it is to end. */
  liftRates(lifted: boolean): void {
    this.#throttle.lift(lifted)
    this.#route()
  }

  #route(): void {
    // In front only where something is to be held back: else an I/O does not meet it.
    this.#through = this.#throttle.isOn ? this.#throttle : this.#device
  }

  abandon(source: IoSource): void {
    source.gone = true
    this.#composites.abandon(source)
    this.#throttle.abandon(source)
    this.#device.abandon?.(source)
  }

  #submitWrite(io: Io, limits: DeviceLimits): void {
    const { op, flags } = io
    if (op === IoOp.WriteZeroes && !limits.writeZeroes) {
      if ((flags & IoFlag.FastZero) !== 0) this.#end(io, Errno.EOPNOTSUPP)
      else this.#throttle.submitWhole(io)
    } else if ((flags & IoFlag.Fua) !== 0 && !limits.fua) {
      // Also without a volatile cache: one may be there by the end of the write.
      this.#throttle.submitWhole(io)
    } else if (io.length > (op === IoOp.Write ? limits.maxTransfer : RANGE_PIECE)) {
      this.#throttle.submitWhole(io)
    } else {
      this.#through.submit(io)
    }
  }

  #end(io: Io, status: number): void {
    this.#clock.defer(() => io.done(io, status))
  }

  async read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array> {
    checkRange(this.limits, offset, length)
    const data = new Uint8Array(length)
    await this.readInto(offset, data, options)
    return data
  }

  async readInto(offset: number, target: Uint8Array, options?: ReadOptions): Promise<void> {
    checkRange(this.limits, offset, target.length)
    await promiseIo(this, IoOp.Read, 0, offset, target.length, [target], options)
  }

  async write(offset: number, data: Uint8Array, options?: WriteOptions): Promise<void> {
    checkRange(this.limits, offset, data.length)
    await promiseIo(this, IoOp.Write, options?.fua === true ? IoFlag.Fua : 0, offset, data.length, [data], options)
  }

  async flush(options?: IoOptions): Promise<void> {
    await promiseIo(this, IoOp.Flush, 0, 0, 0, [], options)
  }

  async trim(offset: number, length: number, options?: IoOptions): Promise<void> {
    checkRange(this.limits, offset, length)
    await promiseIo(this, IoOp.Trim, 0, offset, length, [], options)
  }

  async writeZeroes(offset: number, length: number, options?: ZeroOptions): Promise<void> {
    checkRange(this.limits, offset, length)
    const flags =
      (options?.fua === true ? IoFlag.Fua : 0) |
      (options?.noUnmap === true ? IoFlag.NoUnmap : 0) |
      (options?.fastZero === true ? IoFlag.FastZero : 0)
    await promiseIo(this, IoOp.WriteZeroes, flags, offset, length, [], options)
  }

  async sendCommand(
    protocol: string,
    command: unknown,
    data: Uint8Array | number = 0,
    options: DeviceCommandOptions = {},
  ): Promise<unknown> {
    checkCommandOptions(options)
    if (this.#closing.begun) throw new BlockError('CLOSED', 'the device is closed')
    if (this.#device.sendCommand === undefined) {
      throw new BlockError('NOT_SUPPORTED', `this device takes no ${protocolName(protocol)} commands`)
    }
    const ended = this.#ended.signal
    const signal = options.signal === undefined ? ended : AbortSignal.any([options.signal, ended])
    return orAborted(this.#device.sendCommand(protocol, command, data, { ...options, signal }), signal)
  }

  close(options?: SignalOptions): Promise<void> {
    return this.#closing.close(options)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function frontLimits(limits: DeviceLimits): DeviceLimits {
  return limits.fua ? limits : { ...limits, fua: true }
}

function checkRange(limits: DeviceLimits, offset: number, length: number): void {
  checkMultiple('offset', offset, limits.blockSize)
  checkMultiple('length', length, limits.blockSize)
  if (offset + length > limits.size) {
    throw new RangeError(`offset ${offset} + length ${length} is past the end of the device, ${limits.size} bytes`)
  }
}

function checkMultiple(field: string, value: number, blockSize: number): void {
  if (Number.isSafeInteger(value) && value >= 0 && value % blockSize === 0) return
  throw new TypeError(
    `${field} is ${value}; it must be a multiple of the block size, ${blockSize} bytes, and not negative`,
  )
}
