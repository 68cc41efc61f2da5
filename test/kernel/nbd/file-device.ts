import { closeSync, fdatasync, openSync, read, write } from 'node:fs'
import type { BlockDevice, DeviceLimits, Io, IoStatus, UserDevice } from '@blockbraid/core'
import { Errno, IoFlag, IoOp, userDevice } from '@blockbraid/core'

/** A device that keeps its blocks in a file, so that they outlive its process, and holds Ios back on demand. */
export class FileDevice implements BlockDevice {
  limits: DeviceLimits
  /** Every Io that was started, as `op offset length`. */
  readonly log: string[] = []
  /** While true, Ios wait for `release`. */
  hold = false
  readonly held: Io[] = []
  /** Status of every Io to come, instead of doing it. */
  failWith: IoStatus = 0
  readonly #fd: number

  constructor(file: string, limits: Partial<DeviceLimits>) {
    this.#fd = openSync(file, 'r+')
    this.limits = {
      size: 64 * 2 ** 20,
      blockSize: 512,
      preferredBlockSize: 4096,
      maxTransfer: 2 ** 20,
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
    this.log.push(`${names[io.op] ?? io.op}${(io.flags & IoFlag.Fua) === 0 ? '' : ' fua'} ${io.offset} ${io.length}`)
    if (this.hold) this.held.push(io)
    else this.#work(io)
  }

  /** Starts what was held back. */
  release(): void {
    this.hold = false
    for (const io of this.held.splice(0)) this.#work(io)
  }

  async close(): Promise<void> {
    closeSync(this.#fd)
  }

  #work(io: Io): void {
    const done = (error: Error | null): void => io.done(io, error === null ? 0 : Errno.EIO)
    if (this.failWith !== 0) setImmediate(() => io.done(io, this.failWith))
    else if (io.op === IoOp.Read) {
      const buffer = Buffer.allocUnsafeSlow(io.length)
      io.buffers = [buffer]
      read(this.#fd, buffer, 0, io.length, io.offset, done)
    } else if (io.op === IoOp.Write) write(this.#fd, Buffer.concat(io.buffers), 0, io.length, io.offset, done)
    else if (io.op === IoOp.WriteZeroes) write(this.#fd, Buffer.alloc(io.length), 0, io.length, io.offset, done)
    else if (io.op === IoOp.Flush) fdatasync(this.#fd, done)
    else setImmediate(done, null)
  }
}

const names: Record<number, string> = {
  [IoOp.Read]: 'read',
  [IoOp.Write]: 'write',
  [IoOp.Flush]: 'flush',
  [IoOp.Trim]: 'trim',
  [IoOp.WriteZeroes]: 'zeroes',
}

/** A file device and core's front of it, as transports get it. */
export function fileDevice(file: string, limits: Partial<DeviceLimits> = {}): { file: FileDevice; device: UserDevice } {
  const made = new FileDevice(file, limits)
  return { file: made, device: userDevice(made) }
}
