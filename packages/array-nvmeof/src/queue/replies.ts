import { put16le, put32le } from '@blockbraid/wire'
import type { Status } from '../nvme/status.ts'
import type { Output } from '../pdu/output.ts'
import { PduFlag, PduType } from '../pdu/types.ts'
import type { OpenR2T, Request } from '../request/request.ts'

const HEADER = 24
const NO_HEAD = 0xffff

/** A queue as far as it sends. */
export interface Sender {
  readonly id: number
  readonly out: Output
  /** Whether hosts are told how far their submission queue was worked off. */
  readonly flowControl: boolean
  readonly sqHead: number
  /** Whether the last data of a read carries its success. */
  readonly success: boolean
  /** Bytes of one C2HData. */
  readonly dataSize: number
}

/** A completion (NVMe Base 2.1 §4.2). */
export function sendCompletion(queue: Sender, cid: number, status: Status, result: number, resultHigh: number): void {
  const { out } = queue
  const at = out.begin(PduType.response, 0, HEADER)
  const { bytes } = out
  if (result !== 0) put32le(bytes, at + 8, result)
  if (resultHigh !== 0) put32le(bytes, at + 12, resultHigh)
  put16le(bytes, at + 16, queue.flowControl ? queue.sqHead : NO_HEAD)
  put16le(bytes, at + 18, queue.id)
  put16le(bytes, at + 20, cid)
  put16le(bytes, at + 22, status << 1)
  out.end(at)
}

/** The command ends with success and `length` bytes of data. */
export function sendData(queue: Sender, cid: number, views: readonly Uint8Array[], length: number): void {
  const { out, success, dataSize } = queue
  for (let offset = 0; offset < length; ) {
    const left = length - offset
    const piece = left < dataSize ? left : dataSize
    const flags = piece < left ? 0 : success ? PduFlag.last | PduFlag.success : PduFlag.last
    const at = out.begin(PduType.c2hData, flags, HEADER)
    const { bytes } = out
    put16le(bytes, at + 8, cid)
    put32le(bytes, at + 12, offset)
    put32le(bytes, at + 16, piece)
    out.endWith(at, views, offset, piece)
    offset += piece
  }
  if (!success || length === 0) sendCompletion(queue, cid, 0, 0, 0)
}

/** Asks for the data of a command. */
export function sendR2T(queue: Sender, request: Request, r2t: OpenR2T): void {
  const { out } = queue
  const at = out.begin(PduType.r2t, 0, HEADER)
  const { bytes } = out
  put16le(bytes, at + 8, request.cid)
  put16le(bytes, at + 10, r2t.tag)
  put32le(bytes, at + 12, r2t.offset)
  put32le(bytes, at + 16, r2t.length)
  out.end(at)
}

/** Ends the connection: `header` is that of the PDU which is the reason. */
export function sendTerm(out: Output, fes: number, info: number, header: Buffer): void {
  const at = out.begin(PduType.c2hTerm, 0, HEADER)
  const { bytes } = out
  put16le(bytes, at + 8, fes)
  put32le(bytes, at + 10, info)
  if (header.length === 0) return out.end(at)
  put32le(bytes, at + 4, HEADER + header.length)
  out.endPlain(at, header)
}
