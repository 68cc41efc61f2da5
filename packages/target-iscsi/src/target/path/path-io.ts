import type { Clock, Io, IoStatus } from '@blockbraid/core'
import { Errno, IoOp, NOT_EXECUTED, OK, opName, PATH_ERROR } from '@blockbraid/core'
import { WaitingIos } from '@blockbraid/wire'
import type { Lun } from '../../scsi/lun.ts'
import type { Sense } from '../../scsi/sense.ts'
import { decodeSense } from '../../scsi/sense.ts'
import type { Verdict } from '../../scsi/status.ts'
import { Action, isNews, judge, News, ScsiStatus } from '../../scsi/status.ts'
import type { Session } from '../../session/session.ts'
import type { Task } from '../../session/task.ts'
import { Direction, Outcome } from '../../session/task.ts'
import { severityOf } from './command-troubles.ts'
import { fillTask } from './io-task.ts'
import type { CommandHost } from './path-commands.ts'
import { CUT, MAX_RETRIES, sendRange } from './path-commands.ts'
import { runRange } from './range.ts'
import type { Review, Reviewed } from './review.ts'

/** What the Ios of a path need of it. */
export interface IoHost {
  readonly clock: Clock
  readonly session: Session
  /** Whose tasks they are. */
  readonly path: Reviewed
  readonly lun: Lun
  readonly review: Review
  readonly commands: CommandHost
  /** Sends an Io once more, if the path is still open. */
  submit(io: Io): void
  /** How an Io ends that came when the path was not open. */
  refusal(): IoStatus
  /** Whether a flush that succeeds must fail all the same, as an acknowledged write has; it does so once. */
  takeWriteLost(): boolean
}

/** How an Io ends that the target has not seen. */
export const NEVER_SENT: IoStatus = Errno.EIO | PATH_ERROR | NOT_EXECUTED
const ELSEWHERE: IoStatus = Errno.EAGAIN | PATH_ERROR | NOT_EXECUTED
const MAX_PAUSES = 8

/** The Ios of a path, from submit to done. */
export class PathIo {
  readonly #host: IoHost
  readonly #session: Session
  readonly #review: Review
  readonly #waiting: WaitingIos
  #refused: Io[] = []
  #jobs = 0
  #onIdle: (() => void) | undefined
  #quiet = true

  constructor(host: IoHost) {
    this.#host = host
    this.#session = host.session
    this.#review = host.review
    this.#waiting = new WaitingIos(host.clock)
  }

  /** Whether the logical unit may be busy for long with what was sent: that it answers nothing says little. */
  get isLong(): boolean {
    return this.#jobs > 0 || this.#session.tasksOf(this.#host.path).some(({ io }) => io?.op === IoOp.Flush)
  }

  /** Whether a trim or a zeroing is under way. */
  get hasJobs(): boolean {
    return this.#jobs > 0
  }

  /** Whether no command has ended since this was asked last. */
  wasQuiet(): boolean {
    const quiet = this.#quiet
    this.#quiet = true
    return quiet
  }

  /** Has `then` called, in place of what was given before, when the last trim or zeroing ends. */
  onIdle(then: () => void): void {
    this.#onIdle = then
  }

  submit(io: Io): void {
    if (this.#review.checking || !this.#review.isFresh()) this.#waiting.hold(io)
    else this.#start(io)
  }

  /** The path is not open. */
  refuse(io: Io): void {
    this.#refused.push(io)
    if (this.#refused.length > 1) return
    this.#host.clock.defer(() => {
      const status = this.#host.refusal()
      for (const each of this.#refused.splice(0)) this.#end(each, status)
    })
  }

  #start(io: Io): void {
    const { op } = io
    if (op === IoOp.Trim || op === IoOp.WriteZeroes) return this.#startRange(io)
    const session = this.#session
    const task = session.take()
    if (task === undefined) return this.#host.clock.defer(() => io.done(io, ELSEWHERE))
    task.owner = this.#host.path
    task.done = this.#onDone
    fillTask(task, io, this.#host.lun, this.#review.disk)
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
    if (this.#review.doubts) return this.#waiting.doubt(io, OK)
    this.#waiting.forgetTries(io)
    io.done(io, OK)
  }

  #troubled(task: Task, io: Io): void {
    if (task.outcome === Outcome.NotSent) return this.#end(io, NEVER_SENT)
    if (task.outcome === Outcome.Failed) this.#tell(io, 'answer not delivered', CUT)
    if (task.outcome !== Outcome.Answered) return this.#end(io, CUT)
    const sense = decodeSense(task.sense)
    const verdict = judge(task.status, sense)
    if (verdict.status === OK) return this.#asGood(task, io, verdict, sense)
    // Without a command for it there is no cache either, unless it says so.
    const { tellsCache, limits } = this.#review.disk
    if (io.op === IoOp.Flush && verdict.status === Errno.EOPNOTSUPP && !(tellsCache && limits.writeCache)) {
      return this.#answered(io, this.#tellsWriteLost(io) ? Errno.EIO : OK)
    }
    const tries = this.#waiting.tries(io)
    if (io.op === IoOp.Flush && (verdict.news & News.WriteLost) !== 0) this.#waiting.doom(io)
    this.#review.hear(verdict.news, task.sense)
    const isOpen = this.#host.commands.isOpen()
    if (verdict.action === Action.Retry && tries <= MAX_RETRIES && isOpen) {
      if (!isNews(verdict, sense)) this.#tell(io, verdict.text, ELSEWHERE, sense)
      this.#waiting.retry(io)
      this.#host.submit(io)
    } else if (verdict.action === Action.RetryLater && tries <= MAX_PAUSES && isOpen) {
      this.#tell(io, verdict.text, ELSEWHERE, sense)
      this.#waiting.retryLater(io, this.#host.submit)
    } else {
      this.#tell(io, verdict.text, verdict.status, sense)
      this.#answered(io, verdict.status)
    }
  }

  /** Good, or as good; where that is not all of the data, the array has failed, not the path. */
  #asGood(task: Task, io: Io, verdict: Verdict, sense: Sense | undefined): void {
    const reads = task.direction === Direction.Read
    const whole = reads ? task.received === task.length : task.residual === 0 || task.length === 0
    if (whole && task.lends) io.buffers = task.buffers
    if (whole && sense !== undefined) this.#tell(io, verdict.text, OK, sense)
    // The target does not say that anything is missing: it was lost on the way.
    const status = whole ? OK : reads && task.residual === 0 ? CUT : Errno.EIO
    if (!whole) this.#tell(io, 'too little data', status, sense)
    if (status === CUT) this.#end(io, CUT)
    else this.#answered(io, status)
  }

  /** A command for an Io failed; `status` says what becomes of the Io. */
  #tell({ op, offset }: Io, kind: string, status: IoStatus, sense?: Sense): void {
    const block = op === IoOp.Flush ? undefined : offset / this.#host.path.limits.blockSize
    this.#host.commands.failed({ kind, severity: severityOf(status), what: opName(op), block, sense }, status)
  }

  #answered(io: Io, status: IoStatus): void {
    if (this.#review.doubts) this.#waiting.doubt(io, status)
    else this.#end(io, status)
  }

  /** An acknowledged write to the volume has failed: every flush under way may be for it, and must not succeed. */
  failFlushes(): void {
    this.#waiting.failFlushes(this.#session.tasksOf(this.#host.path).map(({ io }) => io))
  }

  #tellsWriteLost(io: Io): boolean {
    const doomed = this.#waiting.takeDoom(io)
    return this.#host.takeWriteLost() || doomed
  }

  #end(io: Io, status: IoStatus): void {
    this.#waiting.forget(io)
    io.done(io, status)
  }

  #startRange(io: Io): void {
    this.#jobs++
    const { commands } = this.#host
    const review = this.#review
    void runRange(io, review, (command) => sendRange(commands, review, command)).then((status) => {
      this.#quiet = false
      this.#end(io, status)
      this.#jobEnded()
    })
  }

  #jobEnded(): void {
    this.#jobs--
    if (this.#jobs === 0) this.#onIdle?.()
  }

  /** Ends what was in doubt and sends what was held. */
  goOn(): void {
    const { doubted, held } = this.#waiting.takeDecided()
    for (const [io, status] of doubted) this.#end(io, status)
    for (const io of held) this.#host.submit(io)
  }

  /** Ends those that wait. */
  cut(): void {
    const { unsent, doubted } = this.#waiting.takeAll()
    for (const io of unsent) this.#end(io, NEVER_SENT)
    for (const io of doubted) this.#end(io, CUT)
  }
}
