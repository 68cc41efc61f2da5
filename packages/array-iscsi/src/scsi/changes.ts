import { IoFlag, IoOp, OK } from '@blockbraid/core'
import { get16, get32, get64 } from '@blockbraid/wire'
import type { CommandResult } from './entry.ts'
import { Check, GOOD } from './outcome.ts'
import { outcomeOf, perform } from './status.ts'
import type { Task } from './task.ts'

/** Blocks that one UNMAP or WRITE SAME may name (VPD page B0h). */
export const MAX_UNMAP_BLOCKS = 1024 * 1024
/** Descriptors that one UNMAP may have. */
export const MAX_UNMAP_DESCRIPTORS = 64

/** SYNCHRONIZE CACHE 10 and 16 (SBC-4 §5.26): the whole cache, whatever the range. */
export function syncCache(task: Task): CommandResult | Promise<CommandResult> {
  const nexus = task.nexus!
  const { cdb, opcode } = task
  const { limits, device } = nexus
  const wide = opcode === 0x91
  const lba = wide ? get64(cdb, 2) : get32(cdb, 2)
  const blocks = wide ? get32(cdb, 10) : get16(cdb, 7)
  if ((lba + blocks) * limits.blockSize > limits.size) return Check.outOfRange
  if (!limits.writeCache) return GOOD
  return perform(device, IoOp.Flush, 0, 0).then((status) => outcomeOf(status, nexus, IoOp.Flush))
}

/** UNMAP (SBC-4 §5.32). */
export async function unmap(task: Task, data: Buffer): Promise<CommandResult> {
  const nexus = task.nexus!
  const { limits, device, mapping } = nexus
  const zeroes = mapping.unit.unmapZeroes
  if (!(zeroes ? limits.writeZeroes : limits.trim)) return Check.invalidOpcode
  if (data.length === 0) return GOOD
  if (data.length < 8) return Check.parameterListLength
  const length = get16(data, 2)
  if (get16(data, 0) < length + 6 || length % 16 !== 0 || data.length < 8 + length) return Check.invalidParameter
  const ranges: { offset: number; length: number }[] = []
  let blocks = 0
  for (let at = 8; at < 8 + length; at += 16) {
    blocks += get32(data, at + 8)
    ranges.push({ offset: get64(data, at) * limits.blockSize, length: get32(data, at + 8) * limits.blockSize })
  }
  if (ranges.length > MAX_UNMAP_DESCRIPTORS || blocks > MAX_UNMAP_BLOCKS) return Check.invalidParameter
  if (ranges.some((range) => range.offset + range.length > limits.size)) return Check.outOfRange
  for (const range of ranges) {
    if (range.length === 0) continue
    const op = zeroes ? IoOp.WriteZeroes : IoOp.Trim
    const status = await perform(device, op, range.offset, range.length)
    if (status !== OK) return outcomeOf(status, nexus, op)
  }
  return GOOD
}

/** WRITE SAME 10 and 16 (SBC-4 §5.46), zeroes or any other block. */
export async function writeSame(task: Task, data: Buffer): Promise<CommandResult> {
  const nexus = task.nexus!
  const { cdb, opcode } = task
  const { limits, device } = nexus
  const wide = opcode === 0x93
  const flags = cdb[1]!
  const noData = wide && (flags & 0x01) !== 0
  const lba = wide ? get64(cdb, 2) : get32(cdb, 2)
  const blocks = wide ? get32(cdb, 10) : get16(cdb, 7)
  // WRPROTECT, ANCHOR, and the obsolete PBDATA and LBDATA.
  if ((flags & (wide ? 0xf6 : 0xf7) & ~0x08) !== 0) return Check.invalidField
  const offset = lba * limits.blockSize
  // 0 stands for "to the end" (WSNZ is 0).
  const length = blocks === 0 ? limits.size - offset : blocks * limits.blockSize
  if (offset + length > limits.size || length < 0) return Check.outOfRange
  if (blocks > MAX_UNMAP_BLOCKS || length > MAX_UNMAP_BLOCKS * limits.blockSize) return Check.invalidField
  if (!noData && (task.expected !== limits.blockSize || data.length !== limits.blockSize)) return Check.invalidField
  if (length === 0) return GOOD
  if (noData || data.every((byte) => byte === 0)) {
    if (limits.writeZeroes) {
      const keep = (flags & 0x08) === 0 ? IoFlag.NoUnmap : 0
      const status = await perform(device, IoOp.WriteZeroes, offset, length, keep)
      return outcomeOf(status, nexus, IoOp.WriteZeroes)
    }
  }
  const block = noData ? Buffer.alloc(limits.blockSize) : data.subarray(0, limits.blockSize)
  const chunk = Math.min(length, limits.maxTransfer, 1024 * 1024)
  const filled = Buffer.alloc(chunk, block)
  for (let at = 0; at < length; at += chunk) {
    const piece = filled.subarray(0, Math.min(chunk, length - at))
    const status = await perform(device, IoOp.Write, offset + at, piece.length, 0, [piece])
    if (status !== OK) return outcomeOf(status, nexus, IoOp.Write)
  }
  return GOOD
}
