import type { InputSlab } from '@blockbraid/wire'
import type { Agreed } from '../login/keys.ts'
import { NO_TAG, RejectReason } from '../pdu/opcodes.ts'
import type { Output } from '../pdu/output.ts'
import { run } from '../scsi/commands.ts'
import type { Nexus } from '../scsi/nexus.ts'
import type { Outcome } from '../scsi/outcome.ts'
import { GOOD } from '../scsi/outcome.ts'
import type { Task, TaskSession } from '../scsi/task.ts'
import { giveTask } from '../scsi/task.ts'
import type { SessionConnection, SessionHost, SessionIdentity } from './host.ts'
import type { Sender } from './replies.ts'
import { sendData, sendReject, sendResponse } from './replies.ts'
import { CommandWindow } from './window.ts'

/** The full feature phase of a session with its one connection: what is in it, how tasks end, and how it ends. */
export class Session implements TaskSession, Sender {
  readonly identity: SessionIdentity
  readonly agreed: Agreed
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
  /** The task whose data is coming in now: what was counted is not all there. */
  arriving: Task | undefined
  readonly #connection: SessionConnection
  #transferTag = 1
  #running = 0
  #idle: (() => void)[] = []
  #ended: Promise<void> | undefined
  #fenced: Promise<void> | undefined

  constructor(
    identity: SessionIdentity,
    agreed: Agreed,
    connection: SessionConnection,
    host: SessionHost,
    cmdSn: number,
    statSn: number,
  ) {
    this.identity = identity
    this.agreed = agreed
    this.host = host
    this.window = new CommandWindow(host.windowWidth, cmdSn)
    this.statSn = statSn
    this.#connection = connection
    if (!host.windowOpen) this.window.setOpen(false)
  }

  get out(): Output {
    return this.#connection.out
  }

  /** Keeps the bytes that are coming in until the slab is let go of. */
  hold(): InputSlab {
    return this.#connection.hold()
  }

  /** Commands that are not answered. */
  get inflight(): number {
    return this.tasks.size
  }

  nextTransferTag(): number {
    this.#transferTag = this.#transferTag >= 0x7fff_ffff ? 1 : this.#transferTag + 1
    return this.#transferTag
  }

  /** Notes what the initiator did against the protocol. */
  note(reason: string): void {
    this.host.violation(`${this.identity.initiatorName}: ${reason}`)
  }

  /** The initiator broke the protocol: noted, answered with a Reject where it has a header, and the connection ends. */
  violation(reason: string, bhs?: Uint8Array): boolean {
    this.note(reason)
    if (this.live && bhs !== undefined) {
      sendReject(this, RejectReason.protocolError, bhs)
      this.out.flush()
    }
    this.drop()
    return false
  }

  drop(): void {
    this.#connection.destroy()
  }

  /** Ends the connection by RST. */
  reset(): void {
    this.#connection.reset()
  }

  /** Ends the connection when all that was sent is out. */
  finish(): void {
    this.#connection.finish()
  }

  // Tasks

  /** All that a task needs is there: it runs when its unit's task set lets it. */
  start(task: Task): void {
    task.running = true
    this.#running++
    const taskSet = task.nexus?.mapping.unit.taskSet
    if (taskSet === undefined) run(task)
    else taskSet.enter(task)
  }

  execute(task: Task): void {
    // Aborted while it waited: it is not executed any more.
    if (task.aborted || !this.live) this.end(task, GOOD)
    else run(task)
  }

  end(task: Task, outcome: Outcome): void {
    if (!this.#finish(task)) return
    const actual = outcome === GOOD ? task.need : 0
    sendResponse(this, task, outcome, actual)
    giveTask(task)
  }

  endWithData(task: Task, views: readonly Uint8Array[], length: number): void {
    if (!this.#finish(task)) return
    sendData(this, task, views, length)
    giveTask(task)
  }

  abort(task: Task): Promise<void> {
    if (!task.running) {
      this.tasks.delete(task.tag)
      if (!task.begun && !task.immediate) this.window.skip(task.cmdSn)
      if (!task.immediate) this.window.ended()
      if (this.arriving === task) this.arriving = undefined
      giveTask(task)
      return Promise.resolve()
    }
    task.aborted = true
    return new Promise((resolve) => task.onEnd.push(resolve))
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
