import { get16le, get32le, put16le, put32le } from '@blockbraid/wire'
import { PduType } from '../pdu/types.ts'

/** What a PDU is replaced by. @inline */
type Replacement = (pdu: Buffer) => readonly Uint8Array[]

const LAST = 0x04
const SUCCESS = 0x08
const DIGESTS = 0x03
const DATA_HEADER = 24

/** Changes a copy. */
function changed(pdu: Buffer, change: (copy: Buffer) => void): readonly Uint8Array[] {
  const copy = Buffer.from(pdu)
  change(copy)
  return [copy]
}

/** An R2T for a command. */
function r2tOf(cid: number, tag: number, offset: number, length: number): Buffer {
  const pdu = Buffer.alloc(DATA_HEADER)
  pdu.set([PduType.r2t, 0, DATA_HEADER, 0])
  put32le(pdu, 4, DATA_HEADER)
  put16le(pdu, 8, cid)
  put16le(pdu, 10, tag)
  put32le(pdu, 12, offset)
  put32le(pdu, 16, length)
  return pdu
}

/** A C2HData for a command, with its data. */
function dataOf(cid: number, flags: number, offset: number, data: Uint8Array): Buffer {
  const pdu = Buffer.alloc(DATA_HEADER)
  pdu.set([PduType.c2hData, flags, DATA_HEADER, DATA_HEADER])
  put32le(pdu, 4, DATA_HEADER + data.length)
  put16le(pdu, 8, cid)
  put32le(pdu, 12, offset)
  put32le(pdu, 16, data.length)
  return Buffer.concat([pdu, data])
}

/** CID of any PDU that goes out and has one. */
function cidOf(pdu: Buffer): number {
  return get16le(pdu, pdu[0] === PduType.response ? 20 : 8)
}

/**
 * Replacements for rules of `faults.wire`, as a controller would send that means harm or is broken. They do not put
 * digests right: use them without. `hostileData` has the same for rules of `faults.command`.
 */
export const hostile = {
  /** c2hData: carries `missing` bytes less than the command reads, and says that it succeeded (LAST and SUCCESS). */
  short:
    (missing = 512): Replacement =>
    (pdu) => {
      const start = pdu[3]!
      const data = pdu.subarray(start, Math.max(start, pdu.length - missing))
      return [dataOf(cidOf(pdu), LAST | SUCCESS, get32le(pdu, 12), data)]
    },
  /** c2hData: SUCCESS without LAST. */
  successWithoutLast: ((pdu) =>
    changed(pdu, (copy) => {
      copy[1] = (copy[1]! & ~LAST) | SUCCESS
    })) as Replacement,
  /** Any PDU, digests agreed: says that it has none, and has none. */
  withoutDigests: ((pdu) => {
    const header = pdu[2]!
    const start = pdu[3]!
    const trailer = start > 0 && (pdu[1]! & 2) !== 0 ? 4 : 0
    const data = start > 0 ? pdu.subarray(start, pdu.length - trailer) : pdu.subarray(0, 0)
    const copy = Buffer.from(pdu.subarray(0, header))
    copy[1] = copy[1]! & ~DIGESTS
    if (start > 0) copy[3] = header
    put32le(copy, 4, header + data.length)
    return [copy, data]
  }) as Replacement,
  /** r2t: asks for nothing. */
  r2tEmpty: ((pdu) => changed(pdu, (copy) => put32le(copy, 16, 0))) as Replacement,
  /** r2t: begins `bytes` before what it should. */
  r2tBefore:
    (bytes = 512): Replacement =>
    (pdu) =>
      changed(pdu, (copy) => put32le(copy, 12, (get32le(copy, 12) - bytes) >>> 0)),
  /** r2t: asks for `bytes` more than the command has. */
  r2tBeyond:
    (bytes = 4096): Replacement =>
    (pdu) =>
      changed(pdu, (copy) => put32le(copy, 16, get32le(copy, 16) + bytes)),
  /** r2t: begins behind the command's end. */
  r2tOutside:
    (offset = 0xffff_f000): Replacement =>
    (pdu) =>
      changed(pdu, (copy) => put32le(copy, 12, offset)),
  /** c2hData or response: asks the same command for data before. */
  r2tForRead:
    (length = 512): Replacement =>
    (pdu) => [r2tOf(cidOf(pdu), 1, 0, length), pdu],
  /** r2t: asks once more, by another tag, while this one is being served. */
  r2tAgain: ((pdu) => {
    const again = r2tOf(cidOf(pdu), get16le(pdu, 10) ^ 0x8000, get32le(pdu, 12), get32le(pdu, 16))
    return [pdu, again]
  }) as Replacement,
  /** r2t: sends the writer data instead. */
  dataForWrite: ((pdu: Buffer) => [dataOf(cidOf(pdu), LAST, 0, Buffer.alloc(512, 0xee))]) as Replacement,
  /** c2hData: places its data behind what the command expects. */
  dataBeyond:
    (offset = 0x7fff_f000): Replacement =>
    (pdu) =>
      changed(pdu, (copy) => put32le(copy, 12, offset)),
  /** c2hData: says that it has `bytes` more data than it has, in DATAL alone. */
  dataLength:
    (bytes = 512): Replacement =>
    (pdu) =>
      changed(pdu, (copy) => put32le(copy, 16, get32le(copy, 16) + bytes)),
  /** Any PDU of a command: names one that does not exist. */
  unknownCommand:
    (cid = 0xfffe): Replacement =>
    (pdu) =>
      changed(pdu, (copy) => put16le(copy, copy[0] === PduType.response ? 20 : 8, cid)),
  /** Any PDU: sends it twice. */
  twice: ((pdu) => [pdu, Buffer.from(pdu)]) as Replacement,
  /** Any PDU: a C2HTermReq instead, with any FES, and so many bytes behind its header; PLEN as it is, or as given. */
  term:
    (fes: number, fields: { data?: number; plen?: number; fei?: number } = {}): Replacement =>
    () => {
      const { data = 0, plen = DATA_HEADER + data, fei = 0 } = fields
      const pdu = Buffer.alloc(DATA_HEADER + data)
      pdu.set([PduType.c2hTerm, 0, DATA_HEADER, 0])
      put32le(pdu, 4, plen)
      put16le(pdu, 8, fes)
      put32le(pdu, 10, fei)
      return [pdu]
    },
  /** Any PDU: says that it has 4 GiB less one byte, of which little comes. */
  hugePdu: ((pdu) => changed(pdu, (copy) => put32le(copy, 4, 0xffff_ffff))) as Replacement,
  /** Any PDU: PLEN is this. */
  length:
    (plen: number): Replacement =>
    (pdu) =>
      changed(pdu, (copy) => put32le(copy, 4, plen)),
  /** Any PDU: HLEN is this. */
  headerLength:
    (hlen: number): Replacement =>
    (pdu) =>
      changed(pdu, (copy) => {
        copy[2] = hlen
      }),
  /** Any PDU: PDO is this. */
  dataOffset:
    (pdo: number): Replacement =>
    (pdu) =>
      changed(pdu, (copy) => {
        copy[3] = pdo
      }),
  /** Any PDU: its type does not exist. */
  unknownType: ((pdu) =>
    changed(pdu, (copy) => {
      copy[0] = 0x0b
    })) as Replacement,
  /** icResp: this format (PFV), alignment (CPDA), digests and MAXH2CDATA instead. */
  icResp:
    (fields: { format?: number; alignment?: number; digests?: number; maxH2CData?: number }): Replacement =>
    (pdu) =>
      changed(pdu, (copy) => {
        const { format, alignment, digests, maxH2CData } = fields
        if (format !== undefined) put16le(copy, 8, format)
        if (alignment !== undefined) copy[10] = alignment
        if (digests !== undefined) copy[11] = digests
        if (maxH2CData !== undefined) put32le(copy, 12, maxH2CData)
      }),
  /** Any PDU: sends these bytes instead. */
  garbage:
    (bytes: Uint8Array = Buffer.alloc(128, 0xff)): Replacement =>
    () => [bytes],
} as const

/** Changes for rules of `faults.command` that have `data`: what Identify and log pages return. */
export const hostileData = {
  /** A count of this many at this byte, little-endian, of so many bytes. */
  count:
    (at: number, count: number, bytes: 2 | 4 = 2) =>
    (data: Buffer): Uint8Array => {
      const copy = Buffer.from(data)
      if (bytes === 2) put16le(copy, at, count)
      else put32le(copy, at, count)
      return copy
    },
  /** These bytes at this place. */
  bytes:
    (at: number, bytes: Uint8Array) =>
    (data: Buffer): Uint8Array => {
      const copy = Buffer.from(data)
      copy.set(bytes, at)
      return copy
    },
  /** Every list entry of four bytes set: a list of namespaces without an end. */
  endlessList: (data: Buffer): Uint8Array => {
    const copy = Buffer.from(data)
    for (let at = 0; at + 4 <= copy.length; at += 4) put32le(copy, at, at / 4 + 1)
    return copy
  },
  /** All ones. */
  ones: (data: Buffer): Uint8Array => Buffer.alloc(data.length, 0xff),
} as const
