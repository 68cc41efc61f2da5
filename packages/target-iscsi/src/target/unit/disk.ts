import type { DeviceLimits, VolumeId } from '@blockbraid/core'
import { BlockError, Errno } from '@blockbraid/core'
import type { Capacity } from '../../scsi/capacity.ts'
import { decodeCapacity10, decodeCapacity16 } from '../../scsi/capacity.ts'
import * as cdb from '../../scsi/cdb.ts'
import type { PortIdentity } from '../../scsi/designators.ts'
import { portOf } from '../../scsi/designators.ts'
import { volumeIdOf } from '../../scsi/identity.ts'
import type { Inquiry } from '../../scsi/inquiry.ts'
import { decodeInquiry, isDisk } from '../../scsi/inquiry.ts'
import type { Mode } from '../../scsi/mode.ts'
import { decodeMode6, decodeMode10 } from '../../scsi/mode.ts'
import { decodeCommandSupport } from '../../scsi/opcodes.ts'
import type { BlockLimits, Provisioning } from '../../scsi/vpd.ts'
import {
  decodeBlockLimits,
  decodeIdentification,
  decodeProvisioning,
  decodeSerial,
  decodeSupportedPages,
  VpdPage,
  vpdLength,
} from '../../scsi/vpd.ts'
import type { Asker } from './ask.ts'
import { ask, askAll, askIfKnown, ScsiError } from './ask.ts'

/** Who a logical unit is. */
export interface Identity {
  readonly inquiry: Inquiry
  readonly volume: VolumeId
  readonly port: PortIdentity
  /** Unit serial number without the blanks around it; undefined where it tells none. */
  readonly serial: string | undefined
  /** Codes of the VPD pages that it has. */
  readonly pages: readonly number[]
}

/** How blocks are given back and zeroed. */
export interface RangeCommands {
  readonly unmap: boolean
  /** WRITE SAME with UNMAP: the long form, the short one, or none. */
  readonly writeSameUnmap: 'long' | 'short' | 'none'
  readonly writeSame: 'long' | 'short' | 'none'
  /** Unmapped blocks read as zeroes. */
  readonly unmapZeroes: boolean
  readonly maxUnmapBlocks: number
  readonly maxWriteSameBlocks: number
  /** Blocks; ranges are cut at multiples of it where they must be cut. */
  readonly granularity: number
}

/** What a logical unit can do now. */
export interface Disk {
  readonly limits: DeviceLimits
  readonly ranges: RangeCommands
  /** Whether 16-byte commands must be used. */
  readonly long: boolean
  /** Whether it said if it has a volatile write cache. */
  readonly tellsCache: boolean
}

/** Reads who the logical unit is; undefined where it is no disk. Rejects where it has no identity to be joined by. */
export async function readIdentity(asker: Asker): Promise<Identity | undefined> {
  const inquiry = decodeInquiry(await ask(asker, 'INQUIRY', cdb.inquiry()))
  if (!isDisk(inquiry)) return undefined
  const pages = await readPages(asker)
  const [identification, serialPage] = await readNames(asker, pages)
  const designators = identification === undefined ? [] : decodeIdentification(identification)
  const { volume, serial } = namesOf(designators, serialPage, inquiry)
  if (volume === undefined) {
    throw new BlockError('NOT_SUPPORTED', 'the logical unit has no identity: neither VPD page 0x83 nor 0x80 names it')
  }
  return { inquiry, volume, port: portOf(designators), serial, pages }
}

/** Codes of the VPD pages that the logical unit has now. */
export async function readPages(asker: Asker): Promise<readonly number[]> {
  const list = await askIfKnown(asker, 'INQUIRY page 0x00', cdb.inquiry(VpdPage.Supported))
  const told = (list && whole(() => decodeSupportedPages(list))) ?? []
  // A list without those that name it, or none at all, is not believed: each is asked for.
  const named = told.includes(VpdPage.Identification) || told.includes(VpdPage.Serial)
  return named ? told : [...told, VpdPage.Identification, VpdPage.Serial]
}

/** What a page says; undefined where it is not that page: it costs what it would have told, and nothing else. */
function whole<Page>(decode: () => Page): Page | undefined {
  try {
    return decode()
  } catch (error) {
    if (BlockError.is(error) && error.code === 'PROTOCOL') return undefined
    throw error
  }
}

/** Whether the logical unit still tells the same names; where it does not, or says nothing, all has to be read again. */
export async function isStill(asker: Asker, { inquiry, volume, serial, pages }: Identity): Promise<boolean> {
  const both = await readNames(asker, pages)
  // The first byte of each page tells, as that of the inquiry, whether a disk is there (SPC-4 §7.8).
  if (!both.some((page) => page !== undefined) || both.some((page) => page?.[0] !== undefined && page[0] !== 0)) {
    return false
  }
  const [identification, serialPage] = both
  const designators = identification === undefined ? [] : decodeIdentification(identification)
  const now = namesOf(designators, serialPage, inquiry)
  return now.volume === volume && now.serial === serial
}

/** VPD pages 83h and 80h, as far as there are such. */
function readNames(asker: Asker, pages: readonly number[]): Promise<[Uint8Array | undefined, Uint8Array | undefined]> {
  const page = async (code: number): Promise<Uint8Array | undefined> => {
    if (!pages.includes(code)) return undefined
    const what = `INQUIRY page 0x${code.toString(16)}`
    const first = await askIfKnown(asker, what, cdb.inquiry(code))
    if (first === undefined || vpdLength(first) <= first.length || first.length < 255) return first
    return askIfKnown(asker, what, cdb.inquiry(code, vpdLength(first)))
  }
  return askAll(asker, [() => page(VpdPage.Identification), () => page(VpdPage.Serial)])
}

function namesOf(
  designators: ReturnType<typeof decodeIdentification>,
  serialPage: Uint8Array | undefined,
  inquiry: Inquiry,
): { readonly volume: VolumeId | undefined; readonly serial: string | undefined } {
  const serial = serialPage === undefined ? undefined : decodeSerial(serialPage)
  const text = serial?.text.trim()
  return { volume: volumeIdOf(designators, serial?.bytes, inquiry), serial: text === '' ? undefined : text }
}

/** Vendor and model. */
export function productOf({ inquiry: { vendor, product } }: Identity): string {
  return `${vendor} ${product}`.trim()
}

/** Reads the size of a logical unit. */
export async function readCapacity(asker: Asker): Promise<Capacity> {
  const long = await askIfKnown(asker, 'READ CAPACITY(16)', cdb.readCapacity16())
  if (long !== undefined) return decodeCapacity16(long)
  const short = decodeCapacity10(await ask(asker, 'READ CAPACITY(10)', cdb.readCapacity10()))
  if (short !== undefined) return short
  throw new BlockError('NOT_SUPPORTED', 'the volume is too large for READ CAPACITY(10), and the target has no other')
}

/** Reads what a logical unit can do. */
export async function readDisk(
  asker: Asker,
  { pages }: Identity,
  options: { readonly queueDepth: number; readonly maxTransfer: number },
): Promise<Disk> {
  const vpd = async <Page>(code: number, decode: (bytes: Uint8Array) => Page): Promise<Page | undefined> => {
    if (!pages.includes(code)) return undefined
    const bytes = await askIfKnown(asker, `INQUIRY page 0x${code.toString(16)}`, cdb.inquiry(code))
    return bytes && whole(() => decode(bytes))
  }
  const [capacity, mode, blockLimits, provisioning, longSame, shortSame] = await askAll(asker, [
    () => readCapacity(asker),
    () => readMode(asker),
    () => vpd(VpdPage.BlockLimits, decodeBlockLimits),
    () => vpd(VpdPage.Provisioning, decodeProvisioning),
    () => hasOpcode(asker, 0x93),
    () => hasOpcode(asker, 0x41),
  ])
  const sames = (blockLimits?.maxWriteSame ?? 0) > 0
  const ranges = rangeCommands(capacity, blockLimits, provisioning, longSame ?? sames, shortSame ?? sames)
  return {
    limits: limitsOf(capacity, mode, blockLimits, ranges, options),
    ranges,
    long: capacity.blocks > 2 ** 32,
    tellsCache: mode?.writeCache !== undefined,
  }
}

/** What can be said of a disk that tells nothing now, from what is known of its size. */
export function untoldDisk(
  { size, blockSize }: { readonly size: number; readonly blockSize: number },
  options: { readonly queueDepth: number; readonly maxTransfer: number },
): Disk {
  const capacity = {
    blocks: size / blockSize,
    blockSize,
    size,
    physicalBlockSize: blockSize,
    alignedLba: 0,
    thin: false,
    zeroes: false,
    protection: 0,
  }
  const ranges = rangeCommands(capacity, undefined, undefined, false, false)
  return {
    limits: limitsOf(capacity, undefined, undefined, ranges, options),
    ranges,
    long: capacity.blocks > 2 ** 32,
    tellsCache: false,
  }
}

/** Bits of the inquiry's `tpgs`. */
export const EXPLICIT_ACCESS = 2

/** Reads whether changes are refused. */
export async function readProtection(asker: Asker): Promise<boolean> {
  return (await readMode(asker))?.writeProtected ?? false
}

// Not told means that it must be taken for granted: a flush too many does no harm.
function hasCache(mode: Mode | undefined): boolean {
  return mode?.writeCache ?? true
}

async function readMode(asker: Asker): Promise<Mode | undefined> {
  try {
    return await askMode(asker)
  } catch (error) {
    // Refused where another host has reserved the disk, which this one may join only over an open path.
    if (error instanceof ScsiError && error.verdict.status === Errno.EBADE) return undefined
    throw error
  }
}

async function askMode(asker: Asker): Promise<Mode | undefined> {
  const long = await askIfKnown(asker, 'MODE SENSE(10)', cdb.modeSense10(cdb.ModePageCode.Caching))
  if (long !== undefined && long.length >= 8) return decodeMode10(long)
  // Targets without a caching page may refuse it, and tell of write protection with any other.
  const short = await askIfKnown(asker, 'MODE SENSE(6)', cdb.modeSense6(cdb.ModePageCode.All))
  return short === undefined || short.length < 4 ? undefined : decodeMode6(short)
}

/** Whether it knows a command; undefined where it does not say. */
async function hasOpcode(asker: Asker, opcode: number): Promise<boolean | undefined> {
  const told = await askIfKnown(asker, 'REPORT SUPPORTED OPERATION CODES', cdb.reportSupportedOpcode(opcode))
  const support = told === undefined ? 'unknown' : decodeCommandSupport(told)
  return support === 'unknown' ? undefined : support === 'supported'
}

// Without limits of the target, no more than this is given away by one command, blocks.
const RANGE_LIMIT = 0x40_0000

function rangeCommands(
  capacity: Capacity,
  limits: BlockLimits | undefined,
  provisioning: Provisioning | undefined,
  longSame: boolean,
  shortSame: boolean,
): RangeCommands {
  const most = (told: number | undefined, otherwise: number): number =>
    told === undefined || told === 0 ? otherwise : Math.min(told, 0xffff_ffff)
  const sames = (long: boolean | undefined, short: boolean | undefined): 'long' | 'short' | 'none' =>
    long === true ? 'long' : short === true && capacity.blocks <= 2 ** 32 ? 'short' : 'none'
  return {
    unmap: provisioning?.lbpu === true && (limits?.maxUnmapBlocks ?? 0) > 0 && (limits?.maxUnmapDescriptors ?? 0) > 0,
    writeSameUnmap: sames(provisioning?.lbpws, provisioning?.lbpws10),
    writeSame: sames(longSame, shortSame),
    unmapZeroes: provisioning?.lbprz === true || capacity.zeroes,
    maxUnmapBlocks: most(limits?.maxUnmapBlocks, RANGE_LIMIT),
    maxWriteSameBlocks: most(limits?.maxWriteSame, RANGE_LIMIT),
    granularity: Math.max(1, limits?.unmapGranularity ?? 1),
  }
}

function limitsOf(
  capacity: Capacity,
  mode: Mode | undefined,
  blockLimits: BlockLimits | undefined,
  ranges: RangeCommands,
  options: { readonly queueDepth: number; readonly maxTransfer: number },
): DeviceLimits {
  const { blockSize, size } = capacity
  const told = (blockLimits?.maxTransfer ?? 0) * blockSize
  const most = Math.min(told === 0 ? options.maxTransfer : told, options.maxTransfer)
  const preferred = Math.max(capacity.physicalBlockSize, (blockLimits?.optimalGranularity ?? 0) * blockSize)
  return {
    size,
    blockSize,
    preferredBlockSize: Number.isInteger(Math.log2(preferred)) ? preferred : capacity.physicalBlockSize,
    maxTransfer: Math.max(blockSize, most - (most % blockSize)),
    queueDepth: options.queueDepth,
    writeCache: hasCache(mode),
    fua: mode?.dpofua ?? false,
    trim: ranges.unmap || ranges.writeSameUnmap !== 'none',
    writeZeroes: ranges.writeSame !== 'none',
    readOnly: mode?.writeProtected ?? false,
  }
}
