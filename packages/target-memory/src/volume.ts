import type { DeviceLimits, IoStatus, VolumeId } from '@blockbraid/core'
import { changesData, Errno, IoFlag, IoOp, OK, rangeErrno } from '@blockbraid/core'
import { ChunkStore } from './chunk-store.ts'
import type { ResolvedVolume } from './options.ts'

/** What {@link Volume.perform} needs of an Io or of a command. */
export interface Request {
  readonly op: IoOp
  readonly flags: number
  readonly offset: number
  readonly length: number
  buffers: Uint8Array[]
}

/** A volume of the array: the memory that all ports share. */
export class Volume {
  readonly id: VolumeId
  readonly blockSize: number
  writeCache: boolean
  readonly readOnly: boolean
  readonly store = new ChunkStore()
  /** Bytes; grows. */
  size: number

  constructor(options: ResolvedVolume) {
    this.id = options.id
    this.blockSize = options.blockSize
    this.writeCache = options.writeCache
    this.readOnly = options.readOnly
    this.size = options.size
  }

  limits(maxTransfer: number, queueDepth: number): DeviceLimits {
    return {
      size: this.size,
      blockSize: this.blockSize,
      preferredBlockSize: 4096,
      maxTransfer,
      queueDepth,
      writeCache: this.writeCache,
      fua: true,
      trim: true,
      writeZeroes: true,
      readOnly: this.readOnly,
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
    if (this.readOnly && changesData(op)) return Errno.EPERM
    if (op === IoOp.Write) this.store.write(request.offset, request.buffers)
    else if (op === IoOp.Trim) this.store.zero(request.offset, request.length, false)
    else if (op === IoOp.WriteZeroes) {
      this.store.zero(request.offset, request.length, (request.flags & IoFlag.NoUnmap) !== 0)
    } else return Errno.EOPNOTSUPP
    return OK
  }
}
