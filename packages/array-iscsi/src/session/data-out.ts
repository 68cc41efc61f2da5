import { get32 } from '@blockbraid/wire'
import { FINAL, NO_TAG } from '../pdu/opcodes.ts'
import { Check } from '../scsi/outcome.ts'
import type { Task } from '../scsi/task.ts'
import { sendR2T } from './replies.ts'
import type { Session } from './session.ts'

/** Asks for data that was not sent by itself, as far as the initiator allows. */
export function solicit(session: Session, task: Task): void {
  const { maxOutstandingR2T, maxBurstLength } = session.agreed
  if (task.solicited < task.received) task.solicited = task.received
  while (task.solicited < task.take && task.r2ts.length < maxOutstandingR2T) {
    const length = Math.min(task.take - task.solicited, maxBurstLength)
    const r2t = { tag: session.nextTransferTag(), offset: task.solicited, length, received: 0, dataSn: 0 }
    if (task.r2ts.length === 0) task.r2ts = [r2t]
    else task.r2ts.push(r2t)
    task.solicited += length
    sendR2T(session, task, r2t)
  }
}

/** What is wrong with a Data-Out PDU of `length` bytes for `task`; empty where it fits (RFC 7143 §11.7). */
export function dataOutFault(session: Session, task: Task, bytes: Uint8Array, at: number, length: number): string {
  const tag = get32(bytes, at + 20)
  const dataSn = get32(bytes, at + 36)
  const offset = get32(bytes, at + 40)
  const final = (bytes[at + 1]! & FINAL) !== 0
  if (offset !== task.received) return `data at ${offset} where ${task.received} was due`
  if (tag === NO_TAG) {
    if (!task.unsolicited) return 'unsolicited data that was not announced'
    if (dataSn !== task.unsolicitedSn) return `DataSN ${dataSn} where ${task.unsolicitedSn} was due`
    const most = Math.min(task.expected, session.agreed.firstBurstLength)
    if (offset + length > most) return `unsolicited data to ${offset + length}, more than ${most}`
    if (offset + length === most && !final) return 'unsolicited data that goes on behind its end'
    return ''
  }
  const r2t = task.r2ts[0]
  if (r2t === undefined || r2t.tag !== tag) return `data with target transfer tag ${tag}, which is not the next one due`
  if (dataSn !== r2t.dataSn) return `DataSN ${dataSn} where ${r2t.dataSn} was due`
  if (r2t.received + length > r2t.length) return `data beyond the ${r2t.length} bytes that were asked for`
  if (final !== (r2t.received + length === r2t.length)) return 'a final bit in the wrong place'
  return ''
}

/** Accounts for a Data-Out PDU that fits, before its data comes. */
export function countDataOut(session: Session, task: Task, bytes: Uint8Array, at: number, length: number): void {
  task.received += length
  if (get32(bytes, at + 20) === NO_TAG) {
    task.unsolicitedSn++
    if ((bytes[at + 1]! & FINAL) !== 0) endUnsolicited(session, task)
    return
  }
  const r2t = task.r2ts[0]!
  r2t.dataSn++
  r2t.received += length
  if (r2t.received === r2t.length) task.r2ts.shift()
}

// All that may go without being asked for must go, once any Data-Out does (RFC 7143 §11.4.7.2).
function endUnsolicited(session: Session, task: Task): void {
  const due = Math.min(task.expected, session.agreed.firstBurstLength)
  task.unsolicited = false
  if (task.received === due) return
  session.note(`unsolicited data that ends at ${task.received}, not at ${due}`)
  task.refused = Check.unsolicitedShort
}
