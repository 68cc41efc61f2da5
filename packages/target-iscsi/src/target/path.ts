import type {
  Access,
  Clock,
  DeviceLimits,
  Events,
  Io,
  IoStatus,
  Path,
  PathEvents,
  ScsiAnswer,
  ScsiOptions,
  SignalOptions,
  Timer,
  VolumeId,
} from '@blockbraid/core'
import {
  BlockError,
  createEmitter,
  Errno,
  IoFlag,
  IoOp,
  NO_BUFFERS,
  NOT_EXECUTED,
  OK,
  PATH_ERROR,
} from '@blockbraid/core'
import type { ScsiCommand } from '../scsi/cdb.ts'
import { putReadWrite, putSyncCache, READ, setTargetPortGroups, testUnitReady, WRITE } from '../scsi/cdb.ts'
import type { Lun } from '../scsi/lun.ts'
import { decodeSense } from '../scsi/sense.ts'
import { Action, judge, News, ScsiStatus } from '../scsi/status.ts'
import { call } from '../session/call.ts'
import type { Session, SessionListener } from '../session/session.ts'
import type { Task } from '../session/task.ts'
import { Direction, Outcome } from '../session/task.ts'
import { abortable } from './abortable.ts'
import type { Asker } from './ask.ts'
import { ask, ScsiError } from './ask.ts'
import type { Disk, Identity } from './disk.ts'
import { EXPLICIT_ACCESS, readAccess, readCapacity, readDisk, readIdentity } from './disk.ts'
import type { Nexus } from './nexus.ts'
import { runRange } from './range.ts'

/** What a path needs of its target. */
export interface PathHost {
  readonly clock: Clock
  readonly taskTimeout: number
  readonly pollInterval: number
  readonly queueDepth: number
  readonly maxTransfer: number
  /** Volumes came or went. */
  changed(why: string): void
  /** What was read of the volume last, through any path; a new reading is told by `disk`. */
  lastDisk(volume: VolumeId, disk?: Disk): Disk | undefined
  /** Volumes of which an acknowledged write has failed; a flush through any path must tell. */
  readonly writesLost: Set<VolumeId>
  /** Settles when a reset through another path has ended what this one has sent; without the option it never does. */
  fencedByReset(path: IscsiPath, signal: AbortSignal): Promise<void>
  /** The path is closed and fenced. */
  gone(path: IscsiPath): void
}

/** What was read when the path was opened. */
export interface Opened {
  readonly identity: Identity
  readonly disk: Disk
  readonly access: Access
}

const CUT: IoStatus = Errno.EIO | PATH_ERROR
const NEVER_SENT: IoStatus = Errno.EIO | PATH_ERROR | NOT_EXECUTED
const CLOSED: IoStatus = Errno.ESHUTDOWN | PATH_ERROR | NOT_EXECUTED
const BUSY: IoStatus = Errno.EAGAIN | PATH_ERROR | NOT_EXECUTED
const RANGE_TIMEOUT = 120_000
// With each of so many polls the size is read, also of a path that is busy.
const POLLS_TO_LOOK = 6
const MAX_RETRIES = 5
const MAX_ROUNDS = 20
const MAX_PAUSES = 8
const FIRST_PAUSE = 10
const LONGEST_PAUSE = 250

/** One logical unit through one portal. */
export class IscsiPath implements Path {
  readonly id: string
  readonly volume: VolumeId
  access: Access
  limits: DeviceLimits
  readonly activate?: (options?: SignalOptions) => Promise<void>
  readonly #emitter = createEmitter<PathEvents>()
  readonly #host: PathHost
  readonly #nexus: Nexus
  readonly #session: Session
  readonly #lun: Lun
  #identity: Identity
  #disk: Disk
  #failure: BlockError | undefined
  #downSaid = false
  #closed: Promise<void> | undefined
  #cut = false
  // Ios that wait until it is known what the path leads to now.
  #held: Io[] = []
  #news = 0
  #checking = false
  // Until it is known who answers, what was answered may have come from another volume.
  #doubts = false
  #doubted = new Map<Io, IoStatus>()
  // Ios that are sent again after a pause, and how often each was sent already.
  #pauses = new Map<Io, Timer>()
  #tries = new Map<Io, number>()
  #refused: Io[] = []
  #jobs = 0
  #onIdle: (() => void) | undefined
  #quiet = true
  #poll: Timer | undefined
  #polls = 0
  readonly #ending = new AbortController()
  readonly #listener: SessionListener

  constructor(host: PathHost, nexus: Nexus, session: Session, lun: Lun, id: string, opened: Opened) {
    this.#host = host
    this.#nexus = nexus
    this.#session = session
    this.#lun = lun
    this.id = id
    this.#identity = opened.identity
    this.#disk = opened.disk
    this.volume = opened.identity.volume
    this.access = opened.access
    this.limits = opened.disk.limits
    if ((opened.identity.inquiry.tpgs & EXPLICIT_ACCESS) !== 0) this.activate = (options) => this.#activate(options)
    this.#listener = {
      lost: (error) => this.#fail(error),
      event: (high, low, sense) => {
        if (high === lun.high && low === lun.low) this.#hear(judge(ScsiStatus.CheckCondition, decodeSense(sense)).news)
      },
    }
    session.listeners.add(this.#listener)
    this.#schedulePoll()
  }

  get events(): Events<PathEvents> {
    return this.#emitter
  }

  get #open(): boolean {
    return this.#failure === undefined && this.#closed === undefined
  }

  submit(io: Io): void {
    if (this.#failure !== undefined || this.#closed !== undefined) this.#refuse(io)
    else if (this.#checking) this.#held.push(io)
    else this.#start(io)
  }

  #start(io: Io): void {
    const { op } = io
    if (op === IoOp.Trim || op === IoOp.WriteZeroes) return this.#startRange(io)
    const session = this.#session
    const task = session.take()
    if (task === undefined) return this.#host.clock.defer(() => io.done(io, BUSY))
    const { long, limits } = this.#disk
    task.owner = this
    task.io = io
    task.lunHigh = this.#lun.high
    task.lunLow = this.#lun.low
    task.done = this.#onDone
    task.changes = op !== IoOp.Read
    if (op === IoOp.Flush) {
      putSyncCache(task.cdb, 0, long)
      task.direction = Direction.None
      task.length = 0
    } else {
      const fua = (io.flags & IoFlag.Fua) !== 0
      const blocks = io.length / limits.blockSize
      const reads = op === IoOp.Read
      putReadWrite(
        task.cdb,
        0,
        reads ? READ : WRITE,
        long || blocks > 0xffff,
        fua,
        io.offset / limits.blockSize,
        blocks,
      )
      task.direction = reads ? Direction.Read : Direction.Write
      task.length = io.length
      task.lends = reads && io.buffers === NO_BUFFERS
      task.buffers = io.buffers
    }
    session.send(task)
  }

  readonly #onDone = (task: Task): void => {
    const io = task.io as Io
    this.#quiet = false
    if (task.outcome !== Outcome.Answered || task.status !== ScsiStatus.Good || task.residual !== 0) {
      return this.#troubled(task, io)
    }
    if (task.direction === Direction.Read) {
      if (task.received !== task.length) return this.#troubled(task, io)
      if (task.lends) io.buffers = task.buffers
    } else if (io.op === IoOp.Flush && this.#host.writesLost.delete(this.volume)) {
      return this.#end(io, Errno.EIO)
    }
    if (this.#doubts) return void this.#doubted.set(io, OK)
    if (this.#tries.size > 0) this.#tries.delete(io)
    io.done(io, OK)
  }

  #troubled(task: Task, io: Io): void {
    if (task.outcome === Outcome.NotSent) return this.#end(io, NEVER_SENT)
    if (task.outcome !== Outcome.Answered) return this.#end(io, CUT)
    const verdict = judge(task.status, decodeSense(task.sense))
    // Good, or as good, and not all of the data: the array has failed, not the path.
    if (verdict.status === OK) {
      const reads = task.direction === Direction.Read
      const whole = reads ? task.received === task.length : task.residual === 0 || task.length === 0
      if (whole && task.lends) io.buffers = task.buffers
      // The target does not say that anything is missing: it was lost on the way.
      if (reads && !whole && task.residual === 0) return this.#end(io, CUT)
      return this.#answered(io, whole ? OK : Errno.EIO)
    }
    // Without a command for it there is no cache either, unless it says so.
    if (io.op === IoOp.Flush && verdict.status === Errno.EOPNOTSUPP && !this.#disk.tellsCache) {
      return this.#answered(io, this.#host.writesLost.delete(this.volume) ? Errno.EIO : OK)
    }
    const tries = (this.#tries.get(io) ?? 0) + 1
    if (verdict.news !== 0) this.#hear(verdict.news)
    if (verdict.action === Action.Retry && tries <= MAX_RETRIES && this.#open) {
      this.#tries.set(io, tries)
      this.submit(io)
    } else if (verdict.action === Action.RetryLater && tries <= MAX_PAUSES && this.#open) {
      this.#tries.set(io, tries)
      const pause = Math.min(FIRST_PAUSE * 2 ** tries, LONGEST_PAUSE)
      this.#pauses.set(
        io,
        this.#host.clock.after(pause, () => {
          this.#pauses.delete(io)
          this.submit(io)
        }),
      )
    } else {
      this.#answered(io, verdict.status)
    }
  }

  #answered(io: Io, status: IoStatus): void {
    if (this.#doubts) this.#doubted.set(io, status)
    else this.#end(io, status)
  }

  #end(io: Io, status: IoStatus): void {
    this.#tries.delete(io)
    io.done(io, status)
  }

  #refuse(io: Io): void {
    this.#refused.push(io)
    if (this.#refused.length > 1) return
    this.#host.clock.defer(() => {
      const status = this.#closed === undefined ? NEVER_SENT : CLOSED
      for (const each of this.#refused.splice(0)) this.#end(each, status)
    })
  }

  #startRange(io: Io): void {
    this.#jobs++
    void runRange(io, this.#disk, (command) => this.#sendRange(command)).then((status) => {
      this.#quiet = false
      this.#end(io, status)
      this.#jobEnded()
    })
  }

  async #sendRange(command: ScsiCommand): Promise<IoStatus> {
    for (let tries = 1; ; tries++) {
      // What the path leads to must be known before anything is sent.
      await this.#checked()
      if (!this.#open) return CUT
      let answer: ScsiAnswer
      try {
        answer = await this.#call(command, RANGE_TIMEOUT, true)
      } catch {
        return CUT
      }
      const verdict = judge(answer.status, decodeSense(answer.sense))
      if (verdict.news !== 0) this.#hear(verdict.news)
      if (verdict.status === OK || verdict.action === Action.None || tries > MAX_RETRIES) {
        await this.#checked()
        return this.#open ? verdict.status : CUT
      }
      await new Promise<void>((resolve) => {
        this.#host.clock.after(verdict.action === Action.Retry ? 0 : LONGEST_PAUSE, resolve)
      })
    }
  }

  /** Settles when it is known what the path leads to, or the path has ended. */
  async #checked(): Promise<void> {
    while (this.#checking && this.#open) await new Promise<void>((resolve) => void this.#host.clock.after(1, resolve))
  }

  #jobEnded(): void {
    this.#jobs--
    if (this.#jobs === 0) this.#onIdle?.()
  }

  #call(command: ScsiCommand, timeout: number, changes: boolean, signal?: AbortSignal): Promise<ScsiAnswer> {
    const { clock } = this.#host
    const both = signal === undefined ? this.#ending.signal : AbortSignal.any([signal, this.#ending.signal])
    return call(this.#session, this, this.#lun, command, { clock, timeout, changes, signal: both })
  }

  async scsi(cdb: Uint8Array, data: Uint8Array | number = 0, options: ScsiOptions = {}): Promise<ScsiAnswer> {
    if (!this.#open) throw this.#closedError()
    if (!(cdb instanceof Uint8Array) || cdb.length < 6 || cdb.length > 16) {
      throw new TypeError(`cdb has ${cdb?.length} bytes; it must be a Uint8Array of 6 to 16`)
    }
    if (typeof data === 'number' && !(Number.isInteger(data) && data >= 0 && data <= 0x100_0000)) {
      throw new TypeError(`data is ${data}; it must be bytes to send, or how many to receive, at most 16 MiB`)
    }
    const { signal, timeout = 30_000 } = options
    await this.#checked()
    if (!this.#open) throw this.#closedError()
    // What any command may do is not known here.
    const answer = await this.#call({ cdb, data }, timeout, true, signal)
    if (answer.status !== ScsiStatus.Good) this.#hear(judge(answer.status, decodeSense(answer.sense)).news)
    return answer
  }

  /**
   * Asks for a reset of the logical unit (RFC 7143 §11.5.1), which ends the commands of every host there. Rejects
   * with NOT_SUPPORTED where the target refuses.
   */
  async reset(): Promise<void> {
    if (!this.#open) throw this.#closedError()
    if (await this.#session.resetLun(this.#lun)) return this.#hear(News.Identity | News.Capacity | News.Access)
    throw new BlockError('NOT_SUPPORTED', `${this.id}: the target did not reset the logical unit`)
  }

  async #activate({ signal }: SignalOptions = {}): Promise<void> {
    if (!this.#open) throw this.#closedError()
    const { portGroup } = this.#identity.port
    if (portGroup === undefined) throw new BlockError('NOT_SUPPORTED', `${this.id} does not tell its port group`)
    const command = setTargetPortGroups([{ group: portGroup, state: 0 }])
    for (let tries = 1; ; tries++) {
      const answer = await this.#call(command, this.#host.taskTimeout, true, signal)
      const verdict = judge(answer.status, decodeSense(answer.sense))
      if (verdict.news !== 0) this.#hear(verdict.news)
      if (verdict.status === OK) break
      if (verdict.action !== Action.Retry || tries > MAX_RETRIES) {
        throw new BlockError('IO_FAILED', `SET TARGET PORT GROUPS: ${verdict.text}`)
      }
    }
    this.#hear(News.Access)
  }

  #closedError(): BlockError {
    if (this.#closed !== undefined) return new BlockError('CLOSED', `${this.id} is closed`)
    return new BlockError('IO_FAILED', `${this.id} is down: ${this.#failure?.message}`, { cause: this.#failure })
  }

  #asker(onNews: (news: number) => void): Asker {
    const { clock, taskTimeout } = this.#host
    return {
      session: this.#session,
      owner: this,
      lun: this.#lun,
      options: { clock, timeout: taskTimeout, signal: this.#ending.signal },
      onNews,
    }
  }

  /** Reads size and limits again. */
  lookAgain(): void {
    this.#hear(News.Capacity)
  }

  /** Something may have changed: it is read again, and until then nothing is sent. */
  #hear(news: number): void {
    if (news === 0 || !this.#open) return
    if ((news & News.WriteLost) !== 0) this.#host.writesLost.add(this.volume)
    if ((news & (News.Luns | News.Identity)) !== 0) this.#doubts = true
    this.#news |= news & (News.Access | News.Capacity | News.Luns | News.Identity)
    if (this.#news !== 0 && !this.#checking) void this.#check()
  }

  async #check(): Promise<void> {
    this.#checking = true
    try {
      for (let round = 1; this.#news !== 0 && this.#open; round++) {
        if (round > MAX_ROUNDS) throw new BlockError('IO_FAILED', `${this.id} reports changes without an end`)
        const news = this.#news
        this.#news = 0
        await this.#readAgain(news)
      }
    } catch (error) {
      if (this.#open) this.#fail(error as BlockError)
    }
    this.#checking = false
    if (!this.#open) return
    this.#doubts = false
    const doubted = [...this.#doubted]
    this.#doubted.clear()
    const held = this.#held.splice(0)
    for (const [io, status] of doubted) this.#end(io, status)
    for (const io of held) this.submit(io)
  }

  async #readAgain(news: number): Promise<void> {
    // A port in standby says so again with each command; all else is told once, and may be later than what was read.
    const asker = this.#asker((more) => this.#hear(more & ~(news & News.Access)))
    if ((news & (News.Identity | News.Luns)) !== 0) {
      const identity = await readIdentity(asker)
      if (identity?.volume !== this.volume) {
        const what = identity === undefined ? 'to no disk' : `to volume ${identity.volume}`
        throw new BlockError('IDENTITY_CHANGED', `${this.id} now leads ${what}, not to ${this.volume}`)
      }
      this.#identity = identity
      if ((news & News.Luns) !== 0) this.#host.changed(`${this.id} reports that logical units came or went`)
    }
    if ((news & (News.Identity | News.Capacity)) !== 0) await this.#readLimits(asker)
    const access = await readAccess(asker, this.#identity)
    if (access === this.access || !this.#open) return
    // What a port in standby did not tell is to be known before the first I/O.
    if (takesIo(access) && !takesIo(this.access)) await this.#readLimits(asker)
    if (!this.#open) return
    this.access = access
    this.#emitter.emit('access', access)
  }

  async #readLimits(asker: Asker): Promise<void> {
    try {
      this.#disk = await readDisk(asker, this.#identity, this.#host)
      this.#host.lastDisk(this.volume, this.#disk)
    } catch (error) {
      if (!(error instanceof ScsiError)) throw error
      // In standby it may not tell; another path has, or it is asked again when it takes I/O.
      this.#disk = this.#host.lastDisk(this.volume) ?? this.#disk
    }
    const before = this.limits
    const { limits } = this.#disk
    if (before.blockSize !== limits.blockSize) {
      throw new BlockError(
        'MISMATCH',
        `${this.id} now has blocks of ${limits.blockSize} bytes, not ${before.blockSize}`,
      )
    }
    if (!this.#open || JSON.stringify(before) === JSON.stringify(limits)) return
    this.limits = limits
    this.#emitter.emit('limits', limits)
  }

  #schedulePoll(): void {
    this.#poll = this.#host.clock.after(this.#host.pollInterval, () => void this.#askForNews())
  }

  /** A path without I/O hears of nothing: unit attentions come with the answer to a command. */
  async #askForNews(): Promise<void> {
    const idle = this.#quiet
    this.#quiet = true
    this.#polls++
    if ((idle || this.#polls % POLLS_TO_LOOK === 0) && !this.#checking) {
      try {
        if (takesIo(this.access)) await this.#look()
        else this.#hear(News.Access | News.Capacity)
      } catch (error) {
        // The news is heard; a lost session tells of itself.
        if (BlockError.is(error) && error.code === 'TIMED_OUT') this.#fail(error)
      }
    }
    if (this.#open) this.#schedulePoll()
  }

  /** Hears of what is queued for this path, and now and then of a new size that no unit attention tells. */
  async #look(): Promise<void> {
    const asker = this.#asker((news) => this.#hear(news))
    if (this.#polls % POLLS_TO_LOOK !== 0) return void (await ask(asker, 'TEST UNIT READY', testUnitReady()))
    const { size } = await readCapacity(asker)
    if (size !== this.limits.size) this.lookAgain()
  }

  #fail(failure: BlockError): void {
    if (!this.#open) return
    this.#failure = failure
    this.#cutAll()
    const sayDown = (): void => {
      if (this.#closed !== undefined || this.#downSaid) return
      this.#downSaid = true
      this.#emitter.emit('down', failure)
    }
    // After those that were refused meanwhile.
    const afterJobs = (): void => this.#host.clock.defer(sayDown)
    if (this.#jobs === 0) afterJobs()
    else this.#onIdle = afterJobs
  }

  /** Ends every Io in flight, also those that wait. */
  #cutAll(): void {
    if (this.#cut) return
    this.#cut = true
    this.#poll?.cancel()
    this.#ending.abort(this.#closedError())
    const session = this.#session
    const clean = session.detach(session.tasksOf(this))
    if (!clean) session.drop(new BlockError('CONNECT_FAILED', 'a path closed while its data was still being sent'))
    for (const timer of this.#pauses.values()) timer.cancel()
    for (const io of [...this.#pauses.keys(), ...this.#held.splice(0)]) this.#end(io, NEVER_SENT)
    this.#pauses.clear()
    const doubted = [...this.#doubted.keys()]
    this.#doubted.clear()
    for (const io of doubted) this.#end(io, CUT)
  }

  close(options: SignalOptions = {}): Promise<void> {
    this.#closed ??= Promise.resolve().then(() => this.#close())
    return abortable(this.#closed, options.signal)
  }

  async #fenced(): Promise<void> {
    if (!this.#session.unfenced.has(this)) return
    const proven = new AbortController()
    await Promise.race([
      this.#nexus.fenced(this.#session, this, this.#lun),
      this.#host.fencedByReset(this, proven.signal),
    ])
    proven.abort()
  }

  async #close(): Promise<void> {
    this.#cutAll()
    if (this.#jobs > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve
      })
    }
    const session = this.#session
    if (session.error === undefined && !(await session.abort(this))) {
      session.drop(new BlockError('TIMED_OUT', 'the target did not say that aborted commands have ended'))
    }
    await this.#fenced()
    session.listeners.delete(this.#listener)
    this.#nexus.release()
    this.#host.gone(this)
  }
}

function takesIo(access: Access): boolean {
  return access === 'optimized' || access === 'non-optimized'
}
