import type { Clock, Io, IoStatus } from '@blockbraid/core'
import { Errno, IoOp, NOT_EXECUTED, OK, opName, PATH_ERROR } from '@blockbraid/core'
import { WaitingIos } from '@blockbraid/wire'
import type { Association } from '../association/association.ts'
import type { Verdict } from '../nvme/status.ts'
import { Action, judge, News, retryDelay } from '../nvme/status.ts'
import type { Command } from '../queue/command.ts'
import { Direction, Outcome } from '../queue/command.ts'
import type { Share } from '../queue/share.ts'
import { fillCommand } from './io-command.ts'
import type { CommandHost } from './path-commands.ts'
import { CUT, MAX_RETRIES, sendRange } from './path-commands.ts'
import { runRange } from './range.ts'
import type { Review, Reviewed } from './review.ts'
import { severityOf } from './troubles.ts'

/** What the Ios of a path need of it. */
export interface IoHost {
  readonly clock: Clock
  readonly association: Association
  /** Whose commands they are. */
  readonly path: Reviewed
  readonly nsid: number
  readonly share: Share
  /** CRDT1 to 3, milliseconds. */
  readonly retryDelays: readonly number[]
  readonly review: Review
  readonly commands: CommandHost
  /** Sends an Io once more, if the path is still open. */
  submit(io: Io): void
  /** How an Io ends that came when the path was not open. */
  refusal(): IoStatus
}

/** How an Io ends that the controller has not seen. */
export const NEVER_SENT: IoStatus = Errno.EIO | PATH_ERROR | NOT_EXECUTED
const ELSEWHERE: IoStatus = Errno.EAGAIN | PATH_ERROR | NOT_EXECUTED
const MAX_PAUSES = 8

/** The Ios of a path, from submit to done. */
export class PathIo {
  readonly #host: IoHost
  readonly #association: Association
  readonly #share: Share
  readonly #review: Review
  readonly #waiting: WaitingIos
  #refused: Io[] = []
  #jobs = 0
  #onIdle: (() => void) | undefined
  #quiet = true

  constructor(host: IoHost) {
    this.#host = host
    this.#association = host.association
    this.#share = host.share
    this.#review = host.review
    this.#waiting = new WaitingIos(host.clock)
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
    const association = this.#association
    const command = association.take(this.#share)
    if (command === undefined) return this.#host.clock.defer(() => io.done(io, ELSEWHERE))
    command.owner = this.#host.path
    command.done = this.#onDone
    fillCommand(command, io, this.#host.nsid, this.#review.disk.limits.blockSize)
    association.send(command)
  }

  readonly #onDone = (command: Command): void => {
    const io = command.io as Io
    this.#quiet = false
    if (command.outcome !== Outcome.Answered || command.status !== 0) return this.#troubled(command, io)
    if (command.direction === Direction.Read) {
      // Success with less than was asked for: it was lost on the way.
      if (command.received !== command.length) return this.#short(io)
      if (command.lends) io.buffers = command.buffers
    }
    if (this.#review.doubts) return this.#waiting.doubt(io, OK)
    this.#waiting.forgetTries(io)
    io.done(io, OK)
  }

  #short(io: Io): void {
    this.#tell(io, 'too little data', CUT)
    this.#end(io, CUT)
  }

  #troubled(command: Command, io: Io): void {
    if (command.outcome === Outcome.NotSent) return this.#end(io, NEVER_SENT)
    if (command.outcome !== Outcome.Answered) return this.#end(io, CUT)
    const { status: code } = command
    const verdict = judge(code)
    const tries = this.#waiting.tries(io)
    this.#review.hear(verdict.news)
    // Those of its group share the state, and may have no I/O that would tell them.
    if ((verdict.news & News.Access) !== 0) this.#association.trouble(this.#host.nsid, this.#review.disk.group)
    const most = verdict.action === Action.Retry ? MAX_RETRIES : MAX_PAUSES
    if (verdict.action !== Action.None && tries <= most && this.#host.commands.isOpen()) {
      this.#say(io, verdict, ELSEWHERE, code)
      const pause = retryDelay(code, this.#host.retryDelays)
      if (verdict.action === Action.RetryLater || pause !== undefined) {
        return this.#waiting.retryLater(io, this.#host.submit, pause)
      }
      this.#waiting.retry(io)
      this.#host.submit(io)
    } else {
      this.#say(io, verdict, verdict.status, code)
      if (this.#review.doubts) this.#waiting.doubt(io, verdict.status)
      else this.#end(io, verdict.status)
    }
  }

  #say(io: Io, { news, text }: Verdict, status: IoStatus, code: number): void {
    // What only tells that the access state is another one is no trouble.
    if (news === 0 || status !== ELSEWHERE) this.#tell(io, text, status, code)
  }

  /** A command for an Io failed; `status` says what becomes of the Io. */
  #tell({ op, offset }: Io, kind: string, status: IoStatus, code?: number): void {
    const block = op === IoOp.Flush ? undefined : offset / this.#host.path.limits.blockSize
    this.#host.commands.failed({ kind, severity: severityOf(status), what: opName(op), block, code }, status)
  }

  #end(io: Io, status: IoStatus): void {
    this.#waiting.forget(io)
    io.done(io, status)
  }

  #startRange(io: Io): void {
    this.#jobs++
    const { commands, nsid, retryDelays } = this.#host
    const review = this.#review
    void runRange(io, nsid, review.disk, (request) => sendRange(commands, review, retryDelays, request)).then(
      (status) => {
        this.#quiet = false
        this.#end(io, status)
        this.#jobs--
        if (this.#jobs === 0) this.#onIdle?.()
      },
    )
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
