// A block device on a file, so that processes can serve the same bytes one after another.
import { close, fstatSync, fsync, openSync, read, write } from 'node:fs'
import type { BlockDevice, DeviceLimits, Io } from '@blockbraid/core'
import { Errno, IoFlag, IoOp } from '@blockbraid/core'

/** A device on the bytes of `path`. Trim and WriteZeroes write zeroes. */
export function fileDevice(path: string, limits: Partial<DeviceLimits> = {}): BlockDevice {
  const fd = openSync(path, 'r+')
  const all: DeviceLimits = {
    size: fstatSync(fd).size,
    blockSize: 4096,
    preferredBlockSize: 4096,
    maxTransfer: 1024 * 1024,
    queueDepth: 256,
    writeCache: true,
    fua: true,
    trim: true,
    writeZeroes: true,
    readOnly: false,
    ...limits,
  }
  return {
    limits: all,
    submit(io) {
      const finish = (error: Error | null): void => io.done(io, error === null ? 0 : Errno.EIO)
      if (io.op === IoOp.Flush) fsync(fd, finish)
      else if (io.op === IoOp.Read) read(fd, io.buffers[0]!, 0, io.length, io.offset, finish)
      else writeThen(fd, io, finish)
    },
    close: () => new Promise((resolve) => close(fd, () => resolve())),
  }
}

function writeThen(fd: number, io: Io, finish: (error: Error | null) => void): void {
  const data = io.op === IoOp.Write ? io.buffers[0]! : new Uint8Array(io.length)
  const fua = (io.flags & IoFlag.Fua) !== 0
  write(fd, data, 0, io.length, io.offset, (error) => (error === null && fua ? fsync(fd, finish) : finish(error)))
}
