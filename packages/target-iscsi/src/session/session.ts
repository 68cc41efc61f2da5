import type { Clock, SignalOptions, Timer } from '@blockbraid/core'
import { BlockError, NO_BUFFERS } from '@blockbraid/core'
import type { Wire } from '@blockbraid/wire'
import { fillViews, get32, SignOfLife, Wakeful } from '@blockbraid/wire'
import type { LoginResult } from '../login/login.ts'
import { requestHeader } from '../pdu/encode.ts'
import { NO_TAG, Response } from '../pdu/opcode.ts'
import type { PduParser, PduSink } from '../pdu/parser.ts'
import { DataMode } from '../pdu/parser.ts'
import { PduWriter } from '../pdu/writer.ts'
import type { SendRequest } from './ask-session.ts'
import { askLogout, askText } from './ask-session.ts'
import { dataInFault, readyFault } from './faults.ts'
import type { KeepAliveOptions } from './keep-alive.ts'
import { KeepAlive } from './keep-alive.ts'
import { LunLanes } from './lanes.ts'
import { Notices } from './notices.ts'
import { rejection } from './reject.ts'
import { Requests } from './requests.ts'
import { Sender } from './sender.ts'
import type { Task } from './task.ts'
import { Direction, Outcome, TaskState, TaskTable } from './task.ts'
import { abortOrphans, resetLun } from './task-management.ts'
import { wireEnd } from './wire-end.ts'

/** Listens to a {@link Session}. */
export interface SessionListener {
  /** The session has ended by itself; every task has ended before. */
  lost(error: BlockError): void
  /** A SCSI event that belongs to no command (RFC 7143 §11.9, event 0). */
  event(lunHigh: number, lunLow: number, sense: Uint8Array): void
}

/** What a session needs beside a login. */
export interface SessionOptions {
  readonly clock: Clock
  readonly keepAlive: KeepAliveOptions
  /** Milliseconds for the answer to a task management, text or logout request. */
  readonly taskTimeout: number
  readonly maxRecvDataSegmentLength: number
}

// µs. A quick target answers a lone command well within this.
const QUICK = 120
const RESPONSE_COMPLETED = 0
const STATUS_BIT = 0x01
const UNDERFLOW = 0x02
const OVERFLOW = 0x04
// A target that answers before it has taken all data is rare: then the buffers are looked after this often, ms.
const EARLY_WAIT = 2

/** A session in full feature phase over its one connection, error recovery level 0 (RFC 7143 §4.2). */
export class Session implements PduSink {
  readonly negotiated: LoginResult
  readonly listeners = new Set<SessionListener>()
  /** Why it has ended; undefined as long as it can be used. */
  error: BlockError | undefined
  /** How many commands were answered. */
  answers = 0
  /** Owners of commands that changed data and had no answer when the session was lost. */
  readonly unfenced = new Set<object>()
  readonly #connection: Wire
  readonly #parser: PduParser
  readonly #options: SessionOptions
  /** What is said where the target ends it: the error, with what whoever opened it knows of the reason. */
  explain: (error: BlockError) => BlockError = (error) => error
  readonly #tasks = new TaskTable()
  readonly #requests: Requests
  readonly #keepAlive: KeepAlive
  readonly #life: SignOfLife
  readonly #wakeful: Wakeful
  readonly #lanes = new LunLanes()
  readonly #sender: Sender
  readonly #notices: Notices
  // Of the Data-In that is being received.
  #current: Task | null = null
  #ends = false
  #early: Task[] = []
  #earlyTimer: Timer | undefined
  #leaving = false
  // Number of the command that was sent last of those that were answered.
  #answeredSn: number

  constructor(connection: Wire, parser: PduParser, negotiated: LoginResult, options: SessionOptions) {
    this.negotiated = negotiated
    this.#answeredSn = negotiated.cmdSn - 1
    this.#connection = connection
    this.#parser = parser
    this.#options = options
    this.#requests = new Requests(options.clock)
    const writer = new PduWriter(connection.outbox)
    writer.useDigests(negotiated.headerDigest, negotiated.dataDigest)
    this.#sender = new Sender(writer, negotiated)
    this.#notices = new Notices({
      clock: options.clock,
      maxRecvDataSegmentLength: options.maxRecvDataSegmentLength,
      busy: () => this.#tasks.all.some((task) => task.state >= TaskState.Sent),
      event: (lunHigh, lunLow, sense) => {
        for (const listener of [...this.listeners]) listener.event(lunHigh, lunLow, sense)
      },
      leave: () => {
        this.#leaving = true
        this.#refuseWaiting()
      },
      logout: () => askLogout(this.#request),
      text: (payload, limit) => this.text(payload, limit),
      useMaxSend: (bytes) => {
        this.#sender.maxSend = bytes
      },
      drop: (error) => this.drop(error),
      ended: (error) => this.drop(this.explain(error)),
    })
    this.#wakeful = new Wakeful(options.clock, QUICK)
    this.#life = new SignOfLife(options.clock)
    this.#keepAlive = new KeepAlive(
      options.clock,
      options.keepAlive,
      () => this.#sender.ping(),
      () => this.drop(new BlockError('TIMED_OUT', `no answer to a ping within ${options.keepAlive.timeout} ms`)),
    )
    parser.useDigests(negotiated.headerDigest, negotiated.dataDigest)
    parser.maxData = options.maxRecvDataSegmentLength
    connection.sink = {
      bytes: (chunk, start, end) => {
        this.#keepAlive.heard()
        this.#life.heard()
        this.#wakeful.heard()
        parser.push(chunk, start, end)
        if (this.#lanes.waiting > 0) this.#pump()
        if (this.#tasks.busy === 1) this.#wakeful.waiting()
      },
      finished: () => this.drop(this.explain(wireEnd())),
      closed: (error) => this.drop(this.explain(wireEnd(error))),
    }
  }

  /** Whether new commands are taken: it lives, and the target has not asked for its end. */
  get usable(): boolean {
    return this.error === undefined && !this.#leaving
  }

  /** Whether it is asked for signs of life, and so ends where there are none. */
  get isWatched(): boolean {
    return this.#options.keepAlive.interval > 0
  }

  /** Milliseconds for which a ping has been without an answer; 0: none is. */
  get silence(): number {
    return this.#life.silence
  }

  /** Settles with a sign of life of the target (NOP-Out, RFC 7143 §11.18); one question for all who ask at once. */
  ping(options: SignalOptions): Promise<void> {
    if (this.error !== undefined) return Promise.reject(this.error)
    return this.#life.ask(this.#ask, options)
  }

  readonly #ask = (): void => this.#sender.ping()

  /** Whether a command was answered that was sent later than this one, which has no answer. */
  answeredLater(task: Task): boolean {
    return task.state >= TaskState.Sent && ((this.#answeredSn - task.cmdSn) | 0) > 0
  }

  /** A task to fill in and `send`; undefined when there are too many. */
  take(): Task | undefined {
    return this.#tasks.take()
  }

  /** Sends a task, or lets it wait for the command window (RFC 7143 §4.2.2.1). */
  send(task: Task): void {
    task.rewind()
    const lanes = this.#lanes
    const lane = lanes.of(task)
    if (this.usable && lanes.waiting === 0 && lanes.mayGo(lane, this.#sender.room, task.length)) {
      if (this.#tasks.busy === 1) this.#wakeful.waiting()
      lanes.began(lane, task.length)
      return this.#sender.transmit(task)
    }
    task.state = TaskState.Waiting
    lanes.push(lane, task)
    if (this.usable) this.#pump()
    else this.#options.clock.defer(() => this.#refuseWaiting())
  }

  /** The tasks of `owner` that are waiting or sent, orphans too. */
  tasksOf(owner: object): Task[] {
    return this.#tasks.all.filter((task) => task.owner === owner && task.state !== TaskState.Idle)
  }

  /**
   * Ends tasks for their caller now: `done` is called with Lost or NotSent. Those that were sent live on
   * without a caller. Returns false where payload of one has not left this process: then the session must be dropped.
   */
  detach(tasks: readonly Task[]): boolean {
    let clean = true
    if (tasks.some((task) => task.state === TaskState.Waiting))
      this.#lanes.remove(new Set(tasks.filter(({ state }) => state === TaskState.Waiting)))
    const { left } = this.#connection.outbox
    for (const task of tasks) {
      if (task.state === TaskState.Sent && task.direction === Direction.Write && task.sentUpTo > left) clean = false
    }
    for (const task of tasks) {
      if (task.state === TaskState.Sent) this.#orphan(task)
      else if (task.state === TaskState.Waiting) this.#finish(task, Outcome.NotSent)
    }
    return clean
  }

  /**
   * Aborts what orphans of `owner` may still change (RFC 7143 §11.5). Resolves to true when the target has said
   * of each that it has ended; false where it did not, or the session is lost.
   */
  abort(owner: object): Promise<boolean> {
    return this.#abort((task) => task.owner === owner && task.changes)
  }

  /** Aborts the other orphans of `owner`, which would take up the command window for as long as they hang. */
  abortReads(owner: object): Promise<boolean> {
    return this.#abort((task) => task.owner === owner && !task.changes)
  }

  #abort(which: (task: Task) => boolean): Promise<boolean> {
    const forget = (task: Task, tag: number): void => this.#forget(task, tag)
    return abortOrphans({ tasks: this.#tasks.all, request: this.#request, forget }, which)
  }

  /** Aborts the orphans of `owner`, or drops the session where the target does not say that they have ended. */
  async abortOrDrop(owner: object, error: BlockError): Promise<void> {
    if (!(await this.abort(owner))) this.drop(error)
  }

  /** As `abort`, by a reset of the logical unit, which ends the commands of every host there. */
  async abortByReset(owner: object, lun: { readonly high: number; readonly low: number }): Promise<boolean> {
    const orphans = this.tasksOf(owner).map((task) => ({ task, tag: task.tag }))
    if (!(await this.resetLun(lun))) return false
    for (const { task, tag } of orphans) this.#forget(task, tag)
    return true
  }

  /** Asks for a reset of a logical unit (RFC 7143 §11.5.1), which ends the commands of every host there. */
  resetLun(lun: { readonly high: number; readonly low: number }): Promise<boolean> {
    return resetLun(this.#request, lun)
  }

  /** Sends text keys and resolves to all text of the answer (RFC 7143 §11.10), at most `limit` bytes. */
  text(payload: Buffer, limit: number): Promise<Buffer> {
    const { clock, taskTimeout } = this.#options
    return askText(this.#request, payload, { limit, clock, timeout: taskTimeout }, protocolError)
  }

  /** Logs out and ends the connection (RFC 7143 §11.14); every task must have ended. */
  async logout(): Promise<void> {
    if (this.error !== undefined) return
    try {
      await askLogout(this.#request)
    } catch {
      // It ends all the same.
    }
    this.#end(new BlockError('CLOSED', 'the session is closed'))
  }

  /** Ends the session at once: every task ends, and the listeners hear of it. */
  drop(error: BlockError): void {
    if (this.error !== undefined) return
    this.#end(error)
    for (const listener of [...this.listeners]) listener.lost(error)
  }

  #end(error: BlockError): void {
    if (this.error !== undefined) return
    this.error = error
    this.#keepAlive.stop()
    this.#notices.stop()
    this.#earlyTimer?.cancel()
    this.#parser.stop()
    this.#connection.destroy()
    this.#current = null
    for (const task of this.#tasks.all) {
      if (task.state >= TaskState.Sent && task.changes && task.owner !== null) this.unfenced.add(task.owner)
    }
    this.#requests.failAll(error)
    this.#life.end(error)
    for (const task of this.#early.splice(0)) if (task.state === TaskState.Sent) this.#finish(task, task.outcome)
    for (const task of [...this.#tasks.all]) {
      if (task.state === TaskState.Sent) this.#finish(task, Outcome.Lost)
      else if (task.state === TaskState.Orphan) this.#forget(task, task.tag)
    }
    this.#refuseWaiting()
  }

  #pump(): void {
    const lanes = this.#lanes
    while (this.usable) {
      const task = lanes.next(this.#sender.room)
      if (task === null) return
      lanes.began(lanes.of(task), task.length)
      this.#sender.transmit(task)
    }
  }

  #refuseWaiting(): void {
    // Those that `done` sends meanwhile are refused later: else one that always tries again would never return.
    for (let count = this.#lanes.waiting; count > 0; count--) {
      const task = this.#lanes.shift()
      if (task === null) return
      this.#finish(task, Outcome.NotSent)
    }
  }

  header(bytes: Buffer, at: number, dataLength: number): DataMode {
    const opcode = (bytes[at] as number) & 0x3f
    this.#sender.sawWindow(bytes, at)
    if (opcode === Response.DataIn) return this.#headerOfData(bytes, at, dataLength)
    if (opcode === Response.Command && dataLength === 0) {
      const task = this.#answered(bytes, at)
      if (task !== undefined) this.#answer(task)
      return DataMode.Stream
    }
    if (opcode === Response.ReadyToTransfer) {
      this.#readyToTransfer(bytes, at, dataLength)
      return DataMode.Stream
    }
    return DataMode.Collect
  }

  #headerOfData(bytes: Buffer, at: number, dataLength: number): DataMode {
    const tag = get32(bytes, at + 16)
    const task = this.#tasks.find(tag)
    const fault = dataInFault(task, tag, get32(bytes, at + 40), dataLength)
    if (task === undefined || fault !== undefined) return this.#refuse(fault)
    const flags = bytes[at + 1] as number
    this.#ends = (flags & STATUS_BIT) !== 0
    if (this.#ends) {
      this.#sender.sawStatSn(bytes, at)
      task.status = bytes[at + 3] as number
      task.residual = (flags & (UNDERFLOW | OVERFLOW)) === 0 ? 0 : get32(bytes, at + 44)
    }
    this.#current = task
    return DataMode.Stream
  }

  data(bytes: Buffer, start: number, end: number): void {
    const task = this.#current
    if (task === null) return
    if (task.state !== TaskState.Sent) {
      task.received += end - start
      return
    }
    if (fillViews(task, bytes, start, end)) this.#connection.retain()
  }

  end(): void {
    const task = this.#current
    if (task === null) return
    this.#current = null
    if (this.#ends) this.#answer(task)
  }

  whole(header: Buffer, data: Buffer): void {
    const tag = get32(header, 16)
    switch ((header[0] as number) & 0x3f) {
      case Response.Command: {
        const task = this.#answered(header, 0)
        if (task === undefined) return
        const length = data.length < 2 ? 0 : Math.min(data.readUInt16BE(0), data.length - 2)
        task.sense = data.subarray(2, 2 + length)
        return this.#answer(task)
      }
      case Response.NopIn:
        return this.#nopIn(header, tag)
      case Response.TaskManagement:
      case Response.Text:
      case Response.Logout:
        this.#sender.sawStatSn(header, 0)
        return this.#requests.answer(tag, header, data)
      case Response.Async:
        this.#sender.sawStatSn(header, 0)
        return this.#notices.take(header, data)
      case Response.Reject:
        this.#sender.sawStatSn(header, 0)
        return this.#rejected(header, data)
      default:
        this.#refuse(`opcode 0x${((header[0] as number) & 0x3f).toString(16)} in full feature phase`)
    }
  }

  broken(reason: string): void {
    this.#refuse(reason)
  }

  /** The task that a SCSI Response is for, with what the header says of it. */
  #answered(bytes: Buffer, at: number): Task | undefined {
    const tag = get32(bytes, at + 16)
    const task = this.#tasks.find(tag)
    if (task === undefined) {
      this.#refuse(`a response for tag ${tag}, which no command has`)
      return undefined
    }
    if (this.#early.length > 0 && this.#early.includes(task)) {
      this.#refuse(`a second response for tag ${tag}`)
      return undefined
    }
    this.#sender.sawStatSn(bytes, at)
    const flags = bytes[at + 1] as number
    task.status = bytes[at + 3] as number
    task.residual = (flags & (UNDERFLOW | OVERFLOW)) === 0 ? 0 : get32(bytes, at + 44)
    if (bytes[at + 2] !== RESPONSE_COMPLETED) task.outcome = Outcome.Failed
    return task
  }

  #answer(task: Task): void {
    this.answers++
    if (((task.cmdSn - this.#answeredSn) | 0) > 0) this.#answeredSn = task.cmdSn
    if (task.state === TaskState.Orphan) return this.#forget(task, task.tag)
    if (task.direction === Direction.Write && task.sentUpTo > this.#connection.outbox.left) {
      this.#early.push(task)
      this.#earlyTimer ??= this.#options.clock.after(EARLY_WAIT, this.#endEarly)
      return
    }
    this.#finish(task, task.outcome)
  }

  // What the target answered before it had all of the data ends when the last of it has left.
  readonly #endEarly = (): void => {
    this.#earlyTimer = undefined
    const tasks = this.#early.splice(0)
    for (const task of tasks) if (task.state !== TaskState.Idle) this.#answer(task)
  }

  #finish(task: Task, outcome: Outcome): void {
    task.outcome = outcome
    if (task.state >= TaskState.Sent) this.#lanes.ended(this.#lanes.of(task), task.length)
    task.state = TaskState.Idle
    task.done(task)
    this.#tasks.give(task)
  }

  #orphan(task: Task): void {
    this.#early = this.#early.filter((other) => other !== task)
    this.#lanes.orphaned(this.#lanes.of(task), task.length)
    task.outcome = Outcome.Lost
    task.state = TaskState.Orphan
    task.done(task)
    task.io = null
    task.buffers = NO_BUFFERS
  }

  #forget(task: Task, tag: number): void {
    if (task.state !== TaskState.Orphan || task.tag !== tag) return
    // The rest of its data must not become that of the command it serves next.
    if (this.#current === task) this.#current = null
    this.#lanes.ended(this.#lanes.of(task))
    this.#tasks.give(task)
  }

  #readyToTransfer(bytes: Buffer, at: number, dataLength: number): void {
    const tag = get32(bytes, at + 16)
    const offset = get32(bytes, at + 40)
    const length = get32(bytes, at + 44)
    const task = this.#tasks.find(tag)
    const fault =
      dataLength > 0 ? 'R2T with a data segment' : readyFault(task, tag, offset, length, this.negotiated.maxBurstLength)
    if (task === undefined || fault !== undefined) return void this.#refuse(fault)
    if (task.state === TaskState.Sent) this.#sender.data(task, get32(bytes, at + 20), offset, offset + length)
  }

  #nopIn(header: Buffer, tag: number): void {
    if (tag !== NO_TAG) this.#sender.sawStatSn(header, 0)
    if (get32(header, 20) === NO_TAG || this.#sender.pong(header)) return
    this.#refuse('pings whose answers it does not take')
  }

  readonly #request: SendRequest = (what, opcode, flags, fill, sequence) => {
    if (this.error !== undefined) return Promise.reject(this.error)
    const send = (tag: number): void => {
      const header = requestHeader(opcode, flags, tag)
      this.#sender.request(header, fill(header))
    }
    return this.#requests.ask(what, this.#options.taskTimeout, send, sequence)
  }

  #rejected(header: Buffer, data: Buffer): void {
    const error = rejection(header[2] as number)
    const tag = data.length >= 20 ? get32(data, 16) : NO_TAG
    if (!this.#requests.owns(tag) || tag === NO_TAG) return this.drop(error)
    this.#requests.fail(tag, error)
  }

  #refuse(what = 'nonsense'): DataMode {
    this.drop(protocolError(what))
    return DataMode.Stream
  }
}

function protocolError(what: string): BlockError {
  return new BlockError('PROTOCOL', `the target broke the iSCSI protocol: ${what}`)
}
