import { put32le, put64le } from '@blockbraid/wire'
import type { NvmeRequest } from './command.ts'
import { checked, EVERY_NAMESPACE, io, USES_SGL } from './command.ts'
import { IoOpcode } from './opcode.ts'

/** Most blocks of a command that has one range. */
export const MAX_BLOCKS = 0x1_0000
/** Most ranges of a Dataset Management. */
export const MAX_RANGES = 256
/** Most blocks of one of its ranges. */
export const MAX_RANGE_BLOCKS = 0xffff_ffff

/** Bits of dword 12 of a command with a range (NVM Command Set 1.1 §3). */
export const RangeFlag = {
  /** Force Unit Access. */
  Fua: 0x4000_0000,
  /** Write Zeroes: the blocks may be deallocated where they then read as zeroes. */
  Deallocate: 0x0200_0000,
} as const

/**
 * Writes Read, Write, Compare, Verify or Write Zeroes of 1 to {@link MAX_BLOCKS} blocks as a submission queue entry, but for
 * CID and SGL. `flags` are bits of {@link RangeFlag}, `lba` is below 2 ** 53.
 */
export function putRange(
  out: Uint8Array,
  opcode: number,
  nsid: number,
  lba: number,
  blocks: number,
  flags: number,
): void {
  putHead(out, opcode, nsid)
  put64le(out, 40, lba)
  put32le(out, 48, (blocks - 1) | flags)
  put32le(out, 52, 0)
  put32le(out, 56, 0)
  put32le(out, 60, 0)
}

/** Writes Flush of a namespace, but for CID and SGL. */
export function putFlush(out: Uint8Array, nsid: number): void {
  putHead(out, IoOpcode.Flush, nsid)
  out.fill(0, 40, 64)
}

const ATTRIBUTE_DEALLOCATE = 0x04
const RANGE_LENGTH = 16

function putHead(out: Uint8Array, opcode: number, nsid: number): void {
  out[0] = opcode
  out[1] = USES_SGL
  put32le(out, 4, nsid)
  out.fill(0, 8, 24)
}

/** A run of blocks. */
export interface NvmeRange {
  /** Its first block. */
  readonly lba: number
  /** How many there are. */
  readonly blocks: number
}

/** Read of `length` bytes. */
export function read(nsid: number, range: NvmeRange, length: number): NvmeRequest {
  return ranged(IoOpcode.Read, nsid, range, 0, length)
}

/** Write of `data`. `fua`: durable before it is answered. */
export function write(nsid: number, range: NvmeRange, data: Uint8Array, fua = false): NvmeRequest {
  return ranged(IoOpcode.Write, nsid, range, fua ? RangeFlag.Fua : 0, data)
}

/** Compare of blocks with `data`: Compare Failure where one differs. */
export function compare(nsid: number, range: NvmeRange, data: Uint8Array): NvmeRequest {
  return ranged(IoOpcode.Compare, nsid, range, 0, data)
}

/** Verify: the blocks are read and not sent. */
export function verify(nsid: number, range: NvmeRange): NvmeRequest {
  return ranged(IoOpcode.Verify, nsid, range, 0, 0)
}

/** Write Zeroes. `deallocate`: the blocks may be deallocated where they then read as zeroes; `fua`: durable before it is answered. */
export function writeZeroes(nsid: number, range: NvmeRange, deallocate = false, fua = false): NvmeRequest {
  const flags = (deallocate ? RangeFlag.Deallocate : 0) | (fua ? RangeFlag.Fua : 0)
  return ranged(IoOpcode.WriteZeroes, nsid, range, flags, 0)
}

/** Flush of a namespace. */
export function flush(nsid: number): NvmeRequest {
  return io(IoOpcode.Flush, 0, { nsid: checked('nsid', nsid, EVERY_NAMESPACE) })
}

/** Dataset Management that deallocates 1 to 256 ranges. */
export function deallocate(nsid: number, ranges: readonly NvmeRange[]): NvmeRequest {
  if (ranges.length === 0 || ranges.length > MAX_RANGES) {
    throw new TypeError(`ranges: ${ranges.length} are not from 1 to ${MAX_RANGES}`)
  }
  const data = new Uint8Array(ranges.length * RANGE_LENGTH)
  for (const [index, { lba, blocks }] of ranges.entries()) {
    checkRange(lba, blocks, MAX_RANGE_BLOCKS)
    put32le(data, index * RANGE_LENGTH + 4, blocks)
    put64le(data, index * RANGE_LENGTH + 8, lba)
  }
  return io(IoOpcode.DatasetManagement, data, {
    nsid: checked('nsid', nsid, EVERY_NAMESPACE),
    cdw10: ranges.length - 1,
    cdw11: ATTRIBUTE_DEALLOCATE,
  })
}

function ranged(
  opcode: number,
  nsid: number,
  { lba, blocks }: NvmeRange,
  flags: number,
  data: Uint8Array | number,
): NvmeRequest {
  checkRange(lba, blocks, MAX_BLOCKS)
  return io(opcode, data, {
    nsid: checked('nsid', nsid, EVERY_NAMESPACE),
    cdw10: lba % 2 ** 32,
    cdw11: Math.floor(lba / 2 ** 32),
    cdw12: (blocks - 1) | flags,
  })
}

function checkRange(lba: number, blocks: number, most: number): void {
  checked('lba', lba, Number.MAX_SAFE_INTEGER)
  if (!Number.isInteger(blocks) || blocks < 1 || blocks > most) {
    throw new TypeError(`blocks: ${blocks} is not an integer from 1 to ${most}`)
  }
}
