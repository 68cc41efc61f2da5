import { put16, put32 } from '@blockbraid/wire'
import type { Agreed } from '../login/keys.ts'
import { BHS, FINAL, NO_TAG, PduOpcode } from '../pdu/opcodes.ts'
import type { Output } from '../pdu/output.ts'
import type { Outcome } from '../scsi/outcome.ts'
import { encodeSense, GOOD, Status } from '../scsi/outcome.ts'
import type { OpenR2T, Task } from '../scsi/task.ts'
import type { CommandWindow } from './window.ts'

const OVERFLOW = 0x04
const UNDERFLOW = 0x02
const WITH_STATUS = 0x01

/** A session as far as it sends. */
export interface Sender {
  readonly out: Output
  readonly window: CommandWindow
  readonly agreed: Agreed
  readonly host: { readonly collapse: boolean }
  /** Number of the next status. */
  statSn: number
}

/** Starts a PDU with what most have in common; its StatSN is used up where `numbered`. */
export function beginPdu(session: Sender, opcode: number, flags: number, tag: number, numbered: boolean): number {
  const { out, window } = session
  const at = out.begin()
  const bytes = out.bytes
  bytes[at] = opcode
  bytes[at + 1] = flags
  put32(bytes, at + 16, tag)
  put32(bytes, at + 24, session.statSn)
  put32(bytes, at + 28, window.expCmdSn)
  put32(bytes, at + 32, window.maxCmdSn)
  if (numbered) session.statSn = (session.statSn + 1) >>> 0
  return at
}

/** Flags for what was transferred beside what was expected; the count goes to byte 44. */
function putResidual(out: Output, at: number, expected: number, actual: number): number {
  if (expected === actual) return 0
  put32(out.bytes, at + 44, Math.min(NO_TAG, Math.abs(expected - actual)))
  return actual > expected ? OVERFLOW : UNDERFLOW
}

/** The command ends without data to the initiator; `actual`: bytes the command itself moves. */
export function sendResponse(session: Sender, task: Task, outcome: Outcome, actual: number): void {
  const { out } = session
  if (!task.immediate) session.window.ended()
  const at = beginPdu(session, PduOpcode.scsiResponse, FINAL, task.tag, true)
  const bytes = out.bytes
  bytes[at + 3] = outcome >>> 24
  put32(bytes, at + 36, task.dataSn)
  if (outcome >>> 24 !== Status.checkCondition) {
    bytes[at + 1] = FINAL | putResidual(out, at, task.expected, actual)
    return out.end(at)
  }
  bytes[at + 1] = FINAL | putResidual(out, at, task.expected, 0)
  const sense = encodeSense(outcome, task.nexus?.mapping.unit.descriptorSense ?? false)
  const data = Buffer.alloc(2 + sense.length)
  put16(data, 0, sense.length)
  data.set(sense, 2)
  out.endWith(at, [data], 0, data.length)
}

/** The command ends with GOOD and `total` bytes of data, of which the initiator gets what it expects. */
export function sendData(session: Sender, task: Task, views: readonly Uint8Array[], total: number): void {
  const expected = task.reads ? task.expected : 0
  const length = total < expected ? total : expected
  if (length === 0) return sendResponse(session, task, GOOD, total)
  const { out, agreed } = session
  const { collapse } = session.host
  let inBurst = 0
  for (let offset = 0; offset < length; ) {
    const left = length - offset
    const piece = Math.min(left, agreed.maxSendDataSegmentLength, agreed.maxBurstLength - inBurst)
    inBurst += piece
    const last = piece === left
    const ends = last || inBurst === agreed.maxBurstLength
    const withStatus = last && collapse
    if (withStatus && !task.immediate) session.window.ended()
    const at = beginPdu(session, PduOpcode.dataIn, ends ? FINAL : 0, task.tag, withStatus)
    const bytes = out.bytes
    if (withStatus) bytes[at + 1] = FINAL | WITH_STATUS | putResidual(out, at, task.expected, total)
    else put32(bytes, at + 24, 0)
    put32(bytes, at + 20, NO_TAG)
    put32(bytes, at + 36, task.dataSn++)
    put32(bytes, at + 40, offset)
    out.endWith(at, views, offset, piece)
    offset += piece
    if (ends) inBurst = 0
  }
  if (!collapse) sendResponse(session, task, GOOD, total)
}

/** Asks for the data of a write. */
export function sendR2T(session: Sender, task: Task, r2t: OpenR2T): void {
  const { out } = session
  const at = beginPdu(session, PduOpcode.r2t, FINAL, task.tag, false)
  const bytes = out.bytes
  put32(bytes, at + 8, task.lunHigh)
  put32(bytes, at + 12, task.lunLow)
  put32(bytes, at + 20, r2t.tag)
  put32(bytes, at + 36, task.r2tSn++)
  put32(bytes, at + 40, r2t.offset)
  put32(bytes, at + 44, r2t.length)
  out.end(at)
}

/** Refuses a PDU: its header goes back with the reason. */
export function sendReject(session: Sender, reason: number, bhs: Uint8Array): void {
  const { out } = session
  const at = beginPdu(session, PduOpcode.reject, FINAL, NO_TAG, true)
  out.bytes[at + 2] = reason
  out.endWith(at, [Buffer.from(bhs.subarray(0, BHS))], 0, BHS)
}
