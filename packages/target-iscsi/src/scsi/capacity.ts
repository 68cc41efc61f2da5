import { BlockError } from '@blockbraid/core'
import { get16, get32, get64 } from '@blockbraid/wire'

/** Size of a logical unit, as READ CAPACITY tells it. */
export interface Capacity {
  /** Blocks there are. */
  readonly blocks: number
  /** Bytes of a block. */
  readonly blockSize: number
  /** Bytes; `blocks` times `blockSize`, below 2 ** 53. */
  readonly size: number
  /** Bytes of a physical block; `blockSize` where not told. */
  readonly physicalBlockSize: number
  /** First block that begins a physical one. */
  readonly alignedLba: number
  /** Blocks can be unmapped (LBPME). */
  readonly thin: boolean
  /** Unmapped blocks read as zeroes (LBPRZ). */
  readonly zeroes: boolean
  /** Type of protection information that is on, from 1; 0 where none is. */
  readonly protection: number
}

/**
 * Decodes READ CAPACITY(10) data (SBC-4). Undefined where the volume is too large for it and
 * READ CAPACITY(16) must be used. PROTOCOL when cut, NOT_SUPPORTED for a block size that core does not know.
 */
export function decodeCapacity10(bytes: Uint8Array): Capacity | undefined {
  if (bytes.length < 8) throw tooShort(10, bytes.length)
  const last = get32(bytes, 0)
  return last === 0xffff_ffff ? undefined : capacity(last, get32(bytes, 4), 0, 0, 0)
}

/**
 * Decodes READ CAPACITY(16) data (SBC-4); what follows the first 12 bytes may be missing. PROTOCOL
 * when cut, NOT_SUPPORTED for a block size that core does not know, TOO_LARGE from 2 ** 53 bytes.
 */
export function decodeCapacity16(bytes: Uint8Array): Capacity {
  if (bytes.length < 12) throw tooShort(16, bytes.length)
  const flags = bytes.length < 16 ? 0 : get16(bytes, 14)
  return capacity(get64(bytes, 0), get32(bytes, 8), bytes[12] ?? 0, bytes[13] ?? 0, flags)
}

function capacity(last: number, blockSize: number, protection: number, exponents: number, flags: number): Capacity {
  if (blockSize < 512 || blockSize > 65536 || (blockSize & (blockSize - 1)) !== 0) {
    throw new BlockError('NOT_SUPPORTED', `block size ${blockSize} is not a power of two from 512 to 65536`)
  }
  const blocks = last + 1
  const size = blocks * blockSize
  if (size >= 2 ** 53) throw new BlockError('TOO_LARGE', `a volume of ${size} bytes is not below 2 ** 53`)
  return {
    blocks,
    blockSize,
    size,
    physicalBlockSize: blockSize * 2 ** (exponents & 0x0f),
    alignedLba: flags & 0x3fff,
    thin: (flags & 0x8000) !== 0,
    zeroes: (flags & 0x4000) !== 0,
    protection: (protection & 1) === 0 ? 0 : 1 + ((protection >>> 1) & 7),
  }
}

function tooShort(form: number, length: number): BlockError {
  return new BlockError('PROTOCOL', `READ CAPACITY(${form}) data of ${length} bytes is too short`)
}
