import { NO_BUFFERS } from '@blockbraid/core'
import { get32, put32 } from '@blockbraid/wire'
import { BHS, IMMEDIATE, NO_TAG, PduOpcode, pduName, RejectReason } from '../pdu/opcodes.ts'
import type { PduSink } from '../pdu/parser.ts'
import { serialBefore } from '../pdu/serial.ts'
import { Check } from '../scsi/outcome.ts'
import type { Task } from '../scsi/task.ts'
import { giveTask } from '../scsi/task.ts'
import { handleControl, isServed } from './control.ts'
import { countDataOut, dataOutFault } from './data-out.ts'
import { commandFault, readCommand } from './intake.ts'
import { sendReject } from './replies.ts'
import type { Session } from './session.ts'
import { arrived, goOn } from './turns.ts'

const DISCARD = 0
const COMMAND = 1
const DATA_OUT = 2
const GATHER = 3

/** Takes the PDUs of a session's initiator. */
export class SessionReceiver implements PduSink {
  readonly #session: Session
  #state = DISCARD
  readonly #bhs = Buffer.alloc(BHS)
  #gathered: Buffer[] = []

  constructor(session: Session) {
    this.#session = session
  }

  pduHeader(bytes: Buffer, at: number, length: number): boolean {
    const session = this.#session
    const opcode = bytes[at]! & 0x3f
    // One more is let pass: libiscsi counts the StatSN of an R2T, which is not used up (RFC 7143 §11.8.1).
    if (serialBefore(session.statSn + 1, get32(bytes, at + 28))) {
      return session.violation(
        `${pduName(opcode)} acknowledges a status that was not sent`,
        bytes.subarray(at, at + BHS),
      )
    }
    if (session.host.hooks.incoming !== null && this.#faulted(bytes, at)) return session.live
    if (opcode === PduOpcode.scsiCommand) return this.#command(bytes, at, length)
    if (opcode === PduOpcode.dataOut) return this.#dataOut(bytes, at, length)
    bytes.copy(this.#bhs, 0, at, at + BHS)
    this.#gathered = []
    this.#state = GATHER
    return true
  }

  pduData(view: Buffer): void {
    if (this.#state === GATHER) {
      this.#gathered.push(Buffer.from(view))
      return
    }
    const task = this.#session.arriving
    if (task === undefined) return
    if (task.views === NO_BUFFERS) task.views = [view]
    else task.views.push(view)
    task.slabs.push(this.#session.hold())
  }

  pduEnd(intact: boolean): void {
    const session = this.#session
    const task = session.arriving
    const state = this.#state
    this.#state = DISCARD
    session.arriving = undefined
    if (state === GATHER) {
      if (intact) this.#control(Buffer.concat(this.#gathered))
      else this.#damaged(this.#bhs)
    } else if (task === undefined) return
    else if (!intact) this.#damagedData(task, state)
    else if (state === COMMAND) arrived(session, task)
    else goOn(session, task)
  }

  broken(reason: string): void {
    this.#session.violation(reason)
  }

  #command(bytes: Buffer, at: number, length: number): boolean {
    const session = this.#session
    const { host, window } = session
    // Outside of the window it is to be ignored in silence (RFC 7143 §4.2.2.1).
    if ((bytes[at]! & IMMEDIATE) === 0 && !window.takes(get32(bytes, at + 24))) {
      host.ignored()
      return true
    }
    const task = readCommand(session, bytes, at)
    const fault = commandFault(session, task, length)
    if (fault !== '') {
      giveTask(task)
      return session.violation(fault, bytes.subarray(at))
    }
    host.count(task.opcode)
    session.tasks.set(task.tag, task)
    session.arriving = task
    this.#state = COMMAND
    return true
  }

  #dataOut(bytes: Buffer, at: number, length: number): boolean {
    const session = this.#session
    const task = session.tasks.get(get32(bytes, at + 16))
    // Data for a task that has ended, as after an abort or an early status.
    if (task === undefined || task.running) {
      session.host.stray(length)
      return true
    }
    const fault = dataOutFault(session, task, bytes, at, length)
    if (fault !== '') return session.violation(fault, bytes.subarray(at))
    countDataOut(session, task, bytes, at, length)
    session.arriving = task
    this.#state = DATA_OUT
    return true
  }

  #control(data: Buffer): void {
    const session = this.#session
    const bhs = Buffer.from(this.#bhs)
    const opcode = bhs[0]! & 0x3f
    if (opcode === PduOpcode.nopOut && get32(bhs, 16) === NO_TAG) return handleControl(session, bhs, data)
    if (!isServed(opcode)) {
      session.note(`${pduName(opcode)} is no request that is served`)
      return sendReject(session, RejectReason.commandNotSupported, bhs)
    }
    if ((bhs[0]! & IMMEDIATE) !== 0) return handleControl(session, bhs, data)
    session.window.inOrder(get32(bhs, 24), () => {
      session.window.ended()
      handleControl(session, bhs, data)
    })
  }

  // A wrong digest of data that was asked for, or announced, ends its task alone.
  #damagedData(task: Task, state: number): void {
    const bhs = Buffer.alloc(BHS)
    bhs[0] = state === DATA_OUT ? PduOpcode.dataOut : PduOpcode.scsiCommand
    put32(bhs, 16, task.tag)
    if (state === COMMAND) return this.#damaged(bhs)
    this.#rejectDigest(bhs)
    task.refused = Check.dataDigest
    goOn(this.#session, task)
  }

  #damaged(bhs: Buffer): void {
    this.#rejectDigest(bhs)
    this.#session.out.flush()
    this.#session.drop()
  }

  #rejectDigest(bhs: Buffer): void {
    this.#session.note('a data segment with a wrong digest')
    sendReject(this.#session, RejectReason.dataDigestError, bhs)
  }

  // Whether a rule has dealt with this PDU.
  #faulted(bytes: Buffer, at: number): boolean {
    const session = this.#session
    const action = session.host.hooks.incoming!(session.identity.portal, bytes, at)
    if (action === 'cut') session.drop()
    else if (action === 'reset') session.reset()
    return action !== 'pass'
  }
}
