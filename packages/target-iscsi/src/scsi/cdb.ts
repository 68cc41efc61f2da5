import { put16, put32, put64 } from '@blockbraid/wire'

/** A command with its data: bytes to send, or how many to receive at most (0: no data). */
export interface ScsiCommand {
  /** 6, 10, 12 or 16 bytes. */
  readonly cdb: Uint8Array
  /** Bytes to send, or how many to receive at most; 0: no data. */
  readonly data: Uint8Array | number
}

/** `op` of {@link putReadWrite}: READ. */
export const READ = 0x08
/** `op` of {@link putReadWrite}: WRITE. */
export const WRITE = 0x0a

/** Most blocks of a READ(10), WRITE(10) or WRITE SAME(10). */
export const MAX_SHORT_BLOCKS = 0xffff
/** Most blocks of a READ(16), WRITE(16), WRITE SAME(16) or an UNMAP descriptor. */
export const MAX_LONG_BLOCKS = 0xffff_ffff
/** Most descriptors that the 16-bit length of an UNMAP leaves room for. */
export const MAX_UNMAP_RANGES = 4095

/** Whether a range needs the 16-byte form of a command. */
export function needsLong(lba: number, blocks: number): boolean {
  return lba + blocks > 2 ** 32 || blocks > MAX_SHORT_BLOCKS
}

/**
 * Writes READ or WRITE (SBC-4), 16 bytes with the rest zero: the 16-byte form when
 * `long`, else the 10-byte form. `lba` is below 2 ** 53 (2 ** 32 in the short form).
 */
export function putReadWrite(
  out: Uint8Array,
  at: number,
  op: number,
  long: boolean,
  fua: boolean,
  lba: number,
  blocks: number,
): void {
  putRange(out, at, op | (long ? 0x80 : 0x20), long, lba, blocks)
  if (fua) out[at + 1] = 0x08
}

/** Writes SYNCHRONIZE CACHE of the whole medium (SBC-4), 16 bytes with the rest zero. */
export function putSyncCache(out: Uint8Array, at: number, long: boolean): void {
  putRange(out, at, long ? 0x91 : 0x35, long, 0, 0)
}

/** Flags of {@link putWriteSame}: bits of byte 1. */
export const WriteSameFlag = {
  /** The blocks may be unmapped where they then read as what was to be written. */
  Unmap: 0x08,
  /** No data-out buffer: zeroes are meant; the 16-byte form alone has it. */
  NoData: 0x01,
} as const

/**
 * Writes WRITE SAME (SBC-4), 16 bytes with the rest zero. Zero blocks (up to
 * the end of the medium) and more than the form can tell are a TypeError.
 */
export function putWriteSame(
  out: Uint8Array,
  at: number,
  long: boolean,
  flags: number,
  lba: number,
  blocks: number,
): void {
  const most = long ? MAX_LONG_BLOCKS : MAX_SHORT_BLOCKS
  if (!(blocks > 0 && blocks <= most)) throw new TypeError(`blocks: ${blocks} is not from 1 to ${most}`)
  putRange(out, at, long ? 0x93 : 0x41, long, lba, blocks)
  out[at + 1] = flags
}

/** Writes UNMAP (SBC-4), 16 bytes with the rest zero; the data has {@link unmapLength} bytes. */
export function putUnmap(out: Uint8Array, at: number, ranges: number): void {
  out.fill(0, at, at + 16)
  out[at] = 0x42
  put16(out, at + 7, unmapLength(ranges))
}

/** Bytes of the data of an UNMAP. */
export function unmapLength(ranges: number): number {
  return 8 + 16 * ranges
}

/** Writes the head of the data of an UNMAP: its first 8 bytes. */
export function putUnmapHead(out: Uint8Array, at: number, ranges: number): void {
  put16(out, at, 6 + 16 * ranges)
  put16(out, at + 2, 16 * ranges)
  put32(out, at + 4, 0)
}

/** Writes descriptor number `index` into the data of an UNMAP that begins at `at`. */
export function putUnmapRange(out: Uint8Array, at: number, index: number, lba: number, blocks: number): void {
  const from = at + unmapLength(index)
  put64(out, from, lba)
  put32(out, from + 8, blocks)
  put32(out, from + 12, 0)
}

function putRange(out: Uint8Array, at: number, opcode: number, long: boolean, lba: number, blocks: number): void {
  out[at] = opcode
  out[at + 1] = 0
  if (long) {
    put64(out, at + 2, lba)
    put32(out, at + 10, blocks)
    out[at + 14] = 0
  } else {
    put32(out, at + 2, lba)
    out[at + 6] = 0
    put16(out, at + 7, blocks)
    put32(out, at + 9, 0)
    put16(out, at + 13, 0)
  }
  out[at + 15] = 0
}

/** A run of blocks. */
export interface BlockRange {
  readonly lba: number
  readonly blocks: number
}

/** SYNCHRONIZE CACHE of the whole medium. */
export function syncCache(long = false): ScsiCommand {
  return make(long ? 16 : 10, 0, (cdb) => putSyncCache(cdb, 0, long))
}

/** UNMAP of up to {@link MAX_UNMAP_RANGES} ranges. */
export function unmap(ranges: readonly BlockRange[]): ScsiCommand {
  const count = ranges.length
  if (count > MAX_UNMAP_RANGES) throw new TypeError(`ranges: ${count} are more than ${MAX_UNMAP_RANGES}`)
  const data = new Uint8Array(unmapLength(count))
  putUnmapHead(data, 0, count)
  ranges.forEach(({ lba, blocks }, index) => {
    putUnmapRange(data, 0, index, lba, blocks)
  })
  return make(10, data, (cdb) => putUnmap(cdb, 0, count))
}

/** TEST UNIT READY (SPC-5). */
export function testUnitReady(): ScsiCommand {
  return make(6, 0, () => {})
}

/** INQUIRY (SPC-5), standard data, or a VPD page when `page` is given. Default 255 bytes. */
export function inquiry(page?: number, length = 255): ScsiCommand {
  return make(6, length, (cdb) => {
    cdb[0] = 0x12
    cdb[1] = page === undefined ? 0 : 1
    cdb[2] = page ?? 0
    put16(cdb, 3, checked('length', length, 0xffff))
  })
}

/** REPORT LUNS (SPC-5) of every logical unit that is no well-known one. Default 8 KiB: 1023 LUNs. */
export function reportLuns(length = 8192): ScsiCommand {
  return make(12, length, (cdb) => {
    cdb[0] = 0xa0
    put32(cdb, 6, checked('length', length, 0xffff_ffff))
  })
}

/** READ CAPACITY(10) (SBC-4). */
export function readCapacity10(): ScsiCommand {
  return make(10, 8, (cdb) => {
    cdb[0] = 0x25
  })
}

/** READ CAPACITY(16) (SBC-4). */
export function readCapacity16(): ScsiCommand {
  return make(16, 32, (cdb) => {
    cdb[0] = 0x9e
    cdb[1] = 0x10
    put32(cdb, 10, 32)
  })
}

/** Page codes of MODE SENSE. */
export const ModePageCode = { Caching: 0x08, Control: 0x0a, All: 0x3f } as const

/** MODE SENSE(6) (SPC-5) of the current values, without block descriptors. Default 255 bytes. */
export function modeSense6(page: number, length = 255): ScsiCommand {
  return make(6, length, (cdb) => {
    cdb[0] = 0x1a
    cdb[1] = 0x08
    cdb[2] = checked('page', page, 0x3f)
    cdb[4] = checked('length', length, 0xff)
  })
}

/** MODE SENSE(10) (SPC-5) of the current values, without block descriptors. Default 1 KiB. */
export function modeSense10(page: number, length = 1024): ScsiCommand {
  return make(10, length, (cdb) => {
    cdb[0] = 0x5a
    cdb[1] = 0x08
    cdb[2] = checked('page', page, 0x3f)
    put16(cdb, 7, checked('length', length, 0xffff))
  })
}

/** REPORT TARGET PORT GROUPS (SPC-5), with the extended header or without. Default 4 KiB, without. */
export function reportTargetPortGroups(length = 4096, extended = false): ScsiCommand {
  return make(12, length, (cdb) => {
    cdb[0] = 0xa3
    cdb[1] = extended ? 0x2a : 0x0a
    put32(cdb, 6, checked('length', length, 0xffff_ffff))
  })
}

/** A state to set: 0 optimized, 1 non-optimized, 2 standby, 3 unavailable. */
export interface PortGroupState {
  /** Number of the target port group, below 65536. */
  readonly group: number
  /** The state it is to have: one of the numbers above. */
  readonly state: number
}

/** SET TARGET PORT GROUPS (SPC-5). */
export function setTargetPortGroups(groups: readonly PortGroupState[]): ScsiCommand {
  const data = new Uint8Array(4 + 4 * groups.length)
  groups.forEach(({ group, state }, index) => {
    data[4 + 4 * index] = checked('state', state, 0x0f)
    put16(data, 6 + 4 * index, checked('group', group, 0xffff))
  })
  return make(12, data, (cdb) => {
    cdb[0] = 0xa4
    cdb[1] = 0x0a
    put32(cdb, 6, data.length)
  })
}

/** REPORT SUPPORTED OPERATION CODES (SPC-5) of one command, with its service action where it has one. */
export function reportSupportedOpcode(opcode: number, serviceAction?: number): ScsiCommand {
  return make(12, 64, (cdb) => {
    cdb[0] = 0xa3
    cdb[1] = 0x0c
    cdb[2] = serviceAction === undefined ? 1 : 2
    cdb[3] = checked('opcode', opcode, 0xff)
    put16(cdb, 4, checked('serviceAction', serviceAction ?? 0, 0xffff))
    put32(cdb, 6, 64)
  })
}

/** Builds a command of `size` bytes. */
export function make(size: number, data: Uint8Array | number, fill: (cdb: Uint8Array) => void): ScsiCommand {
  const bytes = new Uint8Array(16)
  fill(bytes)
  return { cdb: bytes.subarray(0, size), data }
}

/** `value` when it is an integer from 0 to `max`, else a TypeError that names the field. */
export function checked(field: string, value: number, max: number): number {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new TypeError(`${field}: ${value} is not an integer from 0 to ${max}`)
  }
  return value
}
