import type { Clock } from '../clock.ts'
import type { BlockDevice } from '../device.ts'
import type { Io } from '../io.ts'
import { changesData, IoOp } from '../io.ts'
import type { IoSource } from '../io-source.ts'
import type { ByteRun } from '../ledger.ts'
import type { GuardStatus } from '../pair.ts'
import type { PathSelector } from '../policy.ts'
import type { IoStatus } from '../status.ts'
import { Errno, isPathError, NOT_EXECUTED, OK, PATH_ERROR } from '../status.ts'
import type { Attempt } from './attempt.ts'
import { AttemptList, AttemptPool, comeBack } from './attempt.ts'
import { Barriers } from './barriers.ts'
import { Durability } from './durability.ts'
import type { Guard, Owed } from './guard.ts'
import { Guards } from './guards.ts'
import { InFlightWatch } from './in-flight-watch.ts'
import { latencyBucket } from './latency.ts'
import type { ResolvedOptions } from './options.ts'
import type { PathSlot } from './path-slot.ts'
import { Selection } from './selection.ts'
import { Tier } from './tier.ts'
import { Waiting } from './waiting.ts'

const ELSEWHERE: IoStatus = Errno.EAGAIN | PATH_ERROR | NOT_EXECUTED

/** What an engine tells its device. */
export interface EngineOwner {
  /** Said once per policy. */
  policyFault(error: Error): void
  /** A failed path owes no `done` any more: what it leaves without proof is known. */
  drained(slot: PathSlot): void
  /** Whether a change that none of the usable paths takes may be taken later. */
  awaitsWritable(): boolean
  /** The storage has refused an I/O for a reservation: whether another path may be let in. */
  mayLetOthersIn(slot: PathSlot): boolean
}

/**
 * The I/O side of a multipath device: picks a path for each I/O, tries again elsewhere, lets I/O wait
 * for a path, for room, for a fence, or for an earlier change of the same range. Everything on the way of an I/O
 * that succeeds is in `submit`, `#dispatch`, `Selection.pick`, `#finish` and `#complete`, and allocates nothing.
 */
export class Engine {
  /** Ios submitted and not done. */
  inflight = 0
  readonly selection: Selection
  readonly durability: Durability
  readonly #clock: Clock
  readonly #owner: EngineOwner
  readonly #tier = new Tier()
  readonly #pool: AttemptPool = new AttemptPool((io, status) => this.#finish(io.owner as Attempt, status))
  /** For room on a usable path. */
  readonly #queued = new AttemptList()
  readonly #guards = new Guards(this.#pool)
  readonly #waiting: Waiting
  readonly #watch: InFlightWatch
  readonly #barriers = new Barriers()
  #expired = 0
  #closed = false

  constructor(clock: Clock, options: ResolvedOptions, selector: PathSelector, owner: EngineOwner) {
    this.#clock = clock
    this.#owner = owner
    this.durability = new Durability(clock, this.#pool.all)
    this.#waiting = new Waiting(clock, options.noPathTimeout, this.#guards, (attempt) => this.#expire(attempt))
    this.#watch = new InFlightWatch(clock, options, this.#pool.all)
    this.selection = new Selection(selector, (error) => owner.policyFault(error))
  }

  /** Ios waiting for a usable path, for a fence, or for an earlier change of their range. */
  get parked(): number {
    return this.#waiting.length
  }

  /** Ios waiting for room on a usable path. */
  get queued(): number {
    return this.#queued.length
  }

  /** The slots that I/O goes to. */
  get usable(): readonly PathSlot[] {
    return this.#tier.slots
  }

  submit(io: Io): void {
    const attempt = this.#pool.take()
    attempt.parent = io
    this.inflight++
    if (io.op === IoOp.Flush) attempt.covers = this.durability.written
    const guards = this.#guards
    if ((guards.careful || io.source !== guards.only) && guards.holds(attempt, io)) this.#waiting.wait(attempt)
    else if (this.#queued.head === null) this.#dispatch(attempt)
    else this.#queued.push(attempt)
  }

  /** A change has ended, or a guard was taken down: what need not wait any more goes on. */
  #letGo(): void {
    for (const attempt of this.#waiting.takeFree()) this.#goOn(attempt)
    this.#waiting.boundBehind()
  }

  #goOn(attempt: Attempt): void {
    if (this.#closed || attempt.deadline !== 0 || isGone(attempt)) this.#retry(attempt)
    else if (this.#queued.head === null) this.#dispatch(attempt)
    else this.#queued.push(attempt)
  }

  #dispatch(attempt: Attempt): void {
    if (this.#tier.slots.length === 0) return this.#waiting.park(attempt)
    // A policy that sets off I/O from inside `select`.
    if (this.selection.current !== null) return this.#queued.push(attempt)
    const parent = attempt.parent as Io
    const io = attempt.io
    // Before the policy runs: what it may reach is not what is sent.
    io.op = parent.op
    io.flags = parent.flags
    io.offset = parent.offset
    io.length = parent.length
    io.buffers = parent.buffers
    io.source = parent.source
    let entry = this.selection.pick(io)
    if (entry === undefined) {
      // The policy, or a listener of policyFault, has taken the last path out.
      this.#waiting.park(attempt)
      return this.#pump()
    }
    if (entry.inflight >= entry.queueDepth) {
      const other = this.#tier.withRoom()
      if (other === undefined) return this.#queued.push(attempt)
      entry = other
    }
    attempt.slot = this.#tier.slots[entry.index] as PathSlot
    attempt.started = this.#clock.now()
    entry.inflight++
    entry.inflightBytes += io.op <= IoOp.Write ? io.length : 0
    if (!this.#watch.running) this.#watch.start()
    ;(entry.device as BlockDevice).submit(io)
  }

  #finish(attempt: Attempt, status: IoStatus): void {
    const parent = attempt.parent
    // Abandoned: its path has been fenced, and another attempt serves the I/O.
    if (parent === null) {
      // An idle one has no slot: a path said its end twice.
      if (attempt.slot !== null) this.#pool.give(attempt)
      return
    }
    const slot = attempt.slot as PathSlot
    const entry = slot.entry
    entry.inflight--
    const bytes = parent.op <= IoOp.Write ? parent.length : 0
    entry.inflightBytes -= bytes
    entry.ios++
    if (status === OK) {
      const elapsed = this.#clock.now() - attempt.started
      entry.latency = entry.latency === 0 ? elapsed : entry.latency + (elapsed - entry.latency) * 0.125
      const bucket = latencyBucket(elapsed | 0)
      entry.histogram[bucket] = (entry.histogram[bucket] as number) + 1
      entry.bytes += bytes
      parent.buffers = attempt.io.buffers
      if (attempt.unsure) this.#again(attempt)
      else this.#complete(attempt, parent.op === IoOp.Read ? OK : this.durability.ended(attempt, parent))
    } else {
      this.#finishFailed(attempt, slot, status)
    }
    if (this.#queued.head !== null) this.#pump()
  }

  /** It is done, but not as it should be: it is sent once more, as a path takes it now. */
  #again(attempt: Attempt): void {
    comeBack(attempt)
    this.#waiting.bound(attempt)
    this.#retry(attempt)
  }

  #complete(attempt: Attempt, status: IoStatus): void {
    const parent = attempt.parent as Io
    const noted = attempt.noted || attempt.unproven !== null
    const free = noted && this.#guards.leave(attempt, this.#clock.now())
    this.#pool.give(attempt)
    this.inflight--
    // Before its owner may submit it again; who waits hears of it after this turn.
    if (this.#barriers.any) this.#barriers.pass(parent)
    parent.done(parent, status)
    if (free) this.#letGo()
  }

  /** Settles when every I/O that is in flight now is done. */
  settled(): Promise<void> {
    return this.#barriers.add(this.#pool.all)
  }

  #finishFailed(attempt: Attempt, slot: PathSlot, status: IoStatus): void {
    slot.entry.errors++
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
    this.#waiting.bound(attempt)
    const unproven = executed && slot.state === 'fencing' && changesData(attempt.io.op)
    if (unproven) attempt.unproven = slot
    if (this.#closed || isGone(attempt)) {
      this.#retry(attempt)
    } else if (unproven) {
      this.#waiting.hold(attempt, slot)
    } else if (first) {
      this.#dispatch(attempt)
    } else {
      this.#retry(attempt)
    }
    if (slot.state === 'fencing' && slot.entry.inflight === 0) this.#owner.drained(slot)
  }

  /** The array takes no changes through this path: another one may take them now, or one that is not usable yet. */
  #refused(attempt: Attempt, slot: PathSlot, status: IoStatus): void {
    comeBack(attempt)
    slot.refuseChanges()
    const elsewhere = this.#tier.slots.some((other) => !other.isProtected)
    if (this.#closed || isGone(attempt) || !(elsewhere || this.#owner.awaitsWritable())) {
      return this.#complete(attempt, status)
    }
    slot.entry.retries++
    this.#waiting.bound(attempt)
    if (elsewhere) this.#dispatch(attempt)
    else this.#waiting.park(attempt)
  }

  #retry(attempt: Attempt): void {
    if (this.#closed) this.#complete(attempt, Errno.ESHUTDOWN)
    else if (isGone(attempt)) this.#complete(attempt, Errno.ECANCELED)
    else if (attempt.deadline <= this.#clock.now()) this.#expire(attempt)
    else this.#dispatch(attempt)
  }

  #pump(): void {
    while (
      this.selection.current === null &&
      this.#queued.head !== null &&
      (this.#tier.slots.length === 0 || this.#tier.withRoom() !== undefined)
    ) {
      this.#dispatch(this.#queued.shift() as Attempt)
    }
  }

  #expire(attempt: Attempt): void {
    this.#expired++
    this.#complete(attempt, Errno.EIO)
  }

  /** Changes the paths that I/O goes to; returns how many Ios expired while there was none, where there now is one. */
  setUsable(slots: readonly PathSlot[]): number | undefined {
    const resumed = this.#tier.slots.length === 0 && slots.length > 0
    // What is parked beside usable paths waits for one that takes changes.
    const unparks = resumed || slots.some((slot) => !slot.isProtected)
    if (slots.length === 0) this.#expired = 0
    this.#tier.set(slots)
    this.selection.update(this.#tier.entries)
    if (unparks) this.unpark()
    this.#pump()
    // The policy's `update` may have taken the last path out again.
    if (!resumed || this.#tier.slots.length === 0) return undefined
    const expired = this.#expired
    this.#expired = 0
    return expired
  }

  /** Lets what waits for a path, or for one that takes changes, try again. */
  unpark(): void {
    const { parked } = this.#waiting
    for (let count = parked.length; count > 0; count--) {
      const attempt = parked.shift()
      if (attempt === null) break
      this.#retry(attempt)
    }
  }

  /** Nothing sent through the slot's path can change data any more: what waited for that moves on. */
  fenced(slot: PathSlot): void {
    this.#guards.fenced(slot)
    for (const attempt of [...this.#pool.all]) {
      if (attempt.slot === slot && attempt.parent !== null) this.#replace(attempt, slot)
    }
    for (const attempt of this.#waiting.takeHeld(slot)) {
      attempt.unproven = null
      this.#retry(attempt)
    }
    this.#letGo()
  }

  // The path was closed and still owes a `done`: what it sends late must not reach the I/O.
  #replace(late: Attempt, slot: PathSlot): void {
    const attempt = this.#pool.take()
    attempt.parent = late.parent
    attempt.deadline = late.deadline
    attempt.troubled = late.troubled
    attempt.covers = late.covers
    if (late.noted) this.#guards.hand(late, attempt)
    slot.entry.inflight--
    const { op, length } = late.io
    slot.entry.inflightBytes -= op <= IoOp.Write ? length : 0
    late.parent = null
    this.#waiting.bound(attempt)
    this.#retry(attempt)
  }

  /** Ends what waits with ESHUTDOWN; what is in flight ends with its path. */
  close(): void {
    this.#closed = true
    this.#waiting.stop()
    for (const list of [this.#queued, ...this.#waiting.lists()]) {
      for (let attempt = list.shift(); attempt !== null; attempt = list.shift()) this.#retry(attempt)
    }
  }

  /** See {@link BlockDevice.abandon}. */
  abandon(source: IoSource): void {
    source.gone = true
    if (this.#guards.knows(source)) this.durability.left(source)
    const now = this.#clock.now()
    for (const attempt of this.#pool.all) {
      const { parent, slot } = attempt
      if (parent?.source === source && slot !== null && changesData(parent.op)) {
        this.#guards.overAbandoned(attempt, slot, now)
      }
    }
    for (const list of [this.#queued, ...this.#waiting.lists()]) {
      for (const attempt of list.take(isGone)) this.#retry(attempt)
    }
    this.#guards.forget(source)
  }

  /** See {@link BlockDevice.beginWhole}. */
  beginWhole(io: Io): void {
    this.#guards.beginWhole(io)
  }

  /** See {@link BlockDevice.endWhole}. */
  endWhole(io: Io): void {
    if (this.#guards.endWhole(io)) this.#letGo()
  }

  /** Holds all changes until a failed path is fenced; `why` is for people. */
  guardAll(slot: PathSlot, size: number, why: string): void {
    this.#guards.overAll(slot, size, this.#clock.now(), why)
  }

  /** Holds what overlaps a range in which somebody else may still have changes in flight. */
  owe(owed: Owed): void {
    this.durability.inherit()
    // Where nothing can come any more there is nothing to hold.
    if (owed.length > 0) this.#guards.owe(owed, this.#clock.now(), () => this.#letGo())
  }

  /** Takes down the guards that wait for a proof; returns what was to bring it. */
  release(): ReadonlySet<PathSlot | Owed> {
    const released = new Set(this.#guards.release().map(({ by }) => by))
    this.#letGo()
    return released
  }

  /** The guards themselves. */
  guarded(): readonly Guard[] {
    return this.#guards.all()
  }

  /** Ranges that wait for a proof. */
  get guards(): readonly GuardStatus[] {
    return this.#guards.status()
  }

  /** What a failed path leaves without a proof. */
  unprovenOf(slot: PathSlot): readonly ByteRun[] {
    const runs: ByteRun[] = this.#guards.of(slot).map(({ from, end }) => [from, end - from])
    for (const { parent, unproven } of this.#pool.all) {
      if (parent !== null && unproven === slot) runs.push([parent.offset, parent.length])
    }
    return runs
  }

  /** Ends the watch over what is in flight. */
  stopWatch(): void {
    this.#watch.stop()
  }
}

function isProtection(status: IoStatus): boolean {
  return status === Errno.EROFS || status === Errno.EPERM
}

/** Whether whoever submitted it has gone. */
function isGone({ parent }: Attempt): boolean {
  return parent?.source?.gone === true
}
