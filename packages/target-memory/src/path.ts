import type {
  Access,
  DeviceLimits,
  Events,
  Extent,
  Host,
  Io,
  IoStatus,
  Path,
  PathEvents,
  SignalOptions,
  VolumeId,
} from '@blockbraid/core'
import {
  abortable,
  BlockError,
  changesData,
  createEmitter,
  Errno,
  NOT_EXECUTED,
  OK,
  PATH_ERROR,
  throwIfAborted,
} from '@blockbraid/core'
import type { Command } from './command.ts'
import type { Fault } from './fault.ts'
import { judge } from './fault.ts'
import { FaultTroubles } from './fault-troubles.ts'
import type { Journal } from './journal.ts'
import type { Connected, Mapping } from './mapping.ts'
import type { Pacer } from './pacer.ts'
import { Ring } from './ring.ts'

const CUT: IoStatus = Errno.EIO | PATH_ERROR
const NEVER_SENT: IoStatus = Errno.EIO | PATH_ERROR | NOT_EXECUTED
const CLOSED: IoStatus = Errno.ESHUTDOWN | PATH_ERROR | NOT_EXECUTED
const NO_ACCESS: IoStatus = Errno.EAGAIN | PATH_ERROR | NOT_EXECUTED

/** What a path needs of its array. */
export interface PathHost {
  readonly host: Host
  readonly pacer: Pacer
  readonly random: () => number
  readonly journal: Journal | null
  readonly maxTransfer: number
  readonly transitionTime: number | undefined
  faultsOf(mapping: Mapping): readonly Fault[]
  activate(mapping: Mapping): void
  /** Settles when the array would have ended what a path has left in it. */
  fenceTime(): Promise<void>
  /** Nothing is left of the path. */
  forget(path: MemoryPath): void
}

/** What a path is made of. */
export interface PathParts {
  readonly id: string
  readonly connection: number
  readonly fenceToken: string
  /** Name of the host. */
  readonly initiator: string
  readonly mapping: Mapping
  /** The paths of the target that opens this one. */
  readonly owned: Set<MemoryPath>
}

/** What a process that was killed would answer; one for each who waits, since a shared one would keep them all. */
export function never(): Promise<never> {
  return new Promise(() => {})
}

/** A connection to a volume through a port: both its ends, the host's queue and what it has sent to the array. */
export class MemoryPath implements Path, Connected {
  readonly id: string
  readonly connection: number
  readonly fenceToken: string
  readonly wasReset: boolean
  readonly mapping: Mapping
  readonly #initiator: string
  readonly #emitter = createEmitter<PathEvents>()
  readonly #host: PathHost
  readonly #owned: Set<MemoryPath>
  readonly #queue = new Ring<Io>()
  /** When the log is on: moment of submit of each in `#queue`. */
  readonly #moments: Ring<number> | null
  #moment = 0
  readonly #commands: Command[] = []
  /** Ios that were in flight when the path ended. */
  readonly #cut = new Ring<Io>()
  #limits: DeviceLimits
  #access: Access
  #preferred: boolean
  /** What it tells before the next command is executed. */
  #news: string | undefined
  readonly #troubles: FaultTroubles
  #faults: readonly Fault[] = []
  #plain = false
  #scheduled = false
  #killed = false
  #failure: BlockError | undefined
  #downSaid = false
  #closed: Promise<void> | undefined
  #onceCut: (() => void) | undefined

  constructor(host: PathHost, { id, connection, fenceToken, initiator, mapping, owned }: PathParts) {
    this.#host = host
    this.#owned = owned
    this.#initiator = initiator
    this.id = id
    this.connection = connection
    this.fenceToken = fenceToken
    this.mapping = mapping
    this.wasReset = mapping.hear(initiator)
    this.#moments = host.journal === null ? null : new Ring()
    this.#access = mapping.access
    this.#preferred = mapping.preferred
    this.#limits = mapping.limits(host.maxTransfer)
    this.#troubles = new FaultTroubles(
      host.host.clock,
      `LUN ${mapping.lun} through port ${mapping.port.number}`,
      (trouble) =>
        // Not from inside of the array: a listener may throw.
        host.pacer.defer(() => void this.#emitter.emit('trouble', trouble)),
    )
    mapping.paths.add(this)
    owned.add(this)
    this.refresh()
  }

  get events(): Events<PathEvents> {
    return this.#emitter
  }

  get volume(): VolumeId {
    return this.mapping.volume.id
  }

  get access(): Access {
    return this.mapping.access
  }

  get preferred(): boolean {
    return this.mapping.preferred
  }

  get transitionTime(): number | undefined {
    return this.#host.transitionTime
  }

  get limits(): DeviceLimits {
    return this.#limits
  }

  get failure(): Error | undefined {
    return this.#failure
  }

  get #open(): boolean {
    return this.#failure === undefined && this.#closed === undefined && !this.#killed
  }

  /** Whether an Io, or whoever waits for the end of the path, has yet to be told. */
  get #owes(): boolean {
    if (this.#killed) return false
    if (this.#queue.length > 0 || this.#cut.length > 0 || this.#onceCut !== undefined) return true
    return this.#failure !== undefined && this.#closed === undefined && !this.#downSaid
  }

  /** Settles with the end of the process if that has ended: never. */
  get alive(): Promise<void> | undefined {
    return this.#killed ? never() : undefined
  }

  submit(io: Io): void {
    if (this.#killed) return
    this.#queue.push(io)
    if (this.#moments !== null) this.#moments.push(this.#host.journal!.tick())
    if (!this.#scheduled) this.#schedule()
  }

  close(options: SignalOptions = {}): Promise<void> {
    if (this.#killed) return never()
    if (this.#closed === undefined) {
      const cut = new Promise<void>((resolve) => {
        this.#onceCut = resolve
      })
      this.#closed = cut
        .then(() => this.#host.fenceTime())
        .then(() => this.alive)
        .then(() => this.leave())
      // Of a path that had ended before, nothing was sent.
      if (this.#failure === undefined) {
        for (let io = this.#next(); io !== undefined; io = this.#next()) this.#cut.push(io)
        this.#cutCommands()
      }
      this.#schedule()
      this.mapping.port.notify()
    }
    return abortable(this.#closed, options.signal)
  }

  async extents(offset: number, length: number, options: SignalOptions = {}): Promise<readonly Extent[]> {
    await this.#reach(options.signal)
    const { volume, takesIo } = this.mapping
    if (!takesIo) throw BlockError.fromStatus('extents', NO_ACCESS)
    if (!(offset >= 0 && length > 0 && offset + length <= volume.size)) {
      throw new TypeError(`extents of ${length} bytes at ${offset}; they must be inside ${volume.size} bytes`)
    }
    return volume.store.extents(offset, length)
  }

  async activate(options: SignalOptions = {}): Promise<void> {
    await this.#reach(options.signal)
    this.#host.activate(this.mapping)
  }

  ping(options: SignalOptions = {}): Promise<void> {
    return this.#reach(options.signal)
  }

  /** What it has left in the array is never executed. */
  leave(): void {
    this.mapping.port.abort(this)
    this.mapping.paths.delete(this)
    this.#owned.delete(this)
    this.#host.forget(this)
  }

  fail(failure: BlockError, arrives: boolean): void {
    if (!this.#open) return
    this.#failure = failure
    this.#cutCommands()
    this.#empty(arrives)
    this.#schedule()
  }

  /** Its process was killed: nobody is told anything any more, and what it has sent stays in the array. */
  kill(): void {
    if (this.#open) {
      this.#cutCommands()
      this.#empty(true)
    }
    this.#killed = true
    while (this.#cut.shift() !== undefined);
    while (this.#next() !== undefined);
  }

  judge(command: Command): IoStatus {
    if (!this.mapping.takesIo) return NO_ACCESS
    if (this.mapping.isProtected && changesData(command.op)) return Errno.EROFS
    if (this.#faults.length === 0) return OK
    const status = judge(this.#faults, command.op, command.offset, command.length, this.#host.random)
    if (status !== OK && this.#open) this.#troubles.add(command, this.#limits.blockSize, status)
    return status
  }

  forget(command: Command): void {
    const last = this.#commands.pop()!
    if (last === command) return
    last.place = command.place
    this.#commands[command.place] = last
  }

  refresh(): void {
    const { port, takesIo, isProtected } = this.mapping
    this.#faults = this.#host.faultsOf(this.mapping)
    this.#plain = takesIo && !isProtected && port.plain && this.#faults.length === 0 && this.#host.journal === null
  }

  accessChanged(): void {
    const { access, preferred } = this.mapping
    if (!this.#open || (this.#access === access && this.#preferred === preferred)) return
    this.#access = access
    this.#preferred = preferred
    this.#emitter.emit('access', this.#access)
  }

  cacheLost(news: string): void {
    if (this.#open) this.#news = news
  }

  /** Tells that the cache was lost, if it was and that is not said yet. */
  tellNews(): void {
    const news = this.#news
    if (news === undefined) return
    this.#news = undefined
    // What a dead path would tell the next one says.
    if (!this.#open) return
    this.mapping.hear(this.#initiator)
    this.#emitter.emit('cacheLost', news)
  }

  limitsChanged(): void {
    if (!this.#open) return
    this.#limits = this.mapping.limits(this.#host.maxTransfer)
    this.#emitter.emit('limits', this.#limits)
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#host.pacer.defer(this.#run)
  }

  readonly #run = (): void => {
    this.#scheduled = false
    try {
      if (this.#open) this.#send()
      else if (!this.#killed) this.#end()
    } finally {
      if (this.#owes) this.#schedule()
    }
  }

  // Only what was there at the start: a `done` that submits again gets a turn of its own.
  #send(): void {
    const volume = this.mapping.volume
    for (let left = this.#queue.length; left > 0 && this.#open; left--) {
      const io = this.#next()
      if (io === undefined) return
      if (this.#plain) io.done(io, volume.perform(io))
      else this.mapping.port.accept(this.#command(io))
    }
  }

  #end(): void {
    for (let io = this.#cut.shift(); io !== undefined; io = this.#cut.shift()) io.done(io, CUT)
    for (let left = this.#queue.length; left > 0; left--) {
      const io = this.#next()
      if (io === undefined) break
      io.done(io, this.#closed === undefined ? NEVER_SENT : CLOSED)
    }
    // By one of these.
    if (this.#killed) return
    if (this.#closed !== undefined) {
      this.#onceCut?.()
      this.#onceCut = undefined
    } else if (this.#queue.length === 0 && !this.#downSaid) {
      this.#downSaid = true
      this.#emitter.emit('down', this.#failure!)
    }
  }

  /** Cuts what is queued, which arrives in the array all the same or does not. */
  #empty(arrives: boolean): void {
    const { port } = this.mapping
    for (let io = this.#next(); io !== undefined; io = this.#next()) {
      this.#cut.push(io)
      if (!arrives) continue
      const command = this.#command(io)
      command.detach()
      port.accept(command)
    }
  }

  #next(): Io | undefined {
    if (this.#moments !== null) this.#moment = this.#moments.shift() ?? 0
    return this.#queue.shift()
  }

  #command(io: Io): Command {
    const command = this.mapping.port.command()
    command.path = this
    command.io = io
    command.op = io.op
    command.flags = io.flags
    command.offset = io.offset
    command.length = io.length
    command.buffers = io.buffers
    command.submitted = this.#moment
    command.place = this.#commands.length
    this.#commands.push(command)
    return command
  }

  #cutCommands(): void {
    for (const command of this.#commands) {
      const io = command.detach()
      if (io !== null) this.#cut.push(io)
    }
  }

  async #reach(signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal)
    const { port } = this.mapping
    while (this.#open && port.hung) await port.changed(signal)
    await this.alive
    if (this.#closed !== undefined) throw new BlockError('CLOSED', `${this.id} is closed`)
    if (this.#failure !== undefined) {
      throw new BlockError('IO_FAILED', `${this.id} is down: ${this.#failure.message}`, { cause: this.#failure })
    }
  }
}
