import type { Clock, Timer } from '@blockbraid/core'
import { BlockError, NO_BUFFERS } from '@blockbraid/core'
import type { LoginResult } from '../login/login.ts'
import { FINAL, putCommand, putDataOut, requestHeader, TaskFunction } from '../pdu/encode.ts'
import { NO_TAG, Request, Response } from '../pdu/opcode.ts'
import type { PduParser, PduSink } from '../pdu/parser.ts'
import { DataMode } from '../pdu/parser.ts'
import { get32, put32 } from '../scsi/bytes.ts'
import type { SendRequest, TaskReference } from './ask-session.ts'
import { askLogout, askTaskFunction, askText } from './ask-session.ts'
import type { Wire } from './connection.ts'
import { dataInFault, readyFault } from './faults.ts'
import type { KeepAliveOptions } from './keep-alive.ts'
import { KeepAlive } from './keep-alive.ts'
import { rejection } from './reject.ts'
import { PING_TAG, Requests } from './requests.ts'
import type { Task } from './task.ts'
import { Direction, Outcome, TaskState, TaskTable } from './task.ts'
import { TaskQueue } from './task-queue.ts'

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

/** Events of an Async Message (RFC 7143 §11.9.1). */
const AsyncEvent = { Scsi: 0, Logout: 1, DropConnection: 2, DropSession: 3, Negotiate: 4 } as const

const RESPONSE_COMPLETED = 0
const STATUS_BIT = 0x01
const UNDERFLOW = 0x02
const OVERFLOW = 0x04
// A target that answers before it has taken all data is rare: then the buffers are looked after this often, ms.
const EARLY_WAIT = 2
const MANY_TASKS = 4
const MANY_PONGS = 1024

/** A session in full feature phase over its one connection, error recovery level 0 (RFC 7143 §4.2). */
export class Session implements PduSink {
  readonly negotiated: LoginResult
  readonly listeners = new Set<SessionListener>()
  /** Why it has ended; undefined as long as it can be used. */
  error: BlockError | undefined
  /** Owners of commands that changed data and had no answer when the session was lost. */
  readonly unfenced = new Set<object>()
  readonly #connection: Wire
  readonly #parser: PduParser
  readonly #options: SessionOptions
  readonly #tasks = new TaskTable()
  readonly #requests: Requests
  readonly #keepAlive: KeepAlive
  readonly #waiting = new TaskQueue()
  #cmdSn: number
  #maxCmdSn: number
  #expStatSn: number
  #maxSend: number
  // Of the Data-In that is being received.
  #current: Task | null = null
  #ends = false
  #early: Task[] = []
  #earlyTimer: Timer | undefined
  #leaving: Timer | undefined
  #negotiating = false
  // Answers to pings since all of them had left, and where the last one ends.
  #pongs = 0
  #pongsUpTo = 0

  constructor(connection: Wire, parser: PduParser, negotiated: LoginResult, options: SessionOptions) {
    this.negotiated = negotiated
    this.#connection = connection
    this.#parser = parser
    this.#options = options
    this.#requests = new Requests(options.clock)
    this.#cmdSn = negotiated.cmdSn
    this.#maxCmdSn = negotiated.maxCmdSn
    this.#expStatSn = negotiated.statSn
    this.#maxSend = negotiated.maxSendSegment
    this.#keepAlive = new KeepAlive(
      options.clock,
      options.keepAlive,
      () => this.#ping(),
      () => this.drop(new BlockError('TIMED_OUT', `no answer to a ping within ${options.keepAlive.timeout} ms`)),
    )
    parser.useDigests(negotiated.headerDigest, negotiated.dataDigest)
    parser.maxData = options.maxRecvDataSegmentLength
    connection.outbox.useDigests(negotiated.headerDigest, negotiated.dataDigest)
    connection.sink = {
      bytes: (chunk, start, end) => {
        this.#keepAlive.heard()
        parser.push(chunk, start, end)
        if (this.#waiting.head !== null) this.#pump()
      },
      ended: (error) => this.drop(error),
    }
  }

  /** Whether new commands are taken: it lives, and the target has not asked for its end. */
  get usable(): boolean {
    return this.error === undefined && this.#leaving === undefined
  }

  /** A task to fill in and `send`; undefined when there are too many. */
  take(): Task | undefined {
    return this.#tasks.take()
  }

  /** Sends a task, or lets it wait for the command window (RFC 7143 §4.2.2.1). */
  send(task: Task): void {
    task.rewind()
    if (this.usable && this.#waiting.head === null && this.#windowOpen) return this.#transmit(task)
    task.state = TaskState.Waiting
    this.#waiting.push(task)
    if (!this.usable) this.#options.clock.defer(() => this.#refuseWaiting())
  }

  /** Calls `visit` with every task of `owner` that is waiting or sent. */
  tasksOf(owner: object): Task[] {
    return this.#tasks.all.filter((task) => task.owner === owner && task.state !== TaskState.Idle)
  }

  /**
   * Ends tasks for their caller now: `done` is called with Lost or NotSent. Those that were sent live on
   * without a caller. Returns false where payload of one has not left this process: then the session must be dropped.
   */
  detach(tasks: readonly Task[]): boolean {
    let clean = true
    if (tasks.some((task) => task.state === TaskState.Waiting)) this.#waiting.remove(tasks)
    const { flushed } = this.#connection.outbox
    for (const task of tasks) {
      if (task.state === TaskState.Sent && task.direction === Direction.Write && task.sentUpTo > flushed) clean = false
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
  async abort(owner: object): Promise<boolean> {
    const orphans = this.#orphans((task) => task.owner === owner && task.changes)
    const first = orphans[0]
    if (first === undefined) return true
    if (orphans.length > MANY_TASKS && this.#onlyOrphans(first)) {
      const set = this.#orphans((task) => sameLun(task, first))
      if (await this.#taskFunction(TaskFunction.AbortTaskSet, first))
        for (const { task, tag } of set) this.#forget(task, tag)
    }
    for (const reference of orphans) {
      const { task, tag } = reference
      if (task.tag !== tag || task.state !== TaskState.Orphan) continue
      if (!(await this.#taskFunction(TaskFunction.AbortTask, reference))) return false
      this.#forget(task, tag)
    }
    return true
  }

  /** Orphans as they are now: a task may have ended and serve another command when the answer of the target comes. */
  #orphans(which: (task: Task) => boolean): (TaskReference & { readonly task: Task })[] {
    const orphans = this.#tasks.all.filter((task) => task.state === TaskState.Orphan && which(task))
    return orphans.map((task) => {
      const { lunHigh, lunLow, tag, cmdSn } = task
      return { task, lunHigh, lunLow, tag, cmdSn }
    })
  }

  /** ABORT TASK SET ends every command of this session there, and nothing is said to those that somebody waits for. */
  #onlyOrphans(lun: TaskReference): boolean {
    return !this.#tasks.all.some((task) => task.state === TaskState.Sent && sameLun(task, lun))
  }

  /** Aborts the orphans of `owner`, or drops the session where the target does not say that they have ended. */
  async abortOrDrop(owner: object, error: BlockError): Promise<void> {
    if (!(await this.abort(owner))) this.drop(error)
  }

  /** Asks for a reset of a logical unit (RFC 7143 §11.5.1), which ends the commands of every host there. */
  async resetLun(lun: { readonly high: number; readonly low: number }): Promise<boolean> {
    return this.#taskFunction(TaskFunction.LunReset, {
      lunHigh: lun.high,
      lunLow: lun.low,
      tag: NO_TAG,
      cmdSn: 0,
    })
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
    this.#tellLost(error)
  }

  #tellLost(error: BlockError): void {
    for (const listener of [...this.listeners]) listener.lost(error)
  }

  #end(error: BlockError): void {
    if (this.error !== undefined) return
    this.error = error
    this.#keepAlive.stop()
    this.#leaving?.cancel()
    this.#earlyTimer?.cancel()
    this.#parser.stop()
    this.#connection.destroy()
    this.#current = null
    for (const task of this.#tasks.all) {
      if (task.state >= TaskState.Sent && task.changes && task.owner !== null) this.unfenced.add(task.owner)
    }
    this.#requests.failAll(error)
    for (const task of this.#early.splice(0)) if (task.state === TaskState.Sent) this.#finish(task, task.outcome)
    for (const task of [...this.#tasks.all]) {
      if (task.state === TaskState.Sent) this.#finish(task, Outcome.Lost)
      else if (task.state === TaskState.Orphan) this.#forget(task, task.tag)
    }
    this.#refuseWaiting()
  }

  get #windowOpen(): boolean {
    return ((this.#maxCmdSn - this.#cmdSn) | 0) >= 0
  }

  #pump(): void {
    while (this.#waiting.head !== null && this.#windowOpen && this.usable) {
      this.#transmit(this.#waiting.shift() as Task)
    }
  }

  #refuseWaiting(): void {
    // Those that `done` sends meanwhile are refused later: else one that always tries again would never return.
    let count = 0
    for (let task = this.#waiting.head; task !== null; task = task.next) count++
    for (; count > 0; count--) {
      const task = this.#waiting.shift()
      if (task === null) return
      this.#finish(task, Outcome.NotSent)
    }
  }

  #transmit(task: Task): void {
    const { outbox } = this.#connection
    const { negotiated } = this
    task.state = TaskState.Sent
    task.tag = (task.tag + 0x1_0000) & 0x7fff_ffff
    task.cmdSn = this.#cmdSn
    this.#cmdSn = (this.#cmdSn + 1) >>> 0
    const at = outbox.begin()
    if (task.direction !== Direction.Write) {
      putCommand(outbox.slab, at, task, task.direction, 0, true, this.#expStatSn)
      outbox.end(at)
      return
    }
    const burst = Math.min(task.length, negotiated.firstBurstLength)
    const immediate = negotiated.immediateData ? Math.min(burst, this.#maxSend) : 0
    const unsolicited = negotiated.initialR2T ? immediate : burst
    putCommand(outbox.slab, at, task, Direction.Write, immediate, immediate === unsolicited, this.#expStatSn)
    if (immediate > 0) outbox.endWith(at, task.buffers, 0, immediate)
    else outbox.end(at)
    task.sent = immediate
    if (unsolicited > immediate) this.#sendData(task, NO_TAG, immediate, unsolicited)
    task.sentUpTo = outbox.position
  }

  /** Sends bytes `from` to `to` of a write as one sequence of Data-Out. */
  #sendData(task: Task, transferTag: number, from: number, to: number): void {
    const { outbox } = this.#connection
    for (let dataSn = 0; from < to; dataSn++) {
      const count = Math.min(to - from, this.#maxSend)
      const at = outbox.begin()
      putDataOut(outbox.slab, at, task, transferTag, dataSn, from, count, from + count === to, this.#expStatSn)
      outbox.endWith(at, task.buffers, from, count)
      from += count
    }
    task.sent = to
    task.sentUpTo = outbox.position
  }

  header(bytes: Buffer, at: number, dataLength: number): DataMode {
    const opcode = (bytes[at] as number) & 0x3f
    // Every PDU of a target has these two at the same place (RFC 7143 §11.4.9, 11.4.10).
    const maxCmdSn = get32(bytes, at + 32)
    if (((maxCmdSn - this.#maxCmdSn) | 0) > 0) {
      if (((maxCmdSn - get32(bytes, at + 28)) | 0) >= -1) this.#maxCmdSn = maxCmdSn
    }
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
      this.#sawStatSn(bytes, at)
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
    if (task.lends) this.#connection.retain()
    task.fill(bytes, start, end)
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
        this.#sawStatSn(header, 0)
        return this.#requests.answer(tag, header, data)
      case Response.Async:
        this.#sawStatSn(header, 0)
        return this.#async(header, data)
      case Response.Reject:
        this.#sawStatSn(header, 0)
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
    this.#sawStatSn(bytes, at)
    const flags = bytes[at + 1] as number
    task.status = bytes[at + 3] as number
    task.residual = (flags & (UNDERFLOW | OVERFLOW)) === 0 ? 0 : get32(bytes, at + 44)
    if (bytes[at + 2] !== RESPONSE_COMPLETED) task.outcome = Outcome.Failed
    return task
  }

  #answer(task: Task): void {
    if (task.state === TaskState.Orphan) return this.#forget(task, task.tag)
    if (task.direction === Direction.Write && task.sentUpTo > this.#connection.outbox.flushed) {
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
    task.state = TaskState.Idle
    task.done(task)
    this.#tasks.give(task)
  }

  #orphan(task: Task): void {
    this.#early = this.#early.filter((other) => other !== task)
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
    if (task.state === TaskState.Sent) this.#sendData(task, get32(bytes, at + 20), offset, offset + length)
  }

  #sawStatSn(bytes: Buffer, at: number): void {
    const next = (get32(bytes, at + 24) + 1) >>> 0
    if (((next - this.#expStatSn) | 0) > 0) this.#expStatSn = next
  }

  #nopIn(header: Buffer, tag: number): void {
    const transferTag = get32(header, 20)
    if (tag !== NO_TAG) this.#sawStatSn(header, 0)
    if (transferTag === NO_TAG) return
    const { outbox } = this.#connection
    if (outbox.flushed >= this.#pongsUpTo) this.#pongs = 0
    if (++this.#pongs > MANY_PONGS) return void this.#refuse('pings whose answers it does not take')
    const answer = requestHeader(Request.NopOut, FINAL, NO_TAG)
    header.copy(answer, 8, 8, 16)
    put32(answer, 20, transferTag)
    this.#sendRequest(answer, undefined)
    this.#pongsUpTo = outbox.position
  }

  #ping(): void {
    // Any byte from the target is a sign of life, so the answer needs no looking at.
    const header = requestHeader(Request.NopOut, FINAL, PING_TAG)
    this.#sendRequest(header, undefined)
  }

  readonly #request: SendRequest = (what, opcode, flags, fill, sequence) => {
    if (this.error !== undefined) return Promise.reject(this.error)
    const send = (tag: number): void => {
      const header = requestHeader(opcode, flags, tag)
      this.#sendRequest(header, fill(header))
    }
    return this.#requests.ask(what, this.#options.taskTimeout, send, sequence)
  }

  #sendRequest(header: Buffer, data: Buffer | undefined): void {
    const { outbox } = this.#connection
    put32(header, 24, this.#cmdSn)
    put32(header, 28, this.#expStatSn)
    const length = data?.length ?? 0
    put32(header, 4, length)
    const at = outbox.begin()
    header.copy(outbox.slab, at)
    if (data === undefined || length === 0) outbox.end(at)
    else outbox.endWith(at, [data], 0, length)
  }

  #taskFunction(code: number, task: TaskReference): Promise<boolean> {
    return askTaskFunction(this.#request, code, task).catch(() => false)
  }

  #async(header: Buffer, data: Buffer): void {
    const seconds = header.readUInt16BE(42)
    switch (header[36]) {
      case AsyncEvent.Scsi: {
        const length = data.length < 2 ? 0 : Math.min(data.readUInt16BE(0), data.length - 2)
        const sense = data.subarray(2, 2 + length)
        for (const listener of [...this.listeners]) listener.event(get32(header, 8), get32(header, 12), sense)
        return
      }
      case AsyncEvent.Logout:
        return this.#leave(seconds)
      case AsyncEvent.DropConnection:
      case AsyncEvent.DropSession:
        return this.drop(new BlockError('CONNECT_FAILED', 'the target says that it drops the connection'))
      case AsyncEvent.Negotiate:
        this.#renegotiate()
        return
      default:
    }
  }

  /** The target wants this session to end within some seconds: what is in flight may end, nothing is begun. */
  #leave(seconds: number): void {
    if (this.#leaving !== undefined) return
    const error = new BlockError('CONNECT_FAILED', 'the target asked for a logout')
    const { clock } = this.#options
    const deadline = clock.now() + Math.max(1, seconds) * 500_000
    const look = (): void => {
      const busy = this.#tasks.all.some((task) => task.state >= TaskState.Sent)
      if (busy && clock.now() < deadline) this.#leaving = clock.after(10, look)
      else if (busy) this.drop(error)
      else
        void askLogout(this.#request).then(
          () => this.drop(error),
          () => this.drop(error),
        )
    }
    this.#leaving = clock.after(0, look)
    this.#refuseWaiting()
  }

  #renegotiate(): void {
    if (this.#negotiating) return
    this.#negotiating = true
    const keys = `MaxRecvDataSegmentLength=${this.#options.maxRecvDataSegmentLength}\0`
    this.text(Buffer.from(keys), 65_536).then(
      (answer) => {
        this.#negotiating = false
        const told = /(?:^|\0)MaxRecvDataSegmentLength=(\d{3,8})\0/.exec(answer.toString('latin1'))
        if (told !== null) this.#maxSend = Math.min(Math.max(512, Number(told[1])), 0xff_ffff)
      },
      (error: BlockError) => this.drop(error),
    )
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

function sameLun(task: Task, lun: TaskReference): boolean {
  return task.lunHigh === lun.lunHigh && task.lunLow === lun.lunLow
}

function protocolError(what: string): BlockError {
  return new BlockError('PROTOCOL', `the target broke the iSCSI protocol: ${what}`)
}
