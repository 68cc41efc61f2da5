import type { DeviceLimits } from '@blockbraid/core'
import type { NbdExport } from './handshake.ts'
import { Flag } from './protocol.ts'

const MAX_PAYLOAD = 32 * 1024 * 1024
const SMALLEST_BLOCK = 512
const LARGEST_BLOCK = 65_536

function toBlock(bytes: number | undefined): number {
  const block = 2 ** Math.ceil(Math.log2(bytes ?? 1))
  return Math.min(LARGEST_BLOCK, Math.max(SMALLEST_BLOCK, block))
}

/** The limits of an export, as a block device; what is past its last whole block is left out. */
export function limitsOf({ size, flags, blockSizes }: NbdExport): DeviceLimits {
  const has = (flag: number): boolean => (flags & flag) !== 0
  const blockSize = toBlock(blockSizes?.minimum)
  const maximum = Math.min(blockSizes?.maximum ?? MAX_PAYLOAD, MAX_PAYLOAD)
  return {
    size: size - (size % blockSize),
    blockSize,
    preferredBlockSize: Math.max(blockSize, toBlock(blockSizes?.preferred ?? 4096)),
    maxTransfer: Math.max(blockSize, maximum - (maximum % blockSize)),
    queueDepth: 128,
    writeCache: has(Flag.flush),
    fua: has(Flag.fua),
    trim: has(Flag.trim),
    writeZeroes: has(Flag.writeZeroes),
    readOnly: has(Flag.readOnly),
  }
}
