import type { DeviceLimits, Extent, Io, IoStatus } from '@blockbraid/core'
import { Errno, IoFlag, IoOp, NO_BUFFERS, OK } from '@blockbraid/core'

/** What a minimal device stores its bytes in: what it would answer now, and what a power loss leaves. */
export interface MinimalStorage {
  /** What the device says of itself; replaced when something changes. */
  limits: DeviceLimits
  /** What a read gives. */
  current: Buffer
  /** What a power loss leaves. */
  durable: Buffer
}

/** MinimalStorage of `blocks` blocks of zeroes, with a write cache. */
export function createMinimalStorage(blocks = 128, blockSize = 4096): MinimalStorage {
  const size = blocks * blockSize
  const limits: DeviceLimits = {
    size,
    blockSize,
    preferredBlockSize: blockSize,
    maxTransfer: Math.min(size, 1024 * 1024),
    queueDepth: 32,
    writeCache: true,
    fua: true,
    trim: true,
    writeZeroes: true,
    readOnly: false,
  }
  return { limits, current: Buffer.alloc(size), durable: Buffer.alloc(size) }
}

/** MinimalStorage that holds what a power loss leaves of another. */
export function afterPowerLoss({ limits, durable }: MinimalStorage): MinimalStorage {
  return { limits, current: Buffer.from(durable), durable: Buffer.from(durable) }
}

function readFrom({ current }: MinimalStorage, io: Io): IoStatus {
  if (io.buffers === NO_BUFFERS) {
    io.buffers = [Buffer.from(current.subarray(io.offset, io.offset + io.length))]
    return OK
  }
  let at = io.offset
  for (const view of io.buffers) {
    view.set(current.subarray(at, at + view.length))
    at += view.length
  }
  return OK
}

function change(storage: MinimalStorage, io: Io, apply: (target: Buffer) => void): IoStatus {
  const { readOnly, writeCache, fua } = storage.limits
  if (readOnly) return Errno.EPERM
  apply(storage.current)
  if (!writeCache || (fua && (io.flags & IoFlag.Fua) !== 0)) apply(storage.durable)
  return OK
}

function writeTo(storage: MinimalStorage, io: Io): IoStatus {
  return change(storage, io, (target) => {
    let at = io.offset
    for (const view of io.buffers) {
      target.set(view, at)
      at += view.length
    }
  })
}

/** Carries out one Io. */
export function execute(storage: MinimalStorage, io: Io): IoStatus {
  const { size, blockSize, trim, writeZeroes, readOnly } = storage.limits
  const misplaced = io.offset % blockSize !== 0 || io.length % blockSize !== 0 || io.offset + io.length > size
  if (misplaced) return Errno.EINVAL
  switch (io.op) {
    case IoOp.Read:
      return readFrom(storage, io)
    case IoOp.Write:
      return writeTo(storage, io)
    case IoOp.Flush:
      storage.durable.set(storage.current)
      return OK
    case IoOp.Trim:
    case IoOp.WriteZeroes:
      if (!readOnly && !(io.op === IoOp.Trim ? trim : writeZeroes)) return Errno.EOPNOTSUPP
      return change(storage, io, (target) => target.fill(0, io.offset, io.offset + io.length))
  }
}

/** Runs of blocks that are all zero, or not. */
export function extentsOf({ limits, current }: MinimalStorage, offset: number, length: number): Extent[] {
  const runs: Extent[] = []
  for (let at = offset; at < offset + length; at += limits.blockSize) {
    const zero = current.subarray(at, at + limits.blockSize).every((byte) => byte === 0)
    const last = runs.at(-1)
    if (last?.zero === zero) last.length += limits.blockSize
    else runs.push({ length: limits.blockSize, hole: zero, zero })
  }
  return runs
}
