import { put16le, put32le } from '@blockbraid/wire'
import { HeaderLength, PduFlag, PduType } from './opcode.ts'

/** What every PDU begins with (NVMe/TCP Transport 1.1 §3.6.1). */
export function putCommon(
  out: Buffer,
  at: number,
  type: number,
  flags: number,
  headerLength: number,
  dataOffset: number,
  length: number,
): void {
  out[at] = type
  out[at + 1] = flags
  out[at + 2] = headerLength
  out[at + 3] = dataOffset
  put32le(out, at + 4, length)
}

/** What a host asks for when a connection begins (§3.6.2.2). */
export interface ConnectionRequest {
  readonly headerDigest: boolean
  readonly dataDigest: boolean
  /** Where the controller's data begins: a multiple of so many bytes, themselves one of 4, up to 128. */
  readonly align: number
  /** R2Ts at once for a command. */
  readonly maxR2t: number
}

// Bits of DGST.
const HEADER_DIGEST = 0x01
const DATA_DIGEST = 0x02

/** ICReq (§3.6.2.2): all of its bytes. */
export function icReq(request: ConnectionRequest): Buffer {
  const out = Buffer.alloc(HeaderLength.Connection)
  putCommon(out, 0, PduType.IcReq, 0, HeaderLength.Connection, 0, HeaderLength.Connection)
  out[10] = request.align / 4 - 1
  out[11] = (request.headerDigest ? HEADER_DIGEST : 0) | (request.dataDigest ? DATA_DIGEST : 0)
  put32le(out, 12, request.maxR2t - 1)
  return out
}

/** The fields of H2CData behind the common header (§3.6.2.8). */
export function putData(
  out: Buffer,
  at: number,
  cid: number,
  transferTag: number,
  offset: number,
  length: number,
): void {
  put16le(out, at + 8, cid)
  put16le(out, at + 10, transferTag)
  put32le(out, at + 12, offset)
  put32le(out, at + 16, length)
  put32le(out, at + 20, 0)
}

/** How much of the PDU in error goes with a termination request. */
const MAX_IN_ERROR = 128

/** H2CTermReq (§3.6.2.4): all of its bytes, with the header of the PDU in error. */
export function termReq(fes: number, fei: number, inError: Uint8Array): Buffer {
  const header = inError.subarray(0, MAX_IN_ERROR)
  const length = HeaderLength.TermReq + header.length
  const out = Buffer.alloc(length)
  putCommon(out, 0, PduType.H2cTermReq, 0, HeaderLength.TermReq, HeaderLength.TermReq, length)
  put16le(out, 8, fes)
  put32le(out, 10, fei)
  out.set(header, HeaderLength.TermReq)
  return out
}

/** The flag of a header digest or of a data digest, where there is one. */
export function digestFlags(header: boolean, data: boolean): number {
  return (header ? PduFlag.HeaderDigest : 0) | (data ? PduFlag.DataDigest : 0)
}
