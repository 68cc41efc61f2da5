import type { DeviceLimits, IoStatus, VolumeId } from '@blockbraid/core'
import { changesData, Errno, IoFlag, IoOp, OK, rangeErrno } from '@blockbraid/core'
import { ChunkStore } from './chunk-store.ts'
import type { ResolvedVolume, VolumeFeatures } from './options.ts'

/** What {@link Volume.perform} needs of an Io or of a command. */
export interface Request {
  readonly op: IoOp
  readonly flags: number
  readonly offset: number
  readonly length: number
  buffers: Uint8Array[]
}

/** Contents that no power loss can change any more, as they were after so many entries of the log. */
export interface Base {
  readonly entries: number
  readonly store: ChunkStore
}

/** A volume of the array: the memory that all ports share. */
export class Volume {
  /** Its place in the array's list: two volumes may have one identity. */
  readonly number: number
  readonly id: VolumeId
  readonly blockSize: number
  readonly store: ChunkStore
  /** Bytes. */
  size: number
  features: VolumeFeatures
  /** How often its cache was lost. */
  resets = 0
  /** What crash checks start from. */
  base: Base

  constructor(number: number, options: ResolvedVolume) {
    this.number = number
    this.id = options.id
    this.blockSize = options.blockSize
    this.features = options.features
    this.size = options.size
    this.store = new ChunkStore(options.size)
    this.base = { entries: 0, store: new ChunkStore(options.size) }
  }

  limits(maxTransfer: number, queueDepth: number): DeviceLimits {
    return {
      size: this.size,
      blockSize: this.blockSize,
      preferredBlockSize: 4096,
      maxTransfer,
      queueDepth,
      ...this.features,
    }
  }

  /** Executes a request against the memory, at once. */
  perform(request: Request): IoStatus {
    const op = request.op
    if (op === IoOp.Flush) return OK
    if (request.offset + request.length > this.size) return rangeErrno(op)
    if (op === IoOp.Read) {
      if (request.buffers.length > 0) this.store.read(request.offset, request.buffers)
      else request.buffers = this.store.views(request.offset, request.length)
      return OK
    }
    const { readOnly, trim, writeZeroes } = this.features
    if (readOnly && changesData(op)) return Errno.EPERM
    if (op === IoOp.Write) this.store.write(request.offset, request.buffers)
    else if (op === IoOp.Trim && trim) this.store.zero(request.offset, request.length, false)
    else if (op === IoOp.WriteZeroes && writeZeroes) {
      this.store.zero(request.offset, request.length, (request.flags & IoFlag.NoUnmap) !== 0)
    } else return Errno.EOPNOTSUPP
    return OK
  }
}
