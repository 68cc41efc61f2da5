import { get16le, get32le, get64le } from '@blockbraid/wire'
import { IDENTIFY_LENGTH } from './admin.ts'
import { need } from './bytes.ts'

/** Identify Namespace (NVM Command Set 1.1 §4.1.5.1), as far as this package looks at it. */
export interface Namespace {
  /** Its size, blocks (NSZE); above 2 ** 53 it is rounded. */
  readonly blocks: number
  /** How many of them can be allocated (NCAP); above 2 ** 53 it is rounded. */
  readonly capacity: number
  /** Bytes of a block as a power of two (LBADS). */
  readonly blockShift: number
  /** Bytes of metadata of a block (MS). */
  readonly metadata: number
  /** Type of protection information; 0: none (DPS). */
  readonly protection: number
  /** Blocks that are thinly provisioned (NSFEAT bit 0). */
  readonly thin: boolean
  /** More than one controller may have it (NMIC). */
  readonly shared: boolean
  /** Types of reservations, bits of RESCAP. */
  readonly reservations: number
  /** Deallocated blocks read as zeroes (DLFEAT). */
  readonly zeroesRead: boolean
  /** Write Zeroes may deallocate (DLFEAT). */
  readonly zeroesDeallocate: boolean
  /** Blocks that are written whole or not at all when power fails (NAWUPF); undefined: as the controller says. */
  readonly atomicBlocks: number | undefined
  /** Blocks between boundaries that I/O should not cross (NOIOB); 0: it does not say. */
  readonly boundary: number
  /** Blocks that writes are best made of (NPWG); 1 where not told. */
  readonly writeBlocks: number
  /** Blocks that are best deallocated together (NPDG); 1 where not told. */
  readonly deallocateBlocks: number
  /** ANA group; 0: none. */
  readonly anaGroup: number
  /** It is write protected (NSATTR bit 0). */
  readonly readOnly: boolean
  /** NGUID; zeroes where there is none. */
  readonly nguid: Uint8Array
  /** EUI-64; zeroes where there is none. */
  readonly eui64: Uint8Array
}

const HAS_ATOMICS = 0x02
const HAS_HINTS = 0x10

/** Decodes Identify Namespace. PROTOCOL when cut. */
export function decodeNamespace(bytes: Uint8Array): Namespace {
  need(bytes, IDENTIFY_LENGTH, 'Identify Namespace')
  const features = bytes[24]!
  const flbas = bytes[26]!
  const format = 128 + 4 * ((flbas & 0x0f) | ((flbas >>> 1) & 0x30))
  const deallocated = bytes[33]!
  const hints = (features & HAS_HINTS) !== 0
  return {
    blocks: get64le(bytes, 0),
    capacity: get64le(bytes, 8),
    blockShift: bytes[format + 2]!,
    metadata: get16le(bytes, format),
    protection: bytes[29]! & 7,
    thin: (features & 1) !== 0,
    shared: (bytes[30]! & 1) !== 0,
    reservations: bytes[31]!,
    zeroesRead: (deallocated & 7) === 1,
    zeroesDeallocate: (deallocated & 8) !== 0,
    atomicBlocks: (features & HAS_ATOMICS) === 0 ? undefined : get16le(bytes, 36) + 1,
    boundary: get16le(bytes, 46),
    writeBlocks: hints ? get16le(bytes, 64) + 1 : 1,
    deallocateBlocks: hints ? get16le(bytes, 68) + 1 : 1,
    anaGroup: get32le(bytes, 92),
    readOnly: (bytes[99]! & 1) !== 0,
    nguid: bytes.subarray(104, 120),
    eui64: bytes.subarray(120, 128),
  }
}
