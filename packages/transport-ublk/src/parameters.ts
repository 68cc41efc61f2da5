import type { DeviceLimits } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { Attribute, MAX_TRANSFER, ParameterType, SECTOR } from './protocol.ts'
import type { Parameters } from './structs.ts'
import { encodeParameters } from './structs.ts'

/** Bytes: what most filesystems send at most, and what a buffer per tag is worth. */
const STANDARD_TRANSFER = 512 * 1024

/** Bytes of the largest single transfer of a new node: a multiple of pages and of blocks. */
export function transferOf(limits: DeviceLimits, asked: number | undefined, pageSize: number): number {
  const wanted = Math.min(asked ?? STANDARD_TRANSFER, limits.maxTransfer, MAX_TRANSFER)
  const unit = Math.max(pageSize, limits.blockSize)
  if (wanted < unit) {
    throw new BlockError(
      'NOT_SUPPORTED',
      `ublk: the device takes transfers of ${limits.maxTransfer} bytes at most; the driver needs a page, ${unit} bytes`,
    )
  }
  return wanted - (wanted % unit)
}

/** Parameters of a node for a device of these limits. Throws NOT_SUPPORTED for a block larger than a page. */
export function parametersOf(limits: DeviceLimits, maxTransfer: number, pageSize: number): Parameters {
  const { blockSize, preferredBlockSize, writeCache, fua, readOnly, trim, writeZeroes, size } = limits
  if (blockSize > pageSize) {
    throw new BlockError(
      'NOT_SUPPORTED',
      `ublk: a block of this device is ${blockSize} bytes; the driver takes at most a page, ${pageSize} bytes`,
    )
  }
  const preferred = 2 ** Math.floor(Math.log2(Math.max(blockSize, preferredBlockSize)))
  // Filesystems take the physical block as the size of a sector, which cannot be more than a page.
  const physical = Math.min(preferred, pageSize)
  const largest = longestRange(preferred)
  return {
    attributes:
      (readOnly ? Attribute.ReadOnly : 0) |
      // Without a cache every write is durable at once, and the block layer wants no FUA then.
      (writeCache ? Attribute.VolatileCache | (fua ? Attribute.Fua : 0) : 0),
    logicalBlockShift: Math.log2(blockSize),
    physicalBlockShift: Math.log2(physical),
    optimalIoShift: Math.log2(preferred),
    minimumIoShift: Math.log2(preferred),
    maxSectors: maxTransfer / SECTOR,
    sectors: size / SECTOR,
    discardGranularity: trim ? preferred : blockSize,
    maxDiscardSectors: trim && !readOnly ? largest : 0,
    maxWriteZeroesSectors: writeZeroes && !readOnly ? largest : 0,
  }
}

/** Sectors: as many whole preferred blocks as the block layer can say in one request, 32 bits of bytes. */
function longestRange(preferred: number): number {
  const bytes = 2 ** 32 - SECTOR
  return (bytes - (bytes % preferred)) / SECTOR
}

/** struct ublk_params of these. */
export function parametersBytes(parameters: Parameters): Uint8Array {
  return encodeParameters(parameters, ParameterType.Basic | ParameterType.Discard)
}
