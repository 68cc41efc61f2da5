import type { Clock } from '../clock.ts'
import type { BlockDevice } from '../device.ts'
import type { Io } from '../io.ts'
import { IoFlag, IoOp } from '../io.ts'
import type { PathSelector } from '../policy.ts'
import type { IoStatus } from '../status.ts'
import { Errno, isPathError, OK } from '../status.ts'
import type { Attempt, AttemptList } from './attempt.ts'
import { Apart, comeBack } from './attempt.ts'
import { AttemptPool } from './attempt-pool.ts'
import { Barriers } from './barriers.ts'
import { Deadlines } from './deadlines/deadlines.ts'
import { Durability } from './durability.ts'
import { Escort } from './escort.ts'
import type { FailoverOwner } from './failover.ts'
import { Failover, isGone } from './failover.ts'
import { Guards } from './guards.ts'
import { Hedging } from './hedging/hedging.ts'
import type { ResolvedOptions } from './options.ts'
import type { PathSlot } from './path-slot.ts'
import { Selection } from './selection.ts'
import { Tier } from './tier.ts'
import type { FlowTrace } from './trace/flow-trace.ts'
import { Waiting } from './waiting.ts'

// All but what is for this device.
const PATH_FLAGS = ~IoFlag.FailFast

/** What the flow asks its device. */
export interface FlowOwner extends FailoverOwner {
  /** Said once per policy. */
  policyFault(error: Error): void
  /** Half of the time is over that what waits may do so; `left`: milliseconds until the first of it ends. */
  parking(left: number): void
  /** Something is in flight, after a while in which nothing was. */
  busy(): void
}

/**
 * The way of each I/O from `submit` to `done`: a path is picked, what failed is tried again elsewhere, what has to wait
 * waits. Everything on the way of an I/O that succeeds is in `submit`, `#dispatch`, `Selection.pick`, `#finish` and
 * `#complete`, and allocates nothing.
 */
export class IoFlow {
  /** Ios submitted and not done. */
  inflight = 0
  /** Ios that have waited too long, since somebody has set it to 0. */
  expired = 0
  /** From now on what comes back ends: nothing is tried again. */
  closed = false
  readonly tier: Tier = new Tier()
  readonly pool: AttemptPool = new AttemptPool((io, status) => this.#finish(io.owner as Attempt, status))
  /** For room on a usable path. */
  readonly queued: AttemptList
  readonly guards: Guards = new Guards(this.pool)
  readonly selection: Selection
  readonly durability: Durability
  readonly waiting: Waiting
  readonly deadlines: Deadlines
  readonly barriers: Barriers = new Barriers()
  /** Null where reads are not hedged. */
  readonly hedging: Hedging | null
  /** Hears of every I/O; null as long as nobody traces. */
  trace: FlowTrace | null = null
  readonly escort: Escort = new Escort(this)
  readonly #clock: Clock
  readonly #owner: FlowOwner
  readonly #failover: Failover
  #arrivals = 0

  constructor(clock: Clock, options: ResolvedOptions, selector: PathSelector, owner: FlowOwner) {
    this.#clock = clock
    this.#owner = owner
    this.durability = new Durability(clock, this.pool.all)
    this.hedging = options.hedgeReads ? new Hedging(clock, this) : null
    this.#failover = new Failover(clock, this, owner)
    this.deadlines = new Deadlines(clock, options, this.pool.all, {
      expire: (attempt) => this.#expire(attempt),
      halfOver: (left) => owner.parking(left),
      turned: () => this.escort.look(),
      busy: () => owner.busy(),
    })
    const { guards, deadlines } = this
    this.waiting = new Waiting(clock, options, { guards, deadlines, refuse: (attempt) => this.#refuse(attempt) })
    this.queued = this.waiting.queued
    this.selection = new Selection(selector, clock, (error) => owner.policyFault(error))
  }

  submit(io: Io): void {
    const attempt = this.pool.take()
    attempt.parent = io
    attempt.arrival = this.#arrivals = (this.#arrivals + 1) | 0
    this.inflight++
    if (io.op === IoOp.Flush) attempt.covers = this.durability.written
    const guards = this.guards
    if ((guards.careful || io.source !== guards.only) && guards.holds(attempt, io)) this.waiting.wait(attempt)
    else this.enter(attempt)
  }

  /** Sends one, after those that arrived before it and wait for room. */
  enter(attempt: Attempt): void {
    if (this.queued.head === null) this.#dispatch(attempt)
    else this.waiting.queue(attempt)
  }

  /** A change has ended, or a guard was taken down: what need not wait any more goes on. */
  letGo(): void {
    this.goOn(this.waiting.takeFree())
    this.waiting.boundBehind()
  }

  /** What has waited goes on, in order with what arrived meanwhile. */
  goOn(attempts: readonly Attempt[]): void {
    for (const attempt of attempts) {
      if (this.#mayGoOn(attempt)) this.queued.insert(attempt)
      else this.waiting.end(attempt)
    }
    this.pump()
  }

  #mayGoOn(attempt: Attempt): boolean {
    if (this.closed || isGone(attempt)) return false
    return attempt.deadline === 0 || attempt.deadline > this.#clock.now()
  }

  #dispatch(attempt: Attempt): void {
    if (this.tier.slots.length === 0) return this.waiting.park(attempt)
    // A policy that sets off I/O from inside `select`.
    if (this.selection.current !== null) return this.waiting.queue(attempt)
    const parent = attempt.parent as Io
    const io = attempt.io
    // Before the policy runs: what it may reach is not what is sent.
    io.op = parent.op
    io.flags = parent.flags & PATH_FLAGS
    io.offset = parent.offset
    io.length = parent.length
    io.buffers = parent.buffers
    io.source = parent.source
    const wanted = this.selection.pick(io)
    if (wanted === undefined) return this.#pathless(attempt)
    let entry = wanted
    if (entry.inflight >= entry.queueDepth) {
      const other = this.tier.withRoom()
      if (other === undefined) return this.waiting.queue(attempt)
      entry = other
    }
    const now = this.#clock.now()
    attempt.slot = this.tier.slots[entry.index] as PathSlot
    attempt.started = now
    if (this.escort.wanted) entry = this.escort.go(attempt, wanted, entry)
    entry.begin(io.op <= IoOp.Write ? io.length : 0, now)
    ;(entry.device as BlockDevice).submit(io)
  }

  /** The policy, or a listener of policyFault, has taken the last path out. */
  #pathless(attempt: Attempt): void {
    this.waiting.park(attempt)
    this.pump()
  }

  #finish(attempt: Attempt, status: IoStatus): void {
    const parent = attempt.parent
    // An idle one has no slot: a path said its end twice.
    if (parent === null) return attempt.slot === null ? undefined : this.#finishUseless(attempt, attempt.slot, status)
    const slot = attempt.slot as PathSlot
    const entry = slot.entry
    const bytes = parent.op <= IoOp.Write ? parent.length : 0
    const now = this.#clock.now()
    entry.end(bytes, now)
    entry.ios++
    if (status === OK) {
      entry.succeed(bytes, now - attempt.started, now)
      if (attempt.apart !== Apart.No) return this.#finishApart(attempt, now)
      parent.buffers = attempt.io.buffers
      this.complete(attempt, parent.op === IoOp.Read ? OK : this.durability.ended(attempt, parent))
    } else {
      this.#failover.failed(attempt, slot, status)
    }
    if (this.queued.head !== null) this.pump()
  }

  #finishApart(attempt: Attempt, now: number): void {
    if (attempt.apart === Apart.Watched) {
      this.hedging?.won(attempt, now)
      this.complete(attempt, OK)
    } else {
      this.#again(attempt)
    }
    this.pump()
  }

  /** Nobody waits for it: another try serves its I/O, or has done so. */
  #finishUseless(attempt: Attempt, slot: PathSlot, status: IoStatus): void {
    const lost = attempt.apart === Apart.Lost
    if (lost) this.#countLost(attempt, slot, status)
    this.drop(attempt)
    if (lost && isPathError(status)) this.#failover.lost(slot, status)
    this.pump()
  }

  #countLost(attempt: Attempt, slot: PathSlot, status: IoStatus): void {
    const { entry } = slot
    const { length } = attempt.io
    const now = this.#clock.now()
    this.forsake(attempt, slot)
    entry.ios++
    if (status !== OK) return entry.fail(now)
    entry.succeed(length, now - attempt.started, now)
    this.hedging?.late(attempt, now)
  }

  /** What is in flight on a path will tell nobody of its end. */
  forsake(attempt: Attempt, { entry }: PathSlot): void {
    const { op, length } = attempt.io
    entry.end(op <= IoOp.Write ? length : 0, this.#clock.now())
    if (attempt.apart === Apart.Lost) this.hedging?.over()
    attempt.apart = Apart.No
    attempt.parent = null
  }

  /** It is of no use any more. */
  drop(attempt: Attempt): void {
    attempt.traced = 0
    this.pool.give(attempt)
  }

  /** It is done, but not as it should be: it is sent once more, as a path takes it now. */
  #again(attempt: Attempt): void {
    comeBack(attempt)
    this.waiting.bound(attempt)
    this.retry(attempt)
  }

  complete(attempt: Attempt, status: IoStatus): void {
    const parent = attempt.parent as Io
    if (this.trace !== null) this.trace.done(attempt, status)
    const free = (attempt.noted || attempt.deadline !== 0) && this.#leave(attempt, status)
    this.pool.give(attempt)
    this.inflight--
    // Before its owner may submit it again; who waits hears of it after this turn.
    if (this.barriers.any) this.barriers.pass(parent)
    parent.done(parent, status)
    if (free) this.letGo()
  }

  /** It was in order with others, or met trouble; returns whether something may wait for nothing any more. */
  #leave(attempt: Attempt, status: IoStatus): boolean {
    if (attempt.deadline !== 0) this.#owner.journal.done(attempt, status)
    const noted = attempt.noted || attempt.unproven !== null
    return noted && this.guards.leave(attempt, this.#clock.now())
  }

  /** Goes on with one that has come back, or has waited. */
  retry(attempt: Attempt): void {
    if (this.closed) this.complete(attempt, Errno.ESHUTDOWN)
    else if (isGone(attempt)) this.complete(attempt, Errno.ECANCELED)
    else if (attempt.deadline <= this.#clock.now()) this.#expire(attempt)
    else this.enter(attempt)
  }

  /** Sends what waits for room, as far as there is any. */
  pump(): void {
    const { queued } = this
    while (
      this.selection.current === null &&
      queued.head !== null &&
      (this.tier.slots.length === 0 || this.tier.withRoom() !== undefined)
    ) {
      this.#dispatch(queued.shift() as Attempt)
    }
  }

  /** Ends what may not wait. */
  #refuse(attempt: Attempt): void {
    if (this.closed || isGone(attempt)) this.retry(attempt)
    else this.#expire(attempt)
  }

  #expire(attempt: Attempt): void {
    attempt.list?.remove(attempt)
    this.expired++
    this.#owner.journal.expired()
    this.complete(attempt, Errno.EIO)
  }
}
