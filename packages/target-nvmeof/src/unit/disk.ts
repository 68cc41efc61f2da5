import type { DeviceLimits } from '@blockbraid/core'
import { checkForm } from '../controller/namespaces.ts'
import { getFeature } from '../nvme/admin.ts'
import { demand } from '../nvme/ask.ts'
import { MAX_BLOCKS, MAX_RANGE_BLOCKS, MAX_RANGES } from '../nvme/io.ts'
import type { Asker } from './ask.ts'
import { askIfKnown } from './ask.ts'
import type { ControllerLimits } from './controller-limits.ts'
import { readControllerLimits } from './controller-limits.ts'
import type { Seen } from './identity.ts'

/** How blocks are given back and zeroed. */
export interface RangeLimits {
  /** Ranges of one Dataset Management, blocks of one range, blocks of all. */
  readonly maxRanges: number
  readonly maxRangeBlocks: number
  readonly maxTrimBlocks: number
  /** Blocks of one Write Zeroes. */
  readonly maxZeroBlocks: number
  /** Whether Write Zeroes may deallocate. */
  readonly zeroesDeallocate: boolean
  /** Blocks; ranges are cut at multiples of it where they must be cut. */
  readonly granularity: number
}

/** What a namespace can do now. */
export interface Disk {
  readonly limits: DeviceLimits
  readonly ranges: RangeLimits
  /** ANA group. */
  readonly group: number
}

/** What the options say of it. */
export interface DiskOptions {
  readonly queueDepth: number
  readonly maxTransfer: number
}

/** Reads what a namespace can do; undefined where it does not tell its size, as while it takes no I/O. */
export async function readDisk(asker: Asker, seen: Seen, options: DiskOptions): Promise<Disk | undefined> {
  checkForm(seen.facts)
  if (seen.data.blocks === 0) return undefined
  const limits = await readControllerLimits(asker)
  return diskOf(seen, limits, limits.controller.writeCache && (await readCache(asker)), options)
}

// Feature of the cache that every namespace of a controller shares.
const VOLATILE_WRITE_CACHE = 0x06

// Not told means that it must be taken for granted: a flush too many does no harm.
async function readCache(asker: Asker): Promise<boolean> {
  const told = await askIfKnown(asker, () => demand('Get Features', getFeature(VOLATILE_WRITE_CACHE)))
  return told === undefined || (told.result & 1) !== 0
}

/** What can be said of a namespace that tells nothing now, from what is known of its size. */
export function untoldDisk(
  { size, blockSize }: { readonly size: number; readonly blockSize: number },
  { queueDepth, maxTransfer }: DiskOptions,
): Disk {
  return {
    limits: {
      size,
      blockSize,
      preferredBlockSize: blockSize,
      maxTransfer,
      queueDepth,
      writeCache: true,
      fua: true,
      trim: false,
      writeZeroes: false,
      readOnly: false,
    },
    ranges: {
      maxRanges: 1,
      maxRangeBlocks: 1,
      maxTrimBlocks: 1,
      maxZeroBlocks: 1,
      zeroesDeallocate: false,
      granularity: 1,
    },
    group: 0,
  }
}

// Without limits of the controller, no more than this is given away by one command, blocks.
const TRIM_LIMIT = 0x40_0000

/** What the data of a namespace and of its controller comes to. */
export function diskOf(
  { data }: Pick<Seen, 'data'>,
  { controller, transfer, zeroes, deallocate }: ControllerLimits,
  writeCache: boolean,
  options: DiskOptions,
): Disk {
  const blockSize = 2 ** data.blockShift
  const blocksOf = (bytes: number): number => Math.max(1, Math.floor(bytes / blockSize))
  const told = (value: number, otherwise: number): number => (value === 0 ? otherwise : Math.min(value, otherwise))
  const most = Math.min(blocksOf(Math.min(transfer, options.maxTransfer)), MAX_BLOCKS)
  return {
    limits: {
      size: data.blocks * blockSize,
      blockSize,
      preferredBlockSize: preferred(data.writeBlocks) * blockSize,
      maxTransfer: withinBoundaries(most, data.boundary) * blockSize,
      queueDepth: told(controller.maxCommands, options.queueDepth),
      writeCache,
      fua: true,
      trim: controller.deallocate,
      writeZeroes: controller.writeZeroes,
      readOnly: data.readOnly,
    },
    ranges: {
      maxRanges: told(deallocate.ranges, MAX_RANGES),
      maxRangeBlocks: told(deallocate.rangeBlocks, MAX_RANGE_BLOCKS),
      maxTrimBlocks: told(deallocate.blocks, TRIM_LIMIT),
      maxZeroBlocks: Math.min(blocksOf(zeroes), MAX_BLOCKS),
      zeroesDeallocate: data.zeroesRead && data.zeroesDeallocate,
      granularity: data.deallocateBlocks,
    },
    group: data.anaGroup,
  }
}

function preferred(blocks: number): number {
  return Number.isInteger(Math.log2(blocks)) ? blocks : 1
}

/**
 * A length at whose multiples I/O is cut so that what is aligned crosses no boundary (NOIOB) that it need not cross. What
 * is atomic is not longer than what is between two boundaries (NVM Command Set 1.1 §2.1.4), nor is a write ever cut shorter.
 */
function withinBoundaries(blocks: number, boundary: number): number {
  if (boundary === 0) return blocks
  if (blocks >= boundary) return blocks - (blocks % boundary)
  for (let part = blocks; part > blocks / 2; part--) if (boundary % part === 0) return part
  return blocks
}
