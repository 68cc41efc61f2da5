import type {
  Access,
  DeviceLimits,
  Events,
  Io,
  IoStatus,
  Path,
  PathEvents,
  SignalOptions,
  Timer,
  VolumeId,
} from '@blockbraid/core'
import {
  abortable,
  BlockError,
  createEmitter,
  Errno,
  IoFlag,
  IoOp,
  isPathError,
  NO_BUFFERS,
  NOT_EXECUTED,
  OK,
  opName,
  PATH_ERROR,
} from '@blockbraid/core'
import type { ScsiCommand } from '../scsi/cdb.ts'
import { putReadWrite, putSyncCache, READ, WRITE } from '../scsi/cdb.ts'
import type { ScsiAnswer, ScsiCommandSet } from '../scsi/command-set.ts'
import { scsiCommands } from '../scsi/command-set.ts'
import type { Lun } from '../scsi/lun.ts'
import type { Sense } from '../scsi/sense.ts'
import { decodeSense } from '../scsi/sense.ts'
import { Action, isNews, judge, News, ScsiStatus } from '../scsi/status.ts'
import { call } from '../session/call.ts'
import type { Session, SessionListener } from '../session/session.ts'
import type { Task } from '../session/task.ts'
import { Direction, Outcome } from '../session/task.ts'
import type { Asker, NewsListener } from './ask.ts'
import { EXPLICIT_ACCESS, productOf } from './disk.ts'
import type { LeftSession } from './fence-token.ts'
import { fenceToken } from './fence-token.ts'
import type { Nexus } from './nexus.ts'
import type { CommandHost } from './path-commands.ts'
import { activate, CUT, MAX_RETRIES, sendByHand, sendRange } from './path-commands.ts'
import { Poll } from './poll.ts'
import { runRange } from './range.ts'
import { joinRegistrants } from './register.ts'
import type { Opened, ReviewTarget } from './review.ts'
import { Review } from './review.ts'
import { isRivalry } from './rival.ts'
import type { Failed } from './troubles.ts'
import { severityOf, Troubles } from './troubles.ts'

/** What a path needs of its target. */
export interface PathHost extends ReviewTarget {
  /** Whether a flush that succeeds must fail all the same, as an acknowledged write has; it does so once. */
  takeWriteLost(volume: VolumeId): boolean
  readonly taskTimeout: number
  readonly pollInterval: number
  /** Whether a logical unit may be reset to end what was sent to it. @defaultValue false */
  readonly resets?: boolean
  /** Key that a path is registered with where others are. */
  readonly registerKey?: string | undefined
  /** Settles when a reset through another path has ended what this one has sent; without the option it never does. */
  fencedByReset(path: IscsiPath, signal: AbortSignal): Promise<void>
  /** The path is closed and fenced. */
  gone(path: IscsiPath): void
}

const NEVER_SENT: IoStatus = Errno.EIO | PATH_ERROR | NOT_EXECUTED
const CLOSED: IoStatus = Errno.ESHUTDOWN | PATH_ERROR | NOT_EXECUTED
const ELSEWHERE: IoStatus = Errno.EAGAIN | PATH_ERROR | NOT_EXECUTED
const MAX_PAUSES = 8
const FIRST_PAUSE = 10
const LONGEST_PAUSE = 250

/** One logical unit through one portal. */
export class IscsiPath implements Path {
  /** The id that discovery lists it under. */
  readonly id: string
  readonly volume: VolumeId
  readonly product: string
  readonly serial: string | undefined
  access: Access
  limits: DeviceLimits
  readonly fenceToken: string
  readonly wasReset: boolean
  // A registration is that of one I_T nexus (SPC-5 §5.14).
  readonly reservesAlone = true
  readonly commands: ScsiCommandSet
  readonly activate?: (options?: SignalOptions) => Promise<void>
  readonly #emitter = createEmitter<PathEvents>()
  readonly #host: PathHost
  readonly #nexus: Nexus
  readonly #session: Session
  readonly #lun: Lun
  readonly #review: Review
  readonly #poll: Poll
  readonly #commands: CommandHost
  readonly #troubles: Troubles
  #failure: BlockError | undefined
  // What the path cannot go on after, where the session goes on.
  #fault: Failed | undefined
  #downSaid = false
  #closed: Promise<void> | undefined
  #cut = false
  // Ios that wait until it is known what the path leads to now.
  #held: Io[] = []
  // Answered while it was in doubt who answers.
  #doubted = new Map<Io, IoStatus>()
  // Ios that are sent again after a pause, and how often each was sent already.
  #pauses = new Map<Io, Timer>()
  #tries = new Map<Io, number>()
  // Flushes that were under way when it was told that an acknowledged write has failed.
  #doomed = new Set<Io>()
  #refused: Io[] = []
  #jobs = 0
  #onIdle: (() => void) | undefined
  #quiet = true
  #joining = false
  readonly #ending = new AbortController()
  readonly #listener: SessionListener

  constructor(host: PathHost, nexus: Nexus, session: Session, lun: Lun, id: string, opened: Opened) {
    this.#host = host
    this.#nexus = nexus
    this.#session = session
    this.#lun = lun
    this.id = id
    this.volume = opened.identity.volume
    this.product = productOf(opened.identity)
    this.serial = opened.identity.serial
    this.fenceToken = fenceToken({ ...nexus.place, group: session.negotiated.targetPortalGroupTag, lun })
    this.access = opened.access
    this.limits = opened.disk.limits
    this.wasReset = opened.wasReset
    const { clock, taskTimeout, pollInterval } = host
    const at = `LUN ${lun.name} through ${nexus.place.portal.address}`
    this.#troubles = new Troubles(clock, at, (trouble) => void this.#emitter.emit('trouble', trouble))
    const isOpen = (): boolean => this.#open
    const fail = (error: BlockError): void => this.#fail(error)
    this.#commands = {
      clock,
      isOpen,
      closedError: () => this.#closedError(),
      call: (command, timeout, signal) => this.#call(command, timeout, signal),
      failed: (failed, status) => this.#failed(failed, status),
    }
    const review = new Review(
      this,
      host,
      {
        // The process, or the machine, may have stood still meanwhile.
        stale: 2000 * pollInterval,
        isOpen,
        asker: (onNews) => this.#asker(onNews),
        cacheLost: (why) => this.#emitter.emit('cacheLost', why),
        accessChanged: (access) => {
          this.access = access
          this.#emitter.emit('access', access)
        },
        limitsChanged: (limits) => {
          this.limits = limits
          this.#emitter.emit('limits', limits)
        },
        over: () => this.#goOn(),
        fail,
      },
      opened,
    )
    this.#review = review
    this.commands = scsiCommands((cdb, data, options) => sendByHand(this.#commands, review, cdb, data, options))
    if ((opened.identity.inquiry.tpgs & EXPLICIT_ACCESS) !== 0) {
      this.activate = ({ signal } = {}) => activate(this.#commands, review, id, taskTimeout, signal)
    }
    this.#listener = {
      lost: (error) => {
        if (isRivalry(error)) {
          const text = `${error.message}; ${at}`
          this.#emitter.emit('trouble', { kind: 'session taken', text, severity: 'warning', count: 1 })
        }
        fail(error)
      },
      event: (high, low, sense) => {
        const { news } = judge(ScsiStatus.CheckCondition, decodeSense(sense))
        if (high === lun.high && low === lun.low) {
          if (this.#open) nexus.missed.take(lun)
          review.hear(news, sense)
        } else {
          // That logical units were exchanged concerns every one of them.
          review.hear(news & News.Luns)
        }
      },
    }
    session.listeners.add(this.#listener)
    this.#poll = new Poll(this, review, {
      clock,
      interval: pollInterval,
      isOpen,
      wasQuiet: () => {
        const quiet = this.#quiet
        this.#quiet = true
        return quiet && !this.#isLong()
      },
      isIdle: () => session.tasksOf(this).length === 0,
      asker: () => this.#asker((news, sense) => review.hear(news, sense)),
      refused: ({ verdict: { text }, sense }) =>
        this.#troubles.add({ kind: text, severity: 'warning', what: 'question for news', block: undefined, sense }),
      fail,
    })
  }

  get events(): Events<PathEvents> {
    return this.#emitter
  }

  /** Whether the logical unit may be busy for long with what was sent through here: that it answers nothing says little. */
  #isLong(): boolean {
    return this.#jobs > 0 || this.#session.tasksOf(this).some(({ io }) => io?.op === IoOp.Flush)
  }

  /** Why its Ios end with path errors, where that is known; the same as `down` tells, and before it. */
  get failure(): Error | undefined {
    const ended = this.#failure ?? this.#session.error
    if (ended !== undefined || this.#fault === undefined) return ended
    return new BlockError('IO_FAILED', this.#troubles.words(this.#fault))
  }

  get #open(): boolean {
    return this.#failure === undefined && this.#closed === undefined
  }

  submit(io: Io): void {
    if (this.#failure !== undefined || this.#closed !== undefined) this.#refuse(io)
    else if (this.#review.checking || !this.#review.isFresh()) this.#held.push(io)
    else this.#start(io)
  }

  #start(io: Io): void {
    const { op } = io
    if (op === IoOp.Trim || op === IoOp.WriteZeroes) return this.#startRange(io)
    const session = this.#session
    const task = session.take()
    if (task === undefined) return this.#host.clock.defer(() => io.done(io, ELSEWHERE))
    const { long, limits } = this.#review.disk
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
      // Where the cache has gone meanwhile, FUA may be refused with it, and every write is durable.
      const fua = (io.flags & IoFlag.Fua) !== 0 && (limits.fua || limits.writeCache)
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
    } else if (io.op === IoOp.Flush && this.#tellsWriteLost(io)) {
      return this.#end(io, Errno.EIO)
    }
    if (this.#review.doubts) return void this.#doubted.set(io, OK)
    if (this.#tries.size > 0) this.#tries.delete(io)
    io.done(io, OK)
  }

  #troubled(task: Task, io: Io): void {
    if (task.outcome === Outcome.NotSent) return this.#end(io, NEVER_SENT)
    if (task.outcome === Outcome.Failed) this.#tell(io, 'answer not delivered', CUT)
    if (task.outcome !== Outcome.Answered) return this.#end(io, CUT)
    const sense = decodeSense(task.sense)
    const verdict = judge(task.status, sense)
    // Good, or as good, and not all of the data: the array has failed, not the path.
    if (verdict.status === OK) {
      const reads = task.direction === Direction.Read
      const whole = reads ? task.received === task.length : task.residual === 0 || task.length === 0
      if (whole && task.lends) io.buffers = task.buffers
      if (whole && sense !== undefined) this.#tell(io, verdict.text, OK, sense)
      // The target does not say that anything is missing: it was lost on the way.
      const status = whole ? OK : reads && task.residual === 0 ? CUT : Errno.EIO
      if (!whole) this.#tell(io, 'too little data', status, sense)
      return status === CUT ? this.#end(io, CUT) : this.#answered(io, status)
    }
    // Without a command for it there is no cache either, unless it says so.
    const { tellsCache, limits } = this.#review.disk
    if (io.op === IoOp.Flush && verdict.status === Errno.EOPNOTSUPP && !(tellsCache && limits.writeCache)) {
      return this.#answered(io, this.#tellsWriteLost(io) ? Errno.EIO : OK)
    }
    const tries = (this.#tries.get(io) ?? 0) + 1
    if (io.op === IoOp.Flush && (verdict.news & News.WriteLost) !== 0) this.#doomed.add(io)
    this.#review.hear(verdict.news, task.sense)
    if (verdict.action === Action.Retry && tries <= MAX_RETRIES && this.#open) {
      if (!isNews(verdict, sense)) this.#tell(io, verdict.text, ELSEWHERE, sense)
      this.#tries.set(io, tries)
      this.submit(io)
    } else if (verdict.action === Action.RetryLater && tries <= MAX_PAUSES && this.#open) {
      this.#tell(io, verdict.text, ELSEWHERE, sense)
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
      this.#tell(io, verdict.text, verdict.status, sense)
      this.#answered(io, verdict.status)
    }
  }

  /** A command for an Io failed; `status` says what becomes of the Io. */
  #tell({ op, offset }: Io, kind: string, status: IoStatus, sense?: Sense): void {
    const block = op === IoOp.Flush ? undefined : offset / this.limits.blockSize
    this.#failed({ kind, severity: severityOf(status), what: opName(op), block, sense }, status)
  }

  #failed(failed: Failed, status: IoStatus): void {
    if (isPathError(status) && (status & NOT_EXECUTED) === 0) this.#fault = failed
    if (status !== Errno.EBADE) return this.#troubles.add(failed)
    const advice = 'a reservation lets this path in only when it is registered with a key that it accepts'
    this.#troubles.add({ ...failed, advice })
    void this.#join()
  }

  /** Registers the path where others of this host are, with the key that it was told. */
  async #join(): Promise<void> {
    const { registerKey } = this.#host
    if (registerKey === undefined || this.#joining) return
    this.#joining = true
    // A session that is lost tells of itself.
    await joinRegistrants(
      this.#asker((news, sense) => this.#review.hear(news, sense)),
      registerKey,
    ).catch(() => {})
    this.#joining = false
  }

  #answered(io: Io, status: IoStatus): void {
    if (this.#review.doubts) this.#doubted.set(io, status)
    else this.#end(io, status)
  }

  /** An acknowledged write to the volume has failed: every flush under way may be for it, and must not succeed. */
  failFlushes(): void {
    const sent = this.#session.tasksOf(this).map(({ io }) => io)
    for (const io of [...sent, ...this.#held, ...this.#pauses.keys()]) {
      if (io?.op === IoOp.Flush) this.#doomed.add(io)
    }
    for (const [io, status] of this.#doubted) {
      if (io.op === IoOp.Flush && status === OK) this.#doubted.set(io, Errno.EIO)
    }
  }

  #tellsWriteLost(io: Io): boolean {
    const doomed = this.#doomed.delete(io)
    return this.#host.takeWriteLost(this.volume) || doomed
  }

  #end(io: Io, status: IoStatus): void {
    this.#tries.delete(io)
    this.#doomed.delete(io)
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
    const review = this.#review
    void runRange(io, review, (command) => sendRange(this.#commands, review, command)).then((status) => {
      this.#quiet = false
      this.#end(io, status)
      this.#jobEnded()
    })
  }

  #jobEnded(): void {
    this.#jobs--
    if (this.#jobs === 0) this.#onIdle?.()
  }

  #call(command: ScsiCommand, timeout: number, signal?: AbortSignal): Promise<ScsiAnswer> {
    const { clock } = this.#host
    const both = signal === undefined ? this.#ending.signal : AbortSignal.any([signal, this.#ending.signal])
    return call(this.#session, this, this.#lun, command, { clock, timeout, changes: true, signal: both })
  }

  /**
   * Asks for a reset of the logical unit (RFC 7143 §11.5.1), which ends the commands of every host there. Rejects
   * with NOT_SUPPORTED where the target refuses.
   */
  async reset(): Promise<void> {
    if (!this.#open) throw this.#closedError()
    if (await this.#session.resetLun(this.#lun)) return this.#review.hear(News.Identity | News.Capacity | News.Access)
    throw new BlockError('NOT_SUPPORTED', `${this.id}: the target did not reset the logical unit`)
  }

  /** Whether it is a path to the logical unit that such a session sent to. @internal */
  leadsTo({ targetName, lun }: LeftSession): boolean {
    return this.#nexus.place.targetName === targetName && this.#lun.name === lun.name
  }

  #closedError(): BlockError {
    if (this.#closed !== undefined) return new BlockError('CLOSED', `${this.id} is closed`)
    return new BlockError('IO_FAILED', `${this.id} is down: ${this.#failure?.message}`, { cause: this.#failure })
  }

  #asker(onNews: NewsListener): Asker {
    const { clock, taskTimeout } = this.#host
    return {
      session: this.#session,
      owner: this,
      lun: this.#lun,
      options: { clock, timeout: taskTimeout, signal: this.#ending.signal },
      onNews,
    }
  }

  /** Reads again who answers, how large it is and what it can do. */
  lookAgain(): void {
    this.#review.hear(News.Identity | News.Capacity)
  }

  /** Ends what was in doubt and sends what was held. */
  #goOn(): void {
    const doubted = [...this.#doubted]
    this.#doubted.clear()
    const held = this.#held.splice(0)
    for (const [io, status] of doubted) this.#end(io, status)
    for (const io of held) this.submit(io)
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
    this.#poll.stop()
    this.#troubles.stop()
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
    await this.#abortAll()
    await this.#fenced()
    this.#session.listeners.delete(this.#listener)
    this.#nexus.release()
    this.#host.gone(this)
  }

  async #abortAll(): Promise<void> {
    const session = this.#session
    if (session.error !== undefined) return
    if (
      !(await session.abort(this)) &&
      !(this.#host.resets === true && (await session.abortByReset(this, this.#lun)))
    ) {
      session.drop(new BlockError('TIMED_OUT', 'the target did not say that aborted commands have ended'))
    }
    // Nothing depends on it.
    else void session.abortReads(this)
  }
}
