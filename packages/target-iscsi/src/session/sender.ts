import { get32, put32 } from '@blockbraid/wire'
import type { LoginResult } from '../login/login.ts'
import { FINAL, putCommand, putDataOut, requestHeader } from '../pdu/encode.ts'
import { NO_TAG, Request } from '../pdu/opcode.ts'
import type { PduWriter } from '../pdu/writer.ts'
import { PING_TAG } from './requests.ts'
import type { Task } from './task.ts'
import { Direction, TaskState } from './task.ts'

const MANY_PONGS = 1024

/** Puts what a session sends into its outbox, with the sequence numbers that belong there (RFC 7143 §4.2.2). */
export class Sender {
  /** Largest data segment that the target takes, bytes. */
  maxSend: number
  readonly #writer: PduWriter
  readonly #negotiated: LoginResult
  #cmdSn: number
  #maxCmdSn: number
  #expStatSn: number
  // Answers to pings since all of them had left, and where the last one ends.
  #pongs = 0
  #pongsUpTo = 0

  constructor(writer: PduWriter, negotiated: LoginResult) {
    this.#writer = writer
    this.#negotiated = negotiated
    this.#cmdSn = negotiated.cmdSn
    this.#maxCmdSn = negotiated.maxCmdSn
    this.#expStatSn = negotiated.statSn
    this.maxSend = negotiated.maxSendSegment
  }

  /** How many commands more the target takes (RFC 7143 §4.2.2.1). */
  get room(): number {
    return ((this.#maxCmdSn - this.#cmdSn) | 0) + 1
  }

  /** Takes the command window out of a header; every PDU of a target has it (RFC 7143 §11.4.9, 11.4.10). */
  sawWindow(bytes: Buffer, at: number): void {
    const maxCmdSn = get32(bytes, at + 32)
    if (((maxCmdSn - this.#maxCmdSn) | 0) > 0) {
      if (((maxCmdSn - get32(bytes, at + 28)) | 0) >= -1) this.#maxCmdSn = maxCmdSn
    }
  }

  /** Takes the status number out of a header that has one. */
  sawStatSn(bytes: Buffer, at: number): void {
    const next = (get32(bytes, at + 24) + 1) >>> 0
    if (((next - this.#expStatSn) | 0) > 0) this.#expStatSn = next
  }

  /** Sends a command, and what data of it may go unasked. */
  transmit(task: Task): void {
    const writer = this.#writer
    const negotiated = this.#negotiated
    task.state = TaskState.Sent
    task.tag = (task.tag + 0x1_0000) & 0x7fff_ffff
    task.cmdSn = this.#cmdSn
    this.#cmdSn = (this.#cmdSn + 1) >>> 0
    const at = writer.begin()
    if (task.direction !== Direction.Write) {
      putCommand(writer.bytes, at, task, task.direction, 0, true, this.#expStatSn)
      writer.end(at)
      return
    }
    const burst = Math.min(task.length, negotiated.firstBurstLength)
    const immediate = negotiated.immediateData ? Math.min(burst, this.maxSend) : 0
    const unsolicited = negotiated.initialR2T ? immediate : burst
    putCommand(writer.bytes, at, task, Direction.Write, immediate, immediate === unsolicited, this.#expStatSn)
    if (immediate > 0) writer.endWith(at, task.buffers, 0, immediate)
    else writer.end(at)
    task.sent = immediate
    if (unsolicited > immediate) this.data(task, NO_TAG, immediate, unsolicited)
    task.sentUpTo = writer.outbox.position
  }

  /** Sends bytes `from` to `to` of a write as one sequence of Data-Out. */
  data(task: Task, transferTag: number, from: number, to: number): void {
    const writer = this.#writer
    for (let dataSn = 0; from < to; dataSn++) {
      const count = Math.min(to - from, this.maxSend)
      const at = writer.begin()
      putDataOut(writer.bytes, at, task, transferTag, dataSn, from, count, from + count === to, this.#expStatSn)
      writer.endWith(at, task.buffers, from, count)
      from += count
    }
    task.sent = to
    task.sentUpTo = writer.outbox.position
  }

  /** Sends an immediate request: it has the number of the next command, and does not use it up. */
  request(header: Buffer, data: Buffer | undefined): void {
    const writer = this.#writer
    put32(header, 24, this.#cmdSn)
    put32(header, 28, this.#expStatSn)
    const length = data?.length ?? 0
    put32(header, 4, length)
    const at = writer.begin()
    header.copy(writer.bytes, at)
    if (data === undefined || length === 0) writer.end(at)
    else writer.endWith(at, [data], 0, length)
  }

  /** Asks for a sign of life. */
  ping(): void {
    // Any byte from the target is a sign of life, so the answer needs no looking at.
    this.request(requestHeader(Request.NopOut, FINAL, PING_TAG), undefined)
  }

  /** Answers a ping of the target. Returns false where too many answers wait because it does not take them. */
  pong(ping: Buffer): boolean {
    const writer = this.#writer
    if (writer.outbox.left >= this.#pongsUpTo) this.#pongs = 0
    if (++this.#pongs > MANY_PONGS) return false
    const answer = requestHeader(Request.NopOut, FINAL, NO_TAG)
    // Its logical unit and its transfer tag.
    ping.copy(answer, 8, 8, 16)
    put32(answer, 20, get32(ping, 20))
    this.request(answer, undefined)
    this.#pongsUpTo = writer.outbox.position
    return true
  }
}
