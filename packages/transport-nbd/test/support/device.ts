import type { BlockDevice, DeviceLimits, Extent, Io, IoSource } from '@blockbraid/core'
import { Errno, IoFlag, IoOp } from '@blockbraid/core'

/** A small memory with the range checks of core's wrapper; holds Ios back on demand. */
export class TestDevice implements BlockDevice {
  limits: DeviceLimits
  readonly memory: Buffer
  /** Every Io submitted, as text. */
  readonly log: string[] = []
  /** While true, Ios wait for `release`. */
  hold = false
  /** Status of every Io to come, instead of doing it. */
  failWith = 0
  readonly held: Io[] = []
  #queue: Io[] = []

  constructor(size = 65536, limits: Partial<DeviceLimits> = {}) {
    this.memory = Buffer.alloc(size)
    for (let i = 0; i < size; i++) this.memory[i] = i * 7 + (i >> 8)
    this.limits = {
      size,
      blockSize: 512,
      preferredBlockSize: 4096,
      maxTransfer: 2 ** 25,
      queueDepth: 64,
      writeCache: true,
      fua: true,
      trim: true,
      writeZeroes: true,
      readOnly: false,
      ...limits,
    }
  }

  submit(io: Io): void {
    this.log.push(`${io.op}:${io.offset}+${io.length}${io.flags === 0 ? '' : ` f${io.flags}`}`)
    if (this.hold) this.held.push(io)
    else this.#enqueue(io)
  }

  /** Ends up to `count` Ios that were held back, the oldest first. */
  release(count = this.held.length): void {
    for (const io of this.held.splice(0, count)) this.#enqueue(io)
  }

  async close(): Promise<void> {}

  extents?(offset: number, length: number): Promise<readonly Extent[]>

  #enqueue(io: Io): void {
    if (this.#queue.push(io) > 1) return
    queueMicrotask(() => {
      const batch = this.#queue
      this.#queue = []
      for (const one of batch) one.done(one, this.failWith === 0 ? this.#work(one) : this.failWith)
    })
  }

  #work(io: Io): number {
    const { op, offset, length } = io
    const { size, blockSize } = this.limits
    if (op !== IoOp.Flush && (offset % blockSize !== 0 || length % blockSize !== 0)) return Errno.EINVAL
    if (offset > size || length > size - offset) {
      return op === IoOp.Write || op === IoOp.WriteZeroes ? Errno.ENOSPC : Errno.EINVAL
    }
    if (op === IoOp.Read) {
      const half = offset + length / 2
      io.buffers = [this.memory.subarray(offset, half), this.memory.subarray(half, offset + length)]
    } else if (op === IoOp.Write) {
      let at = offset
      for (const view of io.buffers) {
        this.memory.set(view, at)
        at += view.length
      }
      if (at !== offset + length) throw new Error(`write of ${length} bytes came with ${at - offset}`)
    } else if (op === IoOp.WriteZeroes) {
      if ((io.flags & IoFlag.FastZero) !== 0) return Errno.EOPNOTSUPP
      this.memory.fill(0, offset, offset + length)
    }
    return 0
  }
}

/** A device whose first half is data and whose second half is a hole, in extents of 4096 bytes. */
export function sparseDevice(size = 65536): TestDevice {
  const device = new TestDevice(size)
  device.extents = async (offset, length) => {
    const found: Extent[] = []
    for (let at = offset; at < offset + length; ) {
      const end = Math.min(offset + length, (Math.floor(at / 4096) + 1) * 4096)
      found.push({ length: end - at, hole: at >= size / 2, zero: at >= size / 2 })
      at = end
    }
    return found
  }
  return device
}

/** A device that records who submits and who is given up. */
export class RecordingDevice extends TestDevice {
  readonly sources: (IoSource | null)[] = []
  readonly abandoned: IoSource[] = []

  override submit(io: Io): void {
    this.sources.push(io.source)
    super.submit(io)
  }

  abandon(source: IoSource): void {
    source.gone = true
    this.abandoned.push(source)
  }
}
