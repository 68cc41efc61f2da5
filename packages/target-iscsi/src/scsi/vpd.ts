import { BlockError } from '@blockbraid/core'
import { get16, get32, get64 } from '@blockbraid/wire'
import { printable, slice } from './bytes.ts'
import type { Designator } from './designators.ts'
import { decodeDesignators } from './designators.ts'

/** Codes of the vital product data pages that are decoded here (SPC-5, SBC-4). */
export const VpdPage = {
  /** Supported pages. */
  Supported: 0x00,
  /** Unit serial number. */
  Serial: 0x80,
  /** Device identification: the designators. */
  Identification: 0x83,
  /** Block limits. */
  BlockLimits: 0xb0,
  /** Block device characteristics. */
  Characteristics: 0xb1,
  /** Logical block provisioning. */
  Provisioning: 0xb2,
} as const

/** Bytes of the whole page by its head, to read it again when it was cut; 0 where the head is not whole. */
export function vpdLength(bytes: Uint8Array): number {
  return bytes.length < 4 ? 0 : 4 + get16(bytes, 2)
}

/** The page behind its head of 4 bytes, as far as it is there. PROTOCOL where it is another page or no head. */
export function vpdBody(bytes: Uint8Array, page: number): Uint8Array {
  if (bytes.length < 4) {
    throw new BlockError('PROTOCOL', `VPD page ${pageHex(page)} of ${bytes.length} bytes is too short`)
  }
  if (bytes[1] !== page) {
    throw new BlockError('PROTOCOL', `VPD page ${pageHex(page)} was asked for, ${pageHex(bytes[1]!)} came`)
  }
  return slice(bytes, 4, vpdLength(bytes))
}

/** Decodes page 0x00: the codes of the pages there are. */
export function decodeSupportedPages(bytes: Uint8Array): readonly number[] {
  return [...vpdBody(bytes, VpdPage.Supported)]
}

/** Unit serial number. */
export interface Serial {
  /** As sent. */
  readonly bytes: Uint8Array
  /** For people. */
  readonly text: string
}

/** Decodes page 0x80. */
export function decodeSerial(bytes: Uint8Array): Serial {
  const body = vpdBody(bytes, VpdPage.Serial)
  return { bytes: body, text: printable(body) }
}

/** Decodes page 0x83: the whole designators of a cut page. */
export function decodeIdentification(bytes: Uint8Array): readonly Designator[] {
  return decodeDesignators(vpdBody(bytes, VpdPage.Identification))
}

/** Block limits, page 0xB0, in blocks. 0 means not told or no limit; fields of a cut page are 0 as well. */
export interface BlockLimits {
  /** WRITE SAME of zero blocks is refused. */
  readonly wsnz: boolean
  /** Blocks of one COMPARE AND WRITE, at most; 0: it is not supported, or not told. */
  readonly maxCompareAndWrite: number
  /** Transfers are best a multiple of this. */
  readonly optimalGranularity: number
  /** Blocks of one transfer, at most. */
  readonly maxTransfer: number
  /** Blocks of one transfer beyond which it may become slow. */
  readonly optimalTransfer: number
  /** Blocks of one UNMAP in all its descriptors; 0: UNMAP is not supported, or not told by an old page. */
  readonly maxUnmapBlocks: number
  /** Descriptors of one UNMAP, at most; 0: UNMAP is not supported, or not told by an old page. */
  readonly maxUnmapDescriptors: number
  /** Blocks of a granule: ranges to unmap are best a multiple of this. */
  readonly unmapGranularity: number
  /** First block of a granule; undefined where not told. */
  readonly unmapAlignment: number | undefined
  /** At most 2 ** 53 - 1 is told. */
  readonly maxWriteSame: number
}

/** Decodes page 0xB0. */
export function decodeBlockLimits(bytes: Uint8Array): BlockLimits {
  const body = vpdBody(bytes, VpdPage.BlockLimits)
  const at = (offset: number): number => (offset + 4 <= body.length ? get32(body, offset) : 0)
  const alignment = at(28)
  return {
    wsnz: ((body[0] ?? 0) & 1) !== 0,
    maxCompareAndWrite: body[1] ?? 0,
    optimalGranularity: body.length < 4 ? 0 : get16(body, 2),
    maxTransfer: at(4),
    optimalTransfer: at(8),
    maxUnmapBlocks: at(16),
    maxUnmapDescriptors: at(20),
    unmapGranularity: at(24),
    unmapAlignment: alignment >= 2 ** 31 ? alignment - 2 ** 31 : undefined,
    maxWriteSame: body.length < 40 ? 0 : Math.min(get64(body, 32), Number.MAX_SAFE_INTEGER),
  }
}

/** Block device characteristics, page 0xB1. */
export interface Characteristics {
  /** Revolutions a minute; 0 not told, 1 nothing turns. */
  readonly rotationRate: number
  /** Zoned model: 0 none told, 1 host-aware, 2 device-managed. */
  readonly zoned: number
}

/** Decodes page 0xB1. */
export function decodeCharacteristics(bytes: Uint8Array): Characteristics {
  const body = vpdBody(bytes, VpdPage.Characteristics)
  return {
    rotationRate: body.length < 2 ? 0 : get16(body, 0),
    zoned: ((body[4] ?? 0) >>> 4) & 3,
  }
}

/** Logical block provisioning, page 0xB2. */
export interface Provisioning {
  /** UNMAP is supported. */
  readonly lbpu: boolean
  /** WRITE SAME(16) with UNMAP is supported. */
  readonly lbpws: boolean
  /** WRITE SAME(10) with UNMAP is supported. */
  readonly lbpws10: boolean
  /** Unmapped blocks read as zeroes. */
  readonly lbprz: boolean
  /** 0 not told, 1 resource provisioned, 2 thin. */
  readonly type: number
  /** A threshold is counted in sets of 2 ** this many blocks; 0: none. */
  readonly thresholdExponent: number
}

/** Decodes page 0xB2. */
export function decodeProvisioning(bytes: Uint8Array): Provisioning {
  const body = vpdBody(bytes, VpdPage.Provisioning)
  const flags = body[1] ?? 0
  return {
    lbpu: (flags & 0x80) !== 0,
    lbpws: (flags & 0x40) !== 0,
    lbpws10: (flags & 0x20) !== 0,
    lbprz: (flags & 0x04) !== 0,
    type: (body[2] ?? 0) & 7,
    thresholdExponent: body[0] ?? 0,
  }
}

/** A decoded page of any code; one that is not known here has its bytes alone. */
export type Vpd =
  | {
      /** `VpdPage.Supported`. */
      readonly page: 0x00
      /** Codes of the pages there are. */
      readonly supported: readonly number[]
    }
  | {
      /** `VpdPage.Serial`. */
      readonly page: 0x80
      /** Unit serial number. */
      readonly serial: Serial
    }
  | {
      /** `VpdPage.Identification`. */
      readonly page: 0x83
      /** The designators in the order of the page. */
      readonly designators: readonly Designator[]
    }
  | {
      /** `VpdPage.BlockLimits`. */
      readonly page: 0xb0
      /** Block limits. */
      readonly limits: BlockLimits
    }
  | {
      /** `VpdPage.Characteristics`. */
      readonly page: 0xb1
      /** Block device characteristics. */
      readonly characteristics: Characteristics
    }
  | {
      /** `VpdPage.Provisioning`. */
      readonly page: 0xb2
      /** Logical block provisioning. */
      readonly provisioning: Provisioning
    }
  | {
      /** Code of the page. */
      readonly page: number
      /** The page behind its head of 4 bytes. */
      readonly bytes: Uint8Array
    }

/** Decodes the page `page`. PROTOCOL where another one came. */
export function decodeVpd(page: number, bytes: Uint8Array): Vpd {
  switch (page) {
    case VpdPage.Supported:
      return { page, supported: decodeSupportedPages(bytes) }
    case VpdPage.Serial:
      return { page, serial: decodeSerial(bytes) }
    case VpdPage.Identification:
      return { page, designators: decodeIdentification(bytes) }
    case VpdPage.BlockLimits:
      return { page, limits: decodeBlockLimits(bytes) }
    case VpdPage.Characteristics:
      return { page, characteristics: decodeCharacteristics(bytes) }
    case VpdPage.Provisioning:
      return { page, provisioning: decodeProvisioning(bytes) }
    default:
      return { page, bytes: vpdBody(bytes, page) }
  }
}

function pageHex(page: number): string {
  return `0x${page.toString(16).padStart(2, '0')}`
}
