import type {
  Access,
  DeviceLimits,
  Events,
  FenceProof,
  Io,
  IoStatus,
  Path,
  PathEvents,
  SignalOptions,
  VolumeId,
} from '@blockbraid/core'
import { abortable, BlockError, createEmitter, Errno, isPathError, NOT_EXECUTED, PATH_ERROR } from '@blockbraid/core'
import type { ScsiCommand } from '../../scsi/cdb.ts'
import type { ScsiAnswer, ScsiCommandSet } from '../../scsi/command-set.ts'
import { scsiCommands } from '../../scsi/command-set.ts'
import type { Lun } from '../../scsi/lun.ts'
import { decodeSense } from '../../scsi/sense.ts'
import { judge, News, ScsiStatus } from '../../scsi/status.ts'
import { call } from '../../session/call.ts'
import type { Session, SessionListener } from '../../session/session.ts'
import type { Nexus } from '../nexus/nexus.ts'
import { isRivalry } from '../nexus/rival.ts'
import type { LeftSession } from '../place/fence-token.ts'
import { fenceToken } from '../place/fence-token.ts'
import type { Asker, NewsListener } from '../unit/ask.ts'
import { EXPLICIT_ACCESS, productOf } from '../unit/disk.ts'
import { joinRegistrants } from '../unit/register.ts'
import type { Failed } from './command-troubles.ts'
import { CommandTroubles } from './command-troubles.ts'
import { abortAll, detachAll, UNIT_RESET } from './ending.ts'
import type { CommandHost } from './path-commands.ts'
import { activate, sendByHand } from './path-commands.ts'
import { NEVER_SENT, PathIo } from './path-io.ts'
import { Poll } from './poll.ts'
import type { Opened, ReviewTarget } from './review.ts'
import { Review } from './review.ts'

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

const CLOSED: IoStatus = Errno.ESHUTDOWN | PATH_ERROR | NOT_EXECUTED

/** One logical unit through one portal. */
export class IscsiPath implements Path {
  /** The id that discovery lists it under. */
  readonly id: string
  readonly volume: VolumeId
  readonly product: string
  readonly serial: string | undefined
  access: Access
  preferred: boolean
  transitionTime: number | undefined
  limits: DeviceLimits
  readonly fenceToken: string
  fencedBy: FenceProof | undefined
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
  readonly #troubles: CommandTroubles
  readonly #io: PathIo
  #failure: BlockError | undefined
  // What the path cannot go on after, where the session goes on.
  #fault: Failed | undefined
  #downSaid = false
  #closed: Promise<void> | undefined
  #cut = false
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
    this.preferred = opened.preferred ?? false
    this.transitionTime = opened.transitionTime
    this.limits = opened.disk.limits
    this.wasReset = opened.wasReset
    const { clock, taskTimeout, pollInterval } = host
    const at = `LUN ${lun.name} through ${nexus.place.portal.address}`
    this.#troubles = new CommandTroubles(clock, at, (trouble) => void this.#emitter.emit('trouble', trouble))
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
        standingChanged: ({ access, preferred, transitionTime }) => {
          this.access = access
          this.preferred = preferred
          this.transitionTime = transitionTime
          this.#emitter.emit('access', access)
        },
        limitsChanged: (limits) => {
          this.limits = limits
          this.#emitter.emit('limits', limits)
        },
        over: () => this.#io.goOn(),
        fail,
      },
      opened,
    )
    this.#review = review
    const io = new PathIo({
      clock,
      session,
      path: this,
      lun,
      review,
      commands: this.#commands,
      submit: (each) => this.submit(each),
      refusal: () => (this.#closed === undefined ? NEVER_SENT : CLOSED),
      takeWriteLost: () => host.takeWriteLost(this.volume),
    })
    this.#io = io
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
    review.watchTransition()
    this.#poll = new Poll(this, review, {
      clock,
      interval: pollInterval,
      isOpen,
      wasQuiet: () => io.wasQuiet() && !io.isLong,
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

  /** Why its Ios end with path errors, where that is known; the same as `down` tells, and before it. */
  get failure(): Error | undefined {
    const ended = this.#failure ?? this.#session.error
    if (ended !== undefined || this.#fault === undefined) return ended
    return new BlockError('IO_FAILED', this.#troubles.words(this.#fault))
  }

  /** Why the last login that was to prove its fence has failed, of those since it was needed. */
  get fenceFailure(): Error | undefined {
    return this.#nexus.proofFailure
  }

  get #open(): boolean {
    return this.#failure === undefined && this.#closed === undefined
  }

  submit(io: Io): void {
    if (this.#failure !== undefined || this.#closed !== undefined) this.#io.refuse(io)
    else this.#io.submit(io)
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

  /** An acknowledged write to the volume has failed: every flush under way may be for it, and must not succeed. */
  failFlushes(): void {
    this.#io.failFlushes()
  }

  #call(command: ScsiCommand, timeout: number, signal?: AbortSignal): Promise<ScsiAnswer> {
    const { clock } = this.#host
    const both = this.#orEnding(signal)
    return call(this.#session, this, this.#lun, command, { clock, timeout, changes: true, signal: both })
  }

  #orEnding(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#ending.signal : AbortSignal.any([signal, this.#ending.signal])
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

  /** Asks the target for a sign of life, through the session that paths to other logical units may share. */
  ping({ signal }: SignalOptions = {}): Promise<void> {
    if (!this.#open) return Promise.reject(this.#closedError())
    return this.#session.ping({ signal: this.#orEnding(signal) })
  }

  /** Reads again who answers, how large it is and what it can do. */
  lookAgain(): void {
    this.#review.hear(News.Identity | News.Capacity)
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
    if (this.#io.hasJobs) this.#io.onIdle(afterJobs)
    else afterJobs()
  }

  /** Ends every Io in flight, also those that wait. */
  #cutAll(): void {
    if (this.#cut) return
    this.#cut = true
    this.#poll.stop()
    this.#review.stop()
    this.#troubles.stop()
    this.#ending.abort(this.#closedError())
    detachAll(this.#session, this)
    this.#io.cut()
  }

  close(options: SignalOptions = {}): Promise<void> {
    this.#closed ??= Promise.resolve().then(() => this.#close())
    return abortable(this.#closed, options.signal)
  }

  /** Resolves to by what it is proven; undefined where nothing had to be. */
  async #fenced(): Promise<string | undefined> {
    if (!this.#session.unfenced.has(this)) return undefined
    const proven = new AbortController()
    const by = await Promise.race([
      this.#nexus.fenced(this.#session, this, this.#lun).then(() => 'session reinstated'),
      this.#host.fencedByReset(this, proven.signal).then(() => UNIT_RESET),
    ])
    proven.abort()
    return by
  }

  async #close(): Promise<void> {
    const { clock, resets } = this.#host
    const since = clock.now()
    this.#cutAll()
    if (this.#io.hasJobs) await new Promise<void>((resolve) => this.#io.onIdle(resolve))
    const aborted = await abortAll(this.#session, this, this.#lun, resets === true)
    const by = (await this.#fenced()) ?? aborted
    if (by !== undefined) this.fencedBy = { by, assumed: false, took: (clock.now() - since) / 1000 }
    this.#session.listeners.delete(this.#listener)
    this.#nexus.release()
    this.#host.gone(this)
  }
}
