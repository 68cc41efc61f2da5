import { get32, get64, put32, put64 } from '@blockbraid/wire'
import type { CommandResult } from './entry.ts'
import { Check } from './outcome.ts'
import type { Task } from './task.ts'

/** READ CAPACITY (10) (SBC-4 §5.20): the last block, or FFFFFFFFh where it does not fit. */
export function readCapacity10(task: Task): CommandResult {
  const { size, blockSize } = task.nexus!.limits
  const data = Buffer.alloc(8)
  put32(data, 0, Math.min(size / blockSize - 1, 0xffff_ffff))
  put32(data, 4, blockSize)
  return data
}

/** READ CAPACITY (16) (SBC-4 §5.21). */
export function readCapacity16(task: Task): CommandResult {
  const nexus = task.nexus!
  const { size, blockSize, trim, writeZeroes, preferredBlockSize } = nexus.limits
  const { unmapZeroes } = nexus.mapping.unit
  const data = Buffer.alloc(32)
  put64(data, 0, size / blockSize - 1)
  put32(data, 8, blockSize)
  // Logical blocks per physical block exponent.
  data[13] =
    preferredBlockSize > blockSize && preferredBlockSize <= 4096 ? Math.log2(preferredBlockSize / blockSize) : 0
  const provisioned = unmapZeroes ? writeZeroes : trim
  data[14] = provisioned ? (unmapZeroes ? 0xc0 : 0x80) : 0
  return data.subarray(0, Math.min(32, get32(task.cdb, 10)))
}

/** Blocks that one GET LBA STATUS tells of at most, so that their number fits. */
const MAX_STATUS_BLOCKS = 2 ** 31

/** GET LBA STATUS (SBC-4 §5.6): what is mapped, where the device knows; else everything. */
export async function getLbaStatus(task: Task): Promise<CommandResult> {
  const { limits, device } = task.nexus!
  const { size, blockSize } = limits
  const lba = get64(task.cdb, 2)
  const allocation = get32(task.cdb, 10)
  const offset = lba * blockSize
  if (offset >= size) return Check.outOfRange
  const length = Math.min(size - offset, MAX_STATUS_BLOCKS * blockSize)
  const whole = [{ length, hole: false }]
  const extents = (await device.extents?.(offset, length).catch(() => undefined)) ?? whole
  const room = Math.max(1, Math.floor((allocation - 8) / 16))
  const told = extents.slice(0, room)
  const data = Buffer.alloc(8 + 16 * told.length)
  put32(data, 0, data.length - 4)
  let at = lba
  for (const [n, extent] of told.entries()) {
    put64(data, 8 + 16 * n, at)
    put32(data, 16 + 16 * n, extent.length / blockSize)
    data[20 + 16 * n] = extent.hole ? 1 : 0
    at += extent.length / blockSize
  }
  return data.subarray(0, allocation)
}
