import { needInteger } from './arguments.ts'

/** An attribute to send; a list makes it nested. */
export interface NetlinkAttribute {
  /** Number of it in its family. */
  readonly type: number
  /** Payload, native-endian, or what is nested. */
  readonly value: Uint8Array | readonly NetlinkAttribute[]
}

/** A received attribute. */
export interface ParsedAttribute {
  /** Number of it in its family, without flags. */
  readonly type: number
  /** Payload, native-endian. */
  readonly value: Buffer
}

const NLA_F_NESTED = 0x8000
const TYPE_MASK = 0x3fff
const HEADER = 4
const MAX_ATTRIBUTE = 0xffff

/** An attribute of one byte. TypeError for what does not fit. */
export function u8(type: number, value: number): NetlinkAttribute {
  needInteger(`attribute ${type}`, value, 0, 0xff)
  return { type, value: Uint8Array.of(value) }
}

/** A 32-bit attribute. TypeError for what does not fit. */
export function u32(type: number, value: number): NetlinkAttribute {
  needInteger(`attribute ${type}`, value, 0, 0xffffffff)
  return { type, value: new Uint8Array(Uint32Array.of(value).buffer) }
}

/** A 64-bit attribute. TypeError unless `value` is from 0 to 2 ** 53 - 1. */
export function u64(type: number, value: number): NetlinkAttribute {
  needInteger(`attribute ${type}`, value, 0, Number.MAX_SAFE_INTEGER)
  return { type, value: new Uint8Array(BigUint64Array.of(BigInt(value)).buffer) }
}

/** A string, sent with its zero byte. */
export function text(type: number, value: string): NetlinkAttribute {
  return { type, value: Buffer.from(`${value}\0`) }
}

/** A list of attributes as one. */
export function nested(type: number, list: readonly NetlinkAttribute[]): NetlinkAttribute {
  return { type, value: list }
}

/** Attributes in their wire form, each padded to 4 bytes. RangeError for one above 65535 bytes. */
export function encodeAttributes(attributes: readonly NetlinkAttribute[]): Buffer {
  return Buffer.concat(attributes.flatMap(encodeAttribute))
}

function encodeAttribute({ type, value }: NetlinkAttribute): Uint8Array[] {
  const isNested = !(value instanceof Uint8Array)
  const bytes = isNested ? encodeAttributes(value) : value
  const length = HEADER + bytes.length
  if (length > MAX_ATTRIBUTE) throw new RangeError(`netlink attribute ${type} has ${bytes.length} bytes, at most 65531`)
  const header = Uint16Array.of(length, isNested ? type | NLA_F_NESTED : type)
  return [new Uint8Array(header.buffer), bytes, new Uint8Array(-length & 3)]
}

/** Splits the value of a nested attribute. What is cut off at the end is left out. */
export function parseAttributes(value: Uint8Array): ParsedAttribute[] {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  const found: ParsedAttribute[] = []
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const length = readU16(bytes, at)
    if (length < HEADER || at + length > bytes.length) break
    found.push({ type: readU16(bytes, at + 2) & TYPE_MASK, value: bytes.subarray(at + HEADER, at + length) })
    at += (length + 3) & ~3
  }
  return found
}

// x64 and arm64 are little-endian, as is every machine that Node supports Linux on but s390x.
function readU16(bytes: Buffer, at: number): number {
  return bytes.readUInt16LE(at)
}
