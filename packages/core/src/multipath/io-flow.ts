import type { Clock } from '../clock.ts'
import type { BlockDevice } from '../device.ts'
import type { Io } from '../io.ts'
import { changesData, IoFlag, IoOp } from '../io.ts'
import type { PathSelector } from '../policy.ts'
import type { IoStatus } from '../status.ts'
import { Errno, isPathError, NOT_EXECUTED, OK, PATH_ERROR } from '../status.ts'
import type { Attempt } from './attempt.ts'
import { comeBack } from './attempt.ts'
import { AttemptPool } from './attempt-pool.ts'
import { Barriers } from './barriers.ts'
import { Deadlines } from './deadlines/deadlines.ts'
import { Durability } from './durability.ts'
import { Guards } from './guards.ts'
import type { ResolvedOptions } from './options.ts'
import type { PathSlot } from './path-slot.ts'
import { Selection } from './selection.ts'
import { Tier } from './tier.ts'
import { Waiting } from './waiting.ts'

// All but what is for this device.
const PATH_FLAGS = ~IoFlag.FailFast

const ELSEWHERE: IoStatus = Errno.EAGAIN | PATH_ERROR | NOT_EXECUTED

/** What the flow asks its device. */
export interface FlowOwner {
  /** Said once per policy. */
  policyFault(error: Error): void
  /** A failed path owes no `done` any more: what it leaves without proof is known. */
  drained(slot: PathSlot): void
  /** Whether a change that none of the usable paths takes may be taken later. */
  awaitsWritable(): boolean
  /** The storage has refused an I/O for a reservation: whether another path may be let in. */
  mayLetOthersIn(slot: PathSlot): boolean
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
  readonly tier: Tier = new Tier()
  readonly pool: AttemptPool = new AttemptPool((io, status) => this.#finish(io.owner as Attempt, status))
  readonly guards: Guards = new Guards(this.pool)
  readonly selection: Selection
  readonly durability: Durability
  readonly waiting: Waiting
  readonly deadlines: Deadlines
  readonly barriers: Barriers = new Barriers()
  readonly #clock: Clock
  readonly #owner: FlowOwner
  #arrivals = 0
  #closed = false

  constructor(clock: Clock, options: ResolvedOptions, selector: PathSelector, owner: FlowOwner) {
    this.#clock = clock
    this.#owner = owner
    this.durability = new Durability(clock, this.pool.all)
    this.deadlines = new Deadlines(clock, options, this.pool.all, {
      expire: (attempt) => this.#expire(attempt),
      halfOver: (left) => owner.parking(left),
      busy: () => owner.busy(),
    })
    const { guards, deadlines } = this
    this.waiting = new Waiting(clock, options, { guards, deadlines, refuse: (attempt) => this.#refuse(attempt) })
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
    else this.#enter(attempt)
  }

  /** Sends one, after those that arrived before it and wait for room. */
  #enter(attempt: Attempt): void {
    const { queued } = this.waiting
    if (queued.head === null) this.#dispatch(attempt)
    else queued.insert(attempt)
  }

  /** A change has ended, or a guard was taken down: what need not wait any more goes on. */
  letGo(): void {
    this.goOn(this.waiting.takeFree())
    this.waiting.boundBehind()
  }

  /** What has waited goes on, in order with what arrived meanwhile. */
  goOn(attempts: readonly Attempt[]): void {
    for (const attempt of attempts) {
      if (this.#mayGoOn(attempt)) this.waiting.queued.insert(attempt)
      else this.waiting.end(attempt)
    }
    this.pump()
  }

  #mayGoOn(attempt: Attempt): boolean {
    if (this.#closed || isGone(attempt)) return false
    return attempt.deadline === 0 || attempt.deadline > this.#clock.now()
  }

  #dispatch(attempt: Attempt): void {
    if (this.tier.slots.length === 0) return this.waiting.park(attempt)
    // A policy that sets off I/O from inside `select`.
    if (this.selection.current !== null) return this.waiting.queued.insert(attempt)
    const parent = attempt.parent as Io
    const io = attempt.io
    // Before the policy runs: what it may reach is not what is sent.
    io.op = parent.op
    io.flags = parent.flags & PATH_FLAGS
    io.offset = parent.offset
    io.length = parent.length
    io.buffers = parent.buffers
    io.source = parent.source
    let entry = this.selection.pick(io)
    if (entry === undefined) {
      // The policy, or a listener of policyFault, has taken the last path out.
      this.waiting.park(attempt)
      return this.pump()
    }
    if (entry.inflight >= entry.queueDepth) {
      const other = this.tier.withRoom()
      if (other === undefined) return this.waiting.queued.insert(attempt)
      entry = other
    }
    attempt.slot = this.tier.slots[entry.index] as PathSlot
    attempt.started = this.#clock.now()
    if (this.tier.aside !== null) entry = this.tier.aside.divert(attempt, entry, attempt.started)
    entry.begin(io.op <= IoOp.Write ? io.length : 0, attempt.started)
    if (!this.deadlines.running) this.deadlines.start()
    ;(entry.device as BlockDevice).submit(io)
  }

  #finish(attempt: Attempt, status: IoStatus): void {
    const parent = attempt.parent
    // Abandoned: its path has been fenced, and another attempt serves the I/O.
    if (parent === null) {
      // An idle one has no slot: a path said its end twice.
      if (attempt.slot !== null) this.pool.give(attempt)
      return
    }
    const slot = attempt.slot as PathSlot
    const entry = slot.entry
    const bytes = parent.op <= IoOp.Write ? parent.length : 0
    const now = this.#clock.now()
    entry.end(bytes, now)
    entry.ios++
    if (status === OK) {
      entry.succeed(bytes, now - attempt.started, now)
      parent.buffers = attempt.io.buffers
      if (attempt.unsure) this.#again(attempt)
      else this.#complete(attempt, parent.op === IoOp.Read ? OK : this.durability.ended(attempt, parent))
    } else {
      this.#finishFailed(attempt, slot, status)
    }
    if (this.waiting.queued.head !== null) this.pump()
  }

  /** It is done, but not as it should be: it is sent once more, as a path takes it now. */
  #again(attempt: Attempt): void {
    comeBack(attempt)
    this.waiting.bound(attempt)
    this.retry(attempt)
  }

  #complete(attempt: Attempt, status: IoStatus): void {
    const parent = attempt.parent as Io
    const noted = attempt.noted || attempt.unproven !== null
    const free = noted && this.guards.leave(attempt, this.#clock.now())
    this.pool.give(attempt)
    this.inflight--
    // Before its owner may submit it again; who waits hears of it after this turn.
    if (this.barriers.any) this.barriers.pass(parent)
    parent.done(parent, status)
    if (free) this.letGo()
  }

  #finishFailed(attempt: Attempt, slot: PathSlot, status: IoStatus): void {
    slot.entry.fail(this.#clock.now())
    if (!isPathError(status)) {
      if (isProtection(status) && changesData(attempt.io.op)) this.#refused(attempt, slot, status)
      else if (status === Errno.EBADE && this.#owner.mayLetOthersIn(slot)) this.#moveOn(attempt, slot, ELSEWHERE)
      else this.#complete(attempt, status)
      return
    }
    this.#moveOn(attempt, slot, status)
  }

  /** The path has failed, or has refused what another one may do. */
  #moveOn(attempt: Attempt, slot: PathSlot, status: IoStatus): void {
    comeBack(attempt)
    const executed = (status & NOT_EXECUTED) === 0
    if (executed) slot.failAfter(status)
    else if (!slot.exclusion.isOn) slot.rest()
    slot.entry.retries++
    const first = attempt.deadline === 0
    this.waiting.bound(attempt)
    const unproven = executed && slot.state === 'fencing' && changesData(attempt.io.op)
    if (unproven) attempt.unproven = slot
    if (this.#closed || isGone(attempt)) {
      this.retry(attempt)
    } else if (unproven) {
      this.waiting.hold(attempt, slot)
    } else if (first) {
      this.#enter(attempt)
    } else {
      this.retry(attempt)
    }
    if (slot.state === 'fencing' && slot.entry.inflight === 0) this.#owner.drained(slot)
  }

  /** The array takes no changes through this path: another one may take them now, or one that is not usable yet. */
  #refused(attempt: Attempt, slot: PathSlot, status: IoStatus): void {
    comeBack(attempt)
    slot.refuseChanges()
    const elsewhere = this.tier.slots.some((other) => !other.isProtected)
    if (this.#closed || isGone(attempt) || !(elsewhere || this.#owner.awaitsWritable())) {
      return this.#complete(attempt, status)
    }
    slot.entry.retries++
    this.waiting.bound(attempt)
    if (elsewhere) this.#enter(attempt)
    else this.waiting.park(attempt)
  }

  /** Goes on with one that has come back, or has waited. */
  retry(attempt: Attempt): void {
    if (this.#closed) this.#complete(attempt, Errno.ESHUTDOWN)
    else if (isGone(attempt)) this.#complete(attempt, Errno.ECANCELED)
    else if (attempt.deadline <= this.#clock.now()) this.#expire(attempt)
    else this.#enter(attempt)
  }

  /** Sends what waits for room, as far as there is any. */
  pump(): void {
    const { queued } = this.waiting
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
    if (this.#closed || isGone(attempt)) this.retry(attempt)
    else this.#expire(attempt)
  }

  #expire(attempt: Attempt): void {
    attempt.list?.remove(attempt)

    this.expired++
    this.#complete(attempt, Errno.EIO)
  }

  /** From now on what comes back ends: nothing is tried again. */
  close(): void {
    this.#closed = true
  }
}

function isProtection(status: IoStatus): boolean {
  return status === Errno.EROFS || status === Errno.EPERM
}

/** Whether whoever submitted it has gone. */
export function isGone({ parent }: Attempt): boolean {
  return parent?.source?.gone === true
}
