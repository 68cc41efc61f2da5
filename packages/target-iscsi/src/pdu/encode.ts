import { put32 } from '@blockbraid/wire'
import { HEADER_LENGTH, IMMEDIATE, NO_TAG, Request } from './opcode.ts'

/** The bit of byte 1 that says that nothing of this sequence follows. */
export const FINAL = 0x80

const READS = 0x40
const WRITES = 0x20
// Task attributes (RFC 7143 §11.3.1).
const SIMPLE = 0x01
const ORDERED = 0x02

/** What a SCSI Command PDU says (RFC 7143 §11.3), beside its CDB. */
export interface CommandFields {
  readonly tag: number
  readonly lunHigh: number
  readonly lunLow: number
  readonly length: number
  readonly cdb: Uint8Array
  readonly cmdSn: number
  /** Executed after all that came before it, and before all that comes after it (SAM-5 §8.6.3). */
  readonly ordered: boolean
}

/** SCSI Command (RFC 7143 §11.3). `direction` is 0, 1 to read, 2 to write; `data` the immediate data's length. */
export function putCommand(
  out: Buffer,
  at: number,
  fields: CommandFields,
  direction: number,
  data: number,
  final: boolean,
  expStatSn: number,
): void {
  const { cdb } = fields
  out[at] = Request.Command
  out[at + 1] =
    (final ? FINAL : 0) |
    (direction === 1 ? READS : 0) |
    (direction === 2 ? WRITES : 0) |
    (fields.ordered ? ORDERED : SIMPLE)
  out[at + 2] = 0
  out[at + 3] = 0
  put32(out, at + 4, data)
  put32(out, at + 8, fields.lunHigh)
  put32(out, at + 12, fields.lunLow)
  put32(out, at + 16, fields.tag)
  put32(out, at + 20, fields.length)
  put32(out, at + 24, fields.cmdSn)
  put32(out, at + 28, expStatSn)
  for (let index = 0; index < 16; index++) out[at + 32 + index] = cdb[index] as number
}

/** SCSI Data-Out (RFC 7143 §11.7). */
export function putDataOut(
  out: Buffer,
  at: number,
  fields: CommandFields,
  transferTag: number,
  dataSn: number,
  offset: number,
  data: number,
  final: boolean,
  expStatSn: number,
): void {
  out.fill(0, at, at + HEADER_LENGTH)
  out[at] = Request.DataOut
  out[at + 1] = final ? FINAL : 0
  put32(out, at + 4, data)
  if (transferTag !== NO_TAG) {
    put32(out, at + 8, fields.lunHigh)
    put32(out, at + 12, fields.lunLow)
  }
  put32(out, at + 16, fields.tag)
  put32(out, at + 20, transferTag)
  put32(out, at + 28, expStatSn)
  put32(out, at + 36, dataSn)
  put32(out, at + 40, offset)
}

/** Functions of a Task Management request (RFC 7143 §11.5.1). */
export const TaskFunction = { AbortTask: 1, AbortTaskSet: 2, LunReset: 5 } as const

/** Header of an immediate request other than commands and data; the caller adds what its kind needs. */
export function requestHeader(opcode: number, flags: number, tag: number): Buffer {
  const header = Buffer.alloc(HEADER_LENGTH)
  header[0] = opcode | IMMEDIATE
  header[1] = flags
  header.writeUInt32BE(tag, 16)
  header.writeUInt32BE(NO_TAG, 20)
  return header
}
