import { IoFlag, IoOp } from '@blockbraid/core'
import { get16le, get32le, get64le } from '@blockbraid/wire'
import type { Attachment } from '../namespace/attachment.ts'
import type { Status } from '../nvme/status.ts'
import { DNR, Sc } from '../nvme/status.ts'
import type { Request } from '../request/request.ts'
import { perform } from './outcome.ts'

const FUA = 0x4000_0000
const DEALLOCATE_ZEROES = 0x0200_0000
/** Bytes of zeroes that are written at once where the device cannot do it itself. */
const PIECE = 256 * 1024

/** A range of blocks of a command with SLBA and NLB, in bytes; undefined where it does not fit the namespace. */
export function rangeOf(entry: Buffer, attachment: Attachment): { offset: number; length: number } | undefined {
  const { blockSize, size } = attachment.device.limits
  const offset = get64le(entry, 40) * blockSize
  const length = (get16le(entry, 48) + 1) * blockSize
  return offset + length > size ? undefined : { offset, length }
}

/** Flush (NVMe Base 2.1 §7.2). */
export function flush(_request: Request, attachment: Attachment): Promise<Status> {
  return perform(attachment, IoOp.Flush, 0, 0)
}

/** Write Zeroes (NVM command set 1.1 §3.3.8). */
export async function writeZeroes(request: Request, attachment: Attachment): Promise<Status> {
  const range = rangeOf(request.entry, attachment)
  if (range === undefined) return Sc.outOfRange | DNR
  const { limits } = attachment.device
  const control = get32le(request.entry, 48)
  const fua = (control & FUA) !== 0
  const keep = (control & DEALLOCATE_ZEROES) === 0 ? IoFlag.NoUnmap : 0
  const flags = fua && limits.fua ? IoFlag.Fua : 0
  const status = limits.writeZeroes
    ? await perform(attachment, IoOp.WriteZeroes, range.offset, range.length, flags | keep)
    : await inPieces(request, attachment, range.offset, range.length, flags)
  if (status !== 0 || !fua || limits.fua || !limits.writeCache) return status
  return perform(attachment, IoOp.Flush, 0, 0)
}

async function inPieces(request: Request, attachment: Attachment, from: number, length: number, flags: number) {
  const most = Math.min(PIECE, attachment.device.limits.maxTransfer)
  for (let at = 0; at < length; at += most) {
    // What has ended changes nothing any more, between two pieces too.
    if (request.controller!.over) return Sc.abortRequested
    const size = Math.min(most, length - at)
    const status = await perform(attachment, IoOp.Write, from + at, size, flags, [Buffer.alloc(size)])
    if (status !== 0) return status
  }
  return 0
}

/** Bytes of the ranges of Dataset Management. */
export function rangesLength(entry: Buffer): number {
  return (entry[40]! + 1) * 16
}

/** Dataset Management (NVM command set 1.1 §3.3.3): deallocates, and takes no other hint. */
export async function datasetManagement(request: Request, attachment: Attachment, data: Buffer): Promise<Status> {
  const { limits } = attachment.device
  const { entry } = request
  const ranges: [number, number][] = []
  for (let at = 0; at < rangesLength(entry); at += 16) {
    const offset = get64le(data, at + 8) * limits.blockSize
    const length = get32le(data, at + 4) * limits.blockSize
    if (offset + length > limits.size) return Sc.outOfRange | DNR
    if (length > 0) ranges.push([offset, length])
  }
  if ((entry[44]! & 0x04) === 0) return 0
  const zeroes = attachment.mapping.volume.deallocateZeroes && limits.writeZeroes
  if (!zeroes && !limits.trim) return 0
  for (const [offset, length] of ranges) {
    if (request.controller!.over) return Sc.abortRequested
    const status = await perform(attachment, zeroes ? IoOp.WriteZeroes : IoOp.Trim, offset, length)
    if (status !== 0) return status
  }
  return 0
}
