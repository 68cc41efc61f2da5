import { NO_BUFFERS } from '@blockbraid/core'
import type { Agreed } from '../login/keys.ts'
import { get32, put32, serialBefore } from '../pdu/bytes.ts'
import { BHS, IMMEDIATE, NO_TAG, PduOpcode, pduName, RejectReason } from '../pdu/opcodes.ts'
import type { Output } from '../pdu/output.ts'
import type { PduSink } from '../pdu/parser.ts'
import { admit, run } from '../scsi/commands.ts'
import type { Nexus } from '../scsi/nexus.ts'
import type { Outcome } from '../scsi/outcome.ts'
import { Check, GOOD } from '../scsi/outcome.ts'
import type { Task } from '../scsi/task.ts'
import { giveTask } from '../scsi/task.ts'
import { handleControl } from './control.ts'
import { countDataOut, dataOutFault, solicit } from './data-out.ts'
import type { SessionHost } from './host.ts'
import { commandFault, readCommand } from './intake.ts'
import { sendData, sendReject, sendResponse } from './replies.ts'
import { CommandWindow } from './window.ts'

const DISCARD = 0
const COMMAND = 1
const DATA_OUT = 2
const GATHER = 3

/** What a session is, from its login. */
export interface SessionIdentity {
  readonly initiatorName: string
  readonly isid: string
  readonly tsih: number
  readonly cid: number
  readonly discovery: boolean
  readonly portal: number
  readonly portalGroup: number
}

/** The full feature phase of a session with its one connection: PDUs in, PDUs out. */
export class Session implements PduSink {
  readonly identity: SessionIdentity
  readonly agreed: Agreed
  readonly out: Output
  readonly host: SessionHost
  readonly window: CommandWindow
  readonly tasks = new Map<number, Task>()
  readonly nexuses = new Map<number, Nexus>()
  /** The rest of a long answer to a text request. */
  readonly texts = { left: Buffer.alloc(0) as Buffer, tag: NO_TAG }
  /** Number of the next status. */
  statSn: number
  /** LUN of the task that is answered now; -1: none. Its PDUs do not say. */
  answeringLun = -1
  /** Whether the connection still takes and sends anything. */
  live = true
  #state = DISCARD
  #task: Task | undefined
  readonly #bhs = Buffer.alloc(BHS)
  #gathered: Buffer[] = []
  #transferTag = 1
  #running = 0
  #idle: (() => void)[] = []
  #ended: Promise<void> | undefined
  #fenced: Promise<void> | undefined

  constructor(
    identity: SessionIdentity,
    agreed: Agreed,
    out: Output,
    host: SessionHost,
    cmdSn: number,
    statSn: number,
  ) {
    this.identity = identity
    this.agreed = agreed
    this.out = out
    this.host = host
    this.window = new CommandWindow(host.windowWidth, cmdSn)
    this.statSn = statSn
    if (!host.windowOpen) this.window.setOpen(false)
  }

  /** Whether the last data of a read carries the status. */
  get collapse(): boolean {
    return this.host.collapse
  }

  /** Commands that are not answered. */
  get inflight(): number {
    return this.tasks.size
  }

  nextTransferTag(): number {
    this.#transferTag = this.#transferTag >= 0x7fff_ffff ? 1 : this.#transferTag + 1
    return this.#transferTag
  }

  // PduSink

  pduHeader(bytes: Buffer, at: number, length: number): boolean {
    const opcode = bytes[at]! & 0x3f
    const { host } = this
    // One more is let pass: libiscsi counts the StatSN of an R2T, which is not used up (RFC 7143 §11.8.1).
    if (serialBefore(this.statSn + 1, get32(bytes, at + 28))) {
      return this.violation(`${pduName(opcode)} acknowledges a status that was not sent`, bytes.subarray(at, at + BHS))
    }
    if (host.hooks.incoming !== null && this.#faulted(bytes, at)) return this.live
    if (opcode === PduOpcode.scsiCommand) return this.#command(bytes, at, length)
    if (opcode === PduOpcode.dataOut) return this.#dataOut(bytes, at, length)
    bytes.copy(this.#bhs, 0, at, at + BHS)
    this.#gathered = []
    this.#state = GATHER
    return true
  }

  pduData(view: Buffer): void {
    if (this.#state === GATHER) this.#gathered.push(view)
    else if (this.#state !== DISCARD) {
      const task = this.#task!
      if (task.views === NO_BUFFERS) task.views = [view]
      else task.views.push(view)
    }
  }

  pduEnd(intact: boolean): void {
    const state = this.#state
    this.#state = DISCARD
    if (!intact && state !== DISCARD) return this.#damaged(state)
    if (state === COMMAND) this.#arrived(this.#task!)
    else if (state === DATA_OUT) this.goOn(this.#task!)
    else if (state === GATHER) this.#control(Buffer.concat(this.#gathered))
  }

  broken(reason: string): void {
    this.violation(reason)
  }

  /** The initiator broke the protocol: noted, answered with a Reject where it has a header, and the connection ends. */
  violation(reason: string, bhs?: Uint8Array): boolean {
    this.host.violation(`${this.identity.initiatorName}: ${reason}`)
    if (this.live && bhs !== undefined) {
      sendReject(this, RejectReason.protocolError, bhs)
      this.out.flush()
    }
    this.host.drop(this)
    return false
  }

  // Commands

  #command(bytes: Buffer, at: number, length: number): boolean {
    this.#state = DISCARD
    // Outside of the window it is to be ignored in silence (RFC 7143 §4.2.2.1).
    if ((bytes[at]! & IMMEDIATE) === 0 && !this.window.takes(get32(bytes, at + 24))) {
      this.host.ignored()
      return true
    }
    const task = readCommand(this, bytes, at)
    const fault = commandFault(this, task, length)
    if (fault !== '') {
      giveTask(task)
      return this.violation(fault, bytes.subarray(at))
    }
    this.host.count(task.opcode)
    this.tasks.set(task.tag, task)
    this.#task = task
    this.#state = COMMAND
    return true
  }

  #arrived(task: Task): void {
    for (let n = 0; n < task.views.length; n++) task.received += task.views[n]!.length
    if (task.immediate) return this.#begin(task)
    if (!this.window.advance(task.cmdSn)) return this.window.keep(task.cmdSn, () => this.#begin(task))
    this.#begin(task)
    this.window.resume()
  }

  // The command's turn has come.
  #begin(task: Task): void {
    task.begun = true
    this.host.record(this, task)
    if (this.host.hooks.command?.(task) === true) return
    if (task.refused === GOOD && task.nexus !== null) task.refused = admit(task)
    this.goOn(task)
  }

  /** Looks again whether a command can run, or end: more of what it needs may be there. */
  goOn(task: Task): void {
    if (!task.begun || task.running) return
    // Its data is on the way: what was counted is not all there.
    if (this.#state === DATA_OUT && this.#task === task) return
    if (task.refused !== GOOD) {
      // What the initiator sends by itself is taken to its end first, unless that shall not be.
      if (task.unsolicited && !this.host.earlyStatus) return
      this.end(task, task.refused)
      return
    }
    if (task.received < task.take) {
      if (!task.unsolicited) solicit(this, task)
      return
    }
    if (task.unsolicited) return
    task.running = true
    this.#running++
    const taskSet = task.nexus?.mapping.unit.taskSet
    if (taskSet === undefined) run(task)
    else taskSet.enter(task)
  }

  #dataOut(bytes: Buffer, at: number, length: number): boolean {
    this.#state = DISCARD
    const task = this.tasks.get(get32(bytes, at + 16))
    // Data for a task that has ended, as after an abort or an early status.
    if (task === undefined || task.running) {
      this.host.stray(length)
      return true
    }
    const fault = dataOutFault(task, bytes, at, length)
    if (fault !== '') return this.violation(fault, bytes.subarray(at))
    countDataOut(task, bytes, at, length)
    this.#task = task
    this.#state = DATA_OUT
    return true
  }

  // Ends of tasks

  /** A task ends with a status and without data. */
  end(task: Task, outcome: Outcome): void {
    if (!this.#finish(task)) return
    const actual = outcome === GOOD ? task.need : 0
    sendResponse(this, task, outcome, actual)
    giveTask(task)
  }

  /** A task ends with GOOD and data. */
  endWithData(task: Task, views: readonly Uint8Array[], length: number): void {
    if (!this.#finish(task)) return
    sendData(this, task, views, length)
    giveTask(task)
  }

  // Whether a response is due.
  #finish(task: Task): boolean {
    if (task.running) {
      this.#running--
      task.nexus?.mapping.unit.taskSet.leave(task)
    }
    if (this.tasks.get(task.tag) === task) this.tasks.delete(task.tag)
    this.answeringLun = task.nexus?.mapping.lun ?? -1
    const answered = this.live && !task.aborted
    if (!answered) {
      if (!task.immediate && this.live) this.window.ended()
      const told = task.onEnd
      giveTask(task)
      for (const tell of told) tell()
    }
    if (this.#running === 0 && this.#idle.length > 0) {
      const idle = this.#idle
      this.#idle = []
      for (const tell of idle) tell()
    }
    return answered
  }

  /** Aborts a task; settles when the device has nothing of it any more. */
  abort(task: Task): Promise<void> {
    if (!task.running) {
      this.tasks.delete(task.tag)
      if (!task.begun && !task.immediate) this.window.skip(task.cmdSn)
      if (!task.immediate) this.window.ended()
      if (this.#task === task) this.#state = DISCARD
      giveTask(task)
      return Promise.resolve()
    }
    task.aborted = true
    return new Promise((resolve) => task.onEnd.push(resolve))
  }

  // Everything else

  #control(data: Buffer): void {
    const bhs = Buffer.from(this.#bhs)
    const opcode = bhs[0]! & 0x3f
    if (opcode === PduOpcode.nopOut && get32(bhs, 16) === NO_TAG) return handleControl(this, bhs, data)
    if (!isRequest(opcode)) {
      this.host.violation(`${this.identity.initiatorName}: ${pduName(opcode)} is no request that is served`)
      return sendReject(this, RejectReason.commandNotSupported, bhs)
    }
    if ((bhs[0]! & IMMEDIATE) !== 0) return handleControl(this, bhs, data)
    this.window.inOrder(get32(bhs, 24), () => {
      this.window.ended()
      handleControl(this, bhs, data)
    })
  }

  #damaged(state: number): void {
    this.host.violation(`${this.identity.initiatorName}: a data segment with a wrong digest`)
    const task = this.#task
    if (state === DATA_OUT && task !== undefined) {
      const bhs = Buffer.alloc(BHS)
      bhs[0] = PduOpcode.dataOut
      put32(bhs, 16, task.tag)
      sendReject(this, RejectReason.dataDigestError, bhs)
      task.refused = Check.dataDigest
      return this.goOn(task)
    }
    sendReject(this, RejectReason.dataDigestError, this.#bhs)
    this.out.flush()
    this.host.drop(this)
  }

  // Whether a rule has dealt with this PDU.
  #faulted(bytes: Buffer, at: number): boolean {
    const action = this.host.hooks.incoming!(this, bytes, at)
    if (action === 'pass') return false
    this.#state = DISCARD
    if (action === 'cut') this.host.drop(this)
    return true
  }

  // The end of the session

  /** Nothing is taken or sent any more; settles when nothing that was sent can change data any more. */
  lose(): Promise<void> {
    this.#ended ??= this.#stop().then(() => this.closeDevices())
    return this.#ended
  }

  /** The same, and what is in the devices is ended where they can. */
  fence(): Promise<void> {
    const lost = this.lose()
    this.#fenced ??= Promise.all([lost, this.closeDevices()]).then(() => {})
    return this.#fenced
  }

  #stop(): Promise<void> {
    this.live = false
    this.window.clear()
    for (const task of [...this.tasks.values()]) if (!task.running) this.abort(task)
    for (const nexus of this.nexuses.values()) nexus.mapping.unit.nexuses.delete(nexus)
    if (this.#running === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  /** Closes the devices that are the session's own. */
  async closeDevices(): Promise<void> {
    const owned = [...this.nexuses.values()].filter(({ mapping }) => mapping.owned)
    await Promise.all(owned.map(({ device }) => device.close()))
  }
}

function isRequest(opcode: number): boolean {
  return (
    opcode === PduOpcode.nopOut ||
    opcode === PduOpcode.taskManagement ||
    opcode === PduOpcode.text ||
    opcode === PduOpcode.logout ||
    opcode === PduOpcode.snack
  )
}
