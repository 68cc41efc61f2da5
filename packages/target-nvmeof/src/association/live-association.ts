import type { Clock, SignalOptions } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import type { Lane, Wire } from '@blockbraid/wire'
import { Wakeful } from '@blockbraid/wire'
import type { BroughtUp } from '../controller/bring-up.ts'
import { disable, shutDown } from '../controller/enable.ts'
import type { ControllerFacts } from '../controller/facts.ts'
import type { Procedure } from '../nvme/procedure.ts'
import type { Place } from '../place/place.ts'
import type { Command } from '../queue/command.ts'
import type { QueueOptions } from '../queue/queue.ts'
import { Share } from '../queue/share.ts'
import type { Association, AssociationListener, RunOptions } from './association.ts'
import { Drains } from './drains.ts'
import { execute } from './execute.ts'
import type { LinkHost } from './link.ts'
import { Link } from './link.ts'
import { runProcedure } from './run-procedure.ts'
import type { Upkeep } from './upkeep.ts'

/** What a {@link LiveAssociation} is made of. */
export interface AssociationParts {
  readonly clock: Clock
  readonly place: Place
  /** Milliseconds for a command of `run`, where it does not say otherwise. */
  readonly commandTimeout: number
}

// µs. A quick controller answers a lone command well within this.
const QUICK = 120
// Whatever a controller says that it needs, ms: nothing that was sent is open any more.
const LONGEST_SHUTDOWN = 10_000

/** An association, from its first connection on. */
export class LiveAssociation implements Association {
  readonly place: Place
  readonly listeners = new Set<AssociationListener>()
  readonly unfenced = new Set<object>()
  error: BlockError | undefined
  endedAt = 0
  heardAt: number
  anaLog: Uint8Array | undefined
  readonly #clock: Clock
  readonly #commandTimeout: number
  readonly #wakeful: Wakeful
  readonly #drains: Drains
  #up: BroughtUp | undefined
  #upkeep: Upkeep | undefined
  /** The admin queue, then the I/O queues: each at its identifier. */
  readonly #links: Link[] = []

  constructor({ clock, place, commandTimeout }: AssociationParts) {
    this.place = place
    this.#clock = clock
    this.#commandTimeout = commandTimeout
    this.heardAt = clock.now()
    this.#wakeful = new Wakeful(clock, QUICK)
    this.#drains = new Drains((watch) => {
      for (const { queue } of this.#links) queue.onEnd = watch
    })
  }

  get controller(): ControllerFacts {
    return this.#known.facts
  }

  get #known(): BroughtUp {
    if (this.#up === undefined) throw new Error('the controller has not been brought up')
    return this.#up
  }

  get usable(): boolean {
    return this.error === undefined
  }

  get silence(): number {
    return this.#io().reduce((longest, { life }) => Math.max(longest, life.silence), 0)
  }

  /** Makes the wire its next queue, the admin queue first; settles when the connection is agreed on. */
  async join(wire: Wire, options: Omit<QueueOptions, 'id'>): Promise<Link> {
    const isAdmin = this.#links.length === 0
    const host: LinkHost = {
      clock: this.#clock,
      wakeful: isAdmin ? undefined : this.#wakeful,
      heard: this.#heard,
      lost: (error) => this.#lost(link, error),
    }
    const link = new Link(wire, host, { ...options, id: this.#links.length })
    this.#links.push(link)
    if (this.error !== undefined) link.cut(this.error)
    await link.open()
    return link
  }

  /** The controller is up; `upkeep` is started and stopped with it. */
  serve(up: BroughtUp, upkeep: Upkeep): void {
    this.#up = up
    this.#upkeep = upkeep
    if (this.error === undefined) upkeep.start()
  }

  /** Whether a command of an I/O queue was answered that was sent after the last `mark`. */
  worked(): boolean {
    return this.#io().some(({ queue }) => queue.worked)
  }

  mark(): void {
    for (const { queue } of this.#links) queue.mark()
  }

  share(nsid: number): Share {
    return new Share(
      this.#io().map(({ queue }) => queue),
      nsid,
    )
  }

  take(share?: Share): Command | undefined {
    const link = this.error === undefined ? this.#idlest() : undefined
    if (link === undefined) return undefined
    const { queue } = link
    const command = queue.take()
    if (share !== undefined) command.lane = share.lanes[queue.id] as Lane<Command>
    return command
  }

  send(command: Command): void {
    const { queue } = this.#links[command.queueId] as Link
    queue.send(command)
    if (this.error !== undefined) this.#clock.defer(() => queue.refuseWaiting())
    else if (queue.busy === 1) this.#wakeful.waiting()
  }

  commandsOf(owner: object): Command[] {
    return this.#links.flatMap(({ queue }) => queue.commandsOf(owner))
  }

  detach(commands: readonly Command[]): boolean {
    let clean = true
    for (const { queue } of this.#links) {
      const own = commands.filter(({ queueId }) => queueId === queue.id)
      if (own.length > 0 && !queue.detach(own)) clean = false
    }
    return clean
  }

  drained(owner: object, options: SignalOptions = {}): Promise<void> {
    if (this.error !== undefined) return Promise.reject(this.error)
    return this.#drains.wait(() => !this.commandsOf(owner).some(({ changes }) => changes), options)
  }

  async ping(question: () => Procedure<unknown>, owner: object, options: SignalOptions = {}): Promise<void> {
    if (this.error !== undefined) throw this.error
    const ask = (link: Link): void => {
      // One for each owner: where its namespace hangs, and others answer in its place, it would gather them.
      if (link.asking.has(owner)) return
      link.asking.add(owner)
      const back = (): void => void link.asking.delete(owner)
      // Any answer will do, also that to another command: who waits is told by what comes.
      this.runOn(link, question(), { owner, timeout: Infinity }).then(back, back)
    }
    await Promise.all(this.#io().map((link) => link.life.ask(() => ask(link), options)))
  }

  run<Result>(procedure: Procedure<Result>, options: RunOptions = {}): Promise<Result> {
    if (this.error !== undefined) return Promise.reject(this.error)
    const link = options.io === true ? this.#idlest() : this.#links[0]
    if (link === undefined) return Promise.reject(new BlockError('NOT_SUPPORTED', 'there is no such queue'))
    return this.runOn(link, procedure, options)
  }

  /** As `run`, on one of its queues, whatever has become of the others. */
  runOn<Result>(link: Link, procedure: Procedure<Result>, options: RunOptions = {}): Promise<Result> {
    const clock = this.#clock
    const { signal, timeout = this.#commandTimeout, owner = this } = options
    const lost = (error: BlockError): void => this.#lost(link, error)
    return runProcedure(procedure, {
      clock,
      signal,
      submit: (submission) => execute(link, submission, { clock, signal, timeout, owner, lost }),
    })
  }

  trouble(nsid: number, anaGroup: number): void {
    this.#upkeep?.trouble(nsid, anaGroup)
  }

  drop(error: BlockError): void {
    if (this.error !== undefined) return
    this.#begin(error)
    for (const link of this.#io()) link.cut(error)
    const admin = this.#links[0]
    for (const { queue } of this.#links) {
      for (const { changes, owner } of queue.sent()) if (changes && owner !== null) this.unfenced.add(owner)
    }
    // Before commands end: that they do so is no proof.
    this.#drains.failAll(error)
    for (const { queue } of this.#io()) queue.endAll()
    if (admin !== undefined) this.#leaveAdmin(admin, error)
    for (const listener of [...this.listeners]) listener.lost(error)
  }

  async disable({ signal }: SignalOptions = {}): Promise<boolean> {
    const admin = this.#links[0]
    if (this.#up === undefined || admin === undefined || !admin.alive) return false
    return this.runOn(admin, disable(this.#up.facts.readyTimeout), { signal }).then(
      () => true,
      () => false,
    )
  }

  release(): void {
    const admin = this.#links[0]
    if (admin !== undefined) cutAndEnd(admin, this.error ?? new BlockError('CLOSED', 'the association is closed'))
  }

  async close({ signal }: SignalOptions = {}): Promise<void> {
    if (this.error !== undefined) return
    const error = new BlockError('CLOSED', 'the association is closed')
    this.#begin(error)
    this.#drains.failAll(error)
    const { capabilities, controller } = this.#known
    const admin = this.#links[0] as Link
    const time = Math.min(controller.shutdownTime, LONGEST_SHUTDOWN)
    try {
      await this.runOn(admin, shutDown(capabilities, time), { signal })
    } catch {
      // It ends all the same.
    }
    for (const link of this.#links) {
      link.end(error)
      link.queue.endAll()
    }
  }

  readonly #heard = (): void => {
    this.heardAt = this.#clock.now()
  }

  #io(): Link[] {
    return this.#links.slice(1)
  }

  #idlest(): Link | undefined {
    const links = this.#links
    let best = links[1]
    for (let at = 2; at < links.length; at++) {
      const link = links[at] as Link
      if (link.queue.busy < (best as Link).queue.busy) best = link
    }
    return best
  }

  #begin(error: BlockError): void {
    this.error = error
    this.endedAt = this.#clock.now()
    this.#upkeep?.stop()
  }

  #lost(link: Link, error: BlockError): void {
    if (this.error !== undefined) return cutAndEnd(link, error)
    // With the wire: payload must not leave once its command has ended.
    link.cut(error)
    this.drop(error)
    link.queue.endAll()
  }

  /** The admin queue stays where nothing of what its commands send is left here. */
  #leaveAdmin(admin: Link, error: BlockError): void {
    const { queue } = admin
    if (!admin.alive) queue.endAll()
    else if (!queue.detach(queue.open())) cutAndEnd(admin, error)
  }
}

function cutAndEnd(link: Link, error: BlockError): void {
  link.cut(error)
  link.queue.endAll()
}
