import type {
  Access,
  DeviceLimits,
  Events,
  Fence,
  FenceProof,
  Io,
  IoStatus,
  Path,
  PathEvents,
  SignalOptions,
  VolumeId,
} from '@blockbraid/core'
import { abortable, BlockError, createEmitter, Errno, isPathError, NOT_EXECUTED, PATH_ERROR } from '@blockbraid/core'
import { Troubles } from '@blockbraid/wire'
import type { Association, AssociationListener } from '../association/association.ts'
import { ask } from '../nvme/ask.ts'
import type { NvmeRequest } from '../nvme/command.ts'
import type { NvmeCommandSet } from '../nvme/command-set.ts'
import { nvmeCommands } from '../nvme/command-set.ts'
import { decodeController } from '../nvme/controller-data.ts'
import { read } from '../nvme/io.ts'
import type { Completion } from '../nvme/procedure.ts'
import { News } from '../nvme/status.ts'
import type { Share } from '../queue/share.ts'
import type { Asker } from '../unit/ask.ts'
import type { CommandHost } from './path-commands.ts'
import { sendByHand } from './path-commands.ts'
import { NEVER_SENT, PathIo } from './path-io.ts'
import { Poll } from './poll.ts'
import type { Opened, ReviewTarget } from './review.ts'
import { Review } from './review.ts'
import { Settling } from './settling.ts'
import type { Failed } from './troubles.ts'
import { failureInWords } from './troubles.ts'

/** An association that paths share, and what proves that nothing they have sent over it can change data any more. */
export interface PathLink {
  readonly association: Association
  /** What another process needs for the same proof. */
  token(nsid: number): string
  /** How it would be proven if the path were lost now, in the worst case. */
  fenceBy(): Fence
  /** Has commands of `owner` end, or proves that they can change nothing; undefined: nothing had to be proven. */
  fenced(owner: object): Promise<FenceProof | undefined>
  /** The path needs it no longer. */
  release(): void
}

/** What a path needs of its target. */
export interface PathHost extends ReviewTarget {
  readonly pollInterval: number
  /** The path is closed and fenced. */
  gone(path: NvmePath): void
}

const CLOSED: IoStatus = Errno.ESHUTDOWN | PATH_ERROR | NOT_EXECUTED

/** One namespace through one port. */
export class NvmePath implements Path {
  /** The id that discovery lists it under. */
  readonly id: string
  readonly volume: VolumeId
  readonly product: string
  readonly serial: string
  access: Access
  readonly transitionTime: number | undefined
  limits: DeviceLimits
  readonly fenceToken: string
  // A registration is that of a host, whatever the controller (NVMe Base 2.1 §8.1.22).
  readonly reservesAlone = false
  readonly commands: NvmeCommandSet
  readonly #emitter = createEmitter<PathEvents>()
  readonly #host: PathHost
  readonly #link: PathLink
  readonly #association: Association
  readonly #share: Share
  readonly #nsid: number
  readonly #at: string
  readonly #review: Review
  readonly #poll: Poll
  readonly #settling: Settling
  readonly #troubles: Troubles<Failed>
  readonly #io: PathIo
  readonly #listener: AssociationListener
  readonly #ending = new AbortController()
  #failure: BlockError | undefined
  // What the path cannot go on after, where the association goes on.
  #fault: Failed | undefined
  #fencedBy: FenceProof | undefined
  #downSaid = false
  #closed: Promise<void> | undefined
  #cut = false

  constructor(host: PathHost, link: PathLink, id: string, opened: Opened) {
    const { association } = link
    const { controller, place } = association
    const { identity, disk, access } = opened
    const { nsid } = identity
    const { retryDelays, transitionTime } = decodeController(controller.identify)
    const { clock, pollInterval } = host
    this.#host = host
    this.#link = link
    this.#association = association
    this.#share = association.share(nsid)
    this.#nsid = nsid
    this.id = id
    this.volume = identity.volume
    this.product = controller.model
    this.serial = controller.serial
    this.fenceToken = link.token(nsid)
    this.access = access
    this.transitionTime = transitionTime === 0 ? undefined : 1000 * transitionTime
    this.limits = disk.limits
    this.#at = `namespace ${nsid} through ${place.portal.address}`
    this.#troubles = new Troubles(
      clock,
      (failed) => failureInWords(failed, this.#at),
      (trouble) => void this.#emitter.emit('trouble', trouble),
    )
    const isOpen = (): boolean => this.#open
    const fail = (error: BlockError): void => this.#fail(error)
    const commands: CommandHost = {
      clock,
      isOpen,
      closedError: () => this.#closedError(),
      call: (request, timeout, signal) => this.#call(request, timeout, signal),
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
        judgeAccess: (told) => this.#settling.judge(told),
        accessChanged: (now) => this.#accessChanged(now),
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
    this.#io = new PathIo({
      clock,
      association,
      path: this,
      nsid,
      share: this.#share,
      retryDelays,
      review,
      commands,
      submit: (io) => this.submit(io),
      refusal: () => (this.#closed === undefined ? NEVER_SENT : CLOSED),
    })
    this.commands = nvmeCommands((command, data, options) => sendByHand(commands, review, command, data, options))
    this.#settling = new Settling(clock, transitionTime, () => this.#unsettled())
    this.access = this.#settling.judge(access)
    this.#listener = {
      lost: fail,
      ana: () => review.hear(News.Access),
      namespaces: (ids) => {
        if (ids === undefined || ids.includes(nsid)) review.hear(News.Namespace)
      },
    }
    association.listeners.add(this.#listener)
    const asker = (): Asker => this.#asker((news) => review.hear(news))
    this.#poll = new Poll(this, review, {
      clock,
      interval: pollInterval,
      isOpen,
      wasQuiet: () => this.#io.wasQuiet() && !this.#io.hasJobs && association.commandsOf(this).length === 0,
      asker,
      refused: ({ nvme }) =>
        this.#troubles.add({
          kind: 'question refused',
          severity: 'warning',
          what: 'look at the namespace',
          block: undefined,
          code: nvme,
        }),
      fail,
    })
  }

  get events(): Events<PathEvents> {
    return this.#emitter
  }

  get fenceBy(): Fence {
    return this.#link.fenceBy()
  }

  get fencedBy(): FenceProof | undefined {
    return this.#fencedBy
  }

  /** Why its Ios end with path errors, where that is known; the same as `down` tells, and before it. */
  get failure(): Error | undefined {
    const ended = this.#failure ?? this.#association.error
    if (ended !== undefined || this.#fault === undefined) return ended
    return new BlockError('IO_FAILED', failureInWords(this.#fault, this.#at))
  }

  get #open(): boolean {
    return this.#failure === undefined && this.#closed === undefined
  }

  submit(io: Io): void {
    if (this.#failure !== undefined || this.#closed !== undefined) this.#io.refuse(io)
    else this.#io.submit(io)
  }

  /** Has one block read through each I/O queue: the admin queue, and its keep-alive, have connections of their own. */
  ping({ signal }: SignalOptions = {}): Promise<void> {
    if (!this.#open) return Promise.reject(this.#closedError())
    const question = () => ask(read(this.#nsid, { lba: 0, blocks: 1 }, this.limits.blockSize))
    return this.#association.ping(question, this, { signal: this.#orEnding(signal) })
  }

  /** Reads again who answers, how large it is and what it can do. */
  lookAgain(): void {
    this.#review.hear(News.Namespace)
  }

  #accessChanged(access: Access): void {
    this.access = access
    this.#emitter.emit('access', access)
  }

  /** It has been in transition for longer than the controller says that it takes. */
  #unsettled(): void {
    if (!this.#open) return
    const kind = 'access state does not settle'
    this.#troubles.add({ kind, severity: 'warning', what: 'transition', block: undefined })
    this.#accessChanged('unavailable')
  }

  #failed(failed: Failed, status: IoStatus): void {
    if (isPathError(status) && (status & NOT_EXECUTED) === 0) this.#fault = failed
    if (status !== Errno.EBADE) return this.#troubles.add(failed)
    const advice = 'a reservation lets this host in only when it is registered with a key that it accepts'
    this.#troubles.add({ ...failed, advice })
  }

  #call(request: NvmeRequest, timeout: number, signal?: AbortSignal): Promise<Completion> {
    const io = !request.command.admin
    return this.#association.run(ask(request), { owner: this, io, timeout, signal: this.#orEnding(signal) })
  }

  #orEnding(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#ending.signal : AbortSignal.any([signal, this.#ending.signal])
  }

  #closedError(): BlockError {
    if (this.#closed !== undefined) return new BlockError('CLOSED', `${this.id} is closed`)
    return new BlockError('IO_FAILED', `${this.id} is down: ${this.#failure?.message}`, { cause: this.#failure })
  }

  #asker(onNews: (news: number) => void): Asker {
    const { clock } = this.#host
    return { clock, association: this.#association, owner: this, signal: this.#ending.signal, onNews }
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
    this.#settling.stop()
    this.#troubles.stop()
    this.#ending.abort(this.#closedError())
    const association = this.#association
    if (!association.detach(association.commandsOf(this))) {
      association.drop(new BlockError('CONNECT_FAILED', 'a path closed while its data was still being sent'))
    }
    this.#io.cut()
  }

  close(options: SignalOptions = {}): Promise<void> {
    this.#closed ??= Promise.resolve().then(() => this.#close())
    return abortable(this.#closed, options.signal)
  }

  async #close(): Promise<void> {
    this.#cutAll()
    if (this.#io.hasJobs) await new Promise<void>((resolve) => this.#io.onIdle(resolve))
    this.#fencedBy = await this.#link.fenced(this)
    this.#association.listeners.delete(this.#listener)
    this.#share.end()
    this.#link.release()
    this.#host.gone(this)
  }
}
