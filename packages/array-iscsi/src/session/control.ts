import { get32, put32 } from '@blockbraid/wire'
import { FINAL, NO_TAG, PduOpcode, RejectReason } from '../pdu/opcodes.ts'
import { encodeText, parseText } from '../pdu/text.ts'
import { beginPdu, sendReject } from './replies.ts'
import type { Session } from './session.ts'
import { manageTasks } from './task-management.ts'

/** Whether {@link handleControl} takes such a request. */
export function isServed(opcode: number): boolean {
  return (
    opcode === PduOpcode.nopOut ||
    opcode === PduOpcode.taskManagement ||
    opcode === PduOpcode.text ||
    opcode === PduOpcode.logout ||
    opcode === PduOpcode.snack
  )
}

/** Serves every request that is not a SCSI command or its data. */
export function handleControl(session: Session, bhs: Buffer, data: Buffer): void {
  switch (bhs[0]! & 0x3f) {
    case PduOpcode.nopOut:
      return nopOut(session, bhs, data)
    case PduOpcode.taskManagement:
      return manageTasks(session, bhs)
    case PduOpcode.text:
      return text(session, bhs, data)
    case PduOpcode.logout:
      return logout(session, bhs)
    default:
      // SNACK belongs to error recovery level 1.
      return sendReject(session, RejectReason.snackReject, bhs)
  }
}

function nopOut(session: Session, bhs: Buffer, data: Buffer): void {
  const tag = get32(bhs, 16)
  if (tag === NO_TAG) return session.host.pong()
  const at = beginPdu(session, PduOpcode.nopIn, FINAL, tag, true)
  put32(session.out.bytes, at + 20, NO_TAG)
  const length = Math.min(data.length, session.agreed.maxSendDataSegmentLength)
  session.out.endWith(at, [data], 0, length)
}

/** Asks the initiator for an answer; `pong` of the host hears it. */
export function sendPing(session: Session): void {
  const at = beginPdu(session, PduOpcode.nopIn, FINAL, NO_TAG, false)
  put32(session.out.bytes, at + 20, session.nextTransferTag())
  session.out.end(at)
}

/** Tells the initiator how far its window goes; no answer is due. */
export function sendWindow(session: Session): void {
  const at = beginPdu(session, PduOpcode.nopIn, FINAL, NO_TAG, false)
  put32(session.out.bytes, at + 20, NO_TAG)
  session.out.end(at)
}

function text(session: Session, bhs: Buffer, data: Buffer): void {
  const transfer = get32(bhs, 20)
  const { texts } = session
  if (transfer !== NO_TAG) {
    // The initiator asks for the next part of a long answer.
    if (texts.tag !== transfer) return sendReject(session, RejectReason.invalidPduField, bhs)
  } else {
    const pairs = parseText(data)
    if (pairs === undefined) return sendReject(session, RejectReason.protocolError, bhs)
    texts.left = answerText(session, pairs)
  }
  const part = texts.left.subarray(0, session.agreed.maxSendDataSegmentLength)
  texts.left = texts.left.subarray(part.length)
  const last = texts.left.length === 0
  texts.tag = last ? NO_TAG : session.nextTransferTag()
  const at = beginPdu(session, PduOpcode.textResponse, last ? FINAL : 0x40, get32(bhs, 16), true)
  put32(session.out.bytes, at + 20, texts.tag)
  session.out.endWith(at, [part], 0, part.length)
}

function answerText(session: Session, pairs: ReadonlyMap<string, string>): Buffer {
  const answers: (readonly [string, string])[] = []
  for (const [key, value] of pairs) {
    if (key !== 'SendTargets') answers.push([key, 'NotUnderstood'])
    // All of them only in a discovery session (RFC 7143 appendix C).
    else if (value === 'All' && !session.identity.discovery) answers.push([key, 'Reject'])
    else answers.push(...session.host.targets(value))
  }
  return encodeText(answers)
}

function logout(session: Session, bhs: Buffer): void {
  const reason = bhs[1]! & 0x7f
  const respond = (response: number): void => {
    const at = beginPdu(session, PduOpcode.logoutResponse, FINAL, get32(bhs, 16), true)
    session.out.bytes[at + 2] = response
    session.out.end(at)
  }
  // Removal of a connection for recovery is for error recovery level 2.
  if (reason > 1) return respond(2)
  if (reason === 1 && ((bhs[20]! << 8) | bhs[21]!) !== session.identity.cid) return respond(1)
  const ended = [...session.tasks.values()].map((task) => session.abort(task))
  void Promise.all(ended).then(() => {
    if (!session.live) return
    respond(0)
    session.host.loggedOut()
    session.finish()
  })
}
