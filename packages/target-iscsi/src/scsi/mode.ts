import { BlockError } from '@blockbraid/core'
import { get16 } from '@blockbraid/wire'
import { ModePageCode } from './cdb.ts'

/** A mode page as sent. */
export interface ModePage {
  /** Page code, below 64: 0x08 is caching, 0x0a control. */
  readonly code: number
  /** 0 for a page without subpages. */
  readonly subpage: number
  /** With its head. */
  readonly bytes: Uint8Array
}

/** What MODE SENSE tells of a disk (SBC-4). */
export interface Mode {
  /** Writes are refused. */
  readonly writeProtected: boolean
  /** FUA and DPO are supported. */
  readonly dpofua: boolean
  /** A volatile write cache is on (WCE); undefined where the caching page is not there. */
  readonly writeCache: boolean | undefined
  /** The pages in the order of the answer. */
  readonly pages: readonly ModePage[]
}

/** Decodes MODE SENSE(6) data (SPC-5). A cut page is left out; PROTOCOL without a whole head. */
export function decodeMode6(bytes: Uint8Array): Mode {
  if (bytes.length < 4) throw tooShort(6, bytes.length)
  return mode(bytes, 1 + bytes[0]!, bytes[2]!, 4 + bytes[3]!)
}

/** Decodes MODE SENSE(10) data (SPC-5). A cut page is left out; PROTOCOL without a whole head. */
export function decodeMode10(bytes: Uint8Array): Mode {
  if (bytes.length < 8) throw tooShort(10, bytes.length)
  return mode(bytes, 2 + get16(bytes, 0), bytes[3]!, 8 + get16(bytes, 6))
}

function mode(bytes: Uint8Array, length: number, flags: number, from: number): Mode {
  const pages = readPages(bytes.subarray(0, length), from)
  const caching = pages.find((page) => page.code === ModePageCode.Caching && page.subpage === 0)
  return {
    writeProtected: (flags & 0x80) !== 0,
    dpofua: (flags & 0x10) !== 0,
    writeCache: caching === undefined || caching.bytes.length < 3 ? undefined : (caching.bytes[2]! & 0x04) !== 0,
    pages,
  }
}

function readPages(bytes: Uint8Array, from: number): readonly ModePage[] {
  const pages: ModePage[] = []
  let at = from
  while (at + 2 <= bytes.length) {
    const long = (bytes[at]! & 0x40) !== 0
    if (long && at + 4 > bytes.length) break
    const end = at + (long ? 4 + get16(bytes, at + 2) : 2 + bytes[at + 1]!)
    if (end > bytes.length) break
    pages.push({ code: bytes[at]! & 0x3f, subpage: long ? bytes[at + 1]! : 0, bytes: bytes.subarray(at, end) })
    at = end
  }
  return pages
}

function tooShort(form: number, length: number): BlockError {
  return new BlockError('PROTOCOL', `MODE SENSE(${form}) data of ${length} bytes is too short`)
}
