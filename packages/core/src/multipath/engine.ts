import type { Clock, Timer } from '../clock.ts'
import type { BlockDevice } from '../device.ts'
import type { Io } from '../io.ts'
import { changesData, IoFlag, IoOp } from '../io.ts'
import type { IoSource } from '../io-source.ts'
import type { ByteRun } from '../ledger.ts'
import type { GuardStatus } from '../pair.ts'
import type { PathSelector } from '../policy.ts'
import type { IoStatus } from '../status.ts'
import { Errno, isPathError, NOT_EXECUTED, OK, PATH_ERROR } from '../status.ts'
import type { Attempt } from './attempt.ts'
import { AttemptList, AttemptPool, comeBack } from './attempt.ts'
import type { Change } from './change.ts'
import type { Guard, Owed } from './guard.ts'
import { Guards } from './guards.ts'
import { latencyBucket } from './latency.ts'
import { Losses } from './losses.ts'
import type { ResolvedOptions } from './options.ts'
import type { PathEntry } from './path-entry.ts'
import type { PathSlot } from './path-slot.ts'
import { Selection } from './selection.ts'
import { NO_ANSWER } from './troubles.ts'

/** Somebody who waits for some Ios. */
interface Barrier {
  readonly waiting: Set<Io>
  readonly resolve: () => void
}

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
  #clock: Clock
  #options: ResolvedOptions
  #owner: EngineOwner
  // What the policy picks from, and the slots behind it, at the same places.
  #usable: PathEntry[] = []
  #slots: PathSlot[] = []
  #pool: AttemptPool = new AttemptPool((io, status) => this.#finish(io.owner as Attempt, status))
  #parked = new AttemptList()
  #queued = new AttemptList()
  #holding = new Set<PathSlot>()
  // Those that wait for an earlier change of their range, or for a guard.
  #waiting = new AttemptList()
  #guards = new Guards(this.#pool)
  #losses = new Losses()
  #expired = 0
  #expiry: Timer | undefined
  #expiryAt = 0
  #watch: Timer | undefined
  /** By op: how long one may be in flight, milliseconds; 0: for ever. */
  readonly #limits: readonly number[]
  readonly #watchInterval: number
  #closed = false
  #barriers: Barrier[] = []

  constructor(clock: Clock, options: ResolvedOptions, selector: PathSelector, owner: EngineOwner) {
    this.#clock = clock
    this.#options = options
    this.#owner = owner
    this.#limits = inFlightLimits(options)
    this.#watchInterval = Math.min(...this.#limits.filter((limit) => limit > 0)) / 4
    this.selection = new Selection(selector, (error) => owner.policyFault(error))
  }

  /** Ios waiting for a usable path, for a fence, or for an earlier change of their range. */
  get parked(): number {
    let parked = this.#parked.length + this.#waiting.length
    for (const slot of this.#holding) parked += slot.held.length
    return parked
  }

  /** Ios waiting for room on a usable path. */
  get queued(): number {
    return this.#queued.length
  }

  /** The slots that I/O goes to. */
  get usable(): readonly PathSlot[] {
    return this.#slots
  }

  submit(io: Io): void {
    const attempt = this.#pool.take()
    attempt.parent = io
    this.inflight++
    if (io.op === IoOp.Flush) attempt.covers = this.#losses.written
    const guards = this.#guards
    if ((guards.careful || io.source !== guards.only) && guards.holds(attempt, io)) this.#wait(attempt)
    else if (this.#queued.head === null) this.#dispatch(attempt)
    else this.#queued.push(attempt)
  }

  #blocker(attempt: Attempt): Change | null {
    const io = attempt.parent as Io
    return io.op === IoOp.Read ? this.#guards.readBlocker(io.offset, io.length) : this.#guards.blocker(attempt)
  }

  // Behind a change that is well under way it waits as long as that takes, which is bounded by itself.
  #wait(attempt: Attempt): void {
    if (this.#blocker(attempt)?.troubled) this.#startDeadline(attempt)
    this.#waiting.push(attempt)
    if (attempt.deadline !== 0) this.#startExpiry(attempt.deadline)
  }

  /** Something went wrong with a change that others may wait for: from now on they do so for a bounded time. */
  #boundWaiting(): void {
    for (let attempt = this.#waiting.head; attempt !== null; attempt = attempt.next) {
      if (attempt.deadline !== 0 || !this.#blocker(attempt)?.troubled) continue
      this.#startDeadline(attempt)
      this.#startExpiry(attempt.deadline)
    }
  }

  /** A change has ended, or a guard was taken down: what need not wait any more goes on. */
  #letGo(): void {
    if (this.#waiting.head === null) return
    for (const attempt of this.#waiting.take((each) => this.#blocker(each) === null)) this.#goOn(attempt)
    this.#boundWaiting()
  }

  #goOn(attempt: Attempt): void {
    if (this.#closed || attempt.deadline !== 0 || isGone(attempt)) this.#retry(attempt)
    else if (this.#queued.head === null) this.#dispatch(attempt)
    else this.#queued.push(attempt)
  }

  #dispatch(attempt: Attempt): void {
    if (this.#usable.length === 0) return this.#park(attempt)
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
      this.#park(attempt)
      return this.#pump()
    }
    if (entry.inflight >= entry.queueDepth) {
      const other = this.#withRoom()
      if (other === undefined) return this.#queued.push(attempt)
      entry = other
    }
    attempt.slot = this.#slots[entry.index] as PathSlot
    attempt.started = this.#clock.now()
    entry.inflight++
    entry.inflightBytes += io.op <= IoOp.Write ? io.length : 0
    if (this.#watch === undefined) this.#startWatch()
    ;(entry.device as BlockDevice).submit(io)
  }

  #withRoom(): PathEntry | undefined {
    const usable = this.#usable
    for (let index = 0; index < usable.length; index++) {
      const entry = usable[index] as PathEntry
      if (entry.inflight < entry.queueDepth) return entry
    }
    return undefined
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
      else this.#complete(attempt, parent.op === IoOp.Read ? OK : this.#note(attempt, parent))
    } else {
      this.#finishFailed(attempt, slot, status)
    }
    if (this.#queued.head !== null) this.#pump()
  }

  /** It is done, but not as it should be: it is sent once more, as a path takes it now. */
  #again(attempt: Attempt): void {
    comeBack(attempt)
    this.#startDeadline(attempt)
    this.#retry(attempt)
  }

  /** Keeps account of what is not durable yet; a flush that would hide that some of it is gone fails. */
  #note(attempt: Attempt, parent: Io): IoStatus {
    if (parent.op === IoOp.Flush) {
      this.#losses.flushed(attempt.covers)
      return this.#losses.count > 0 && this.#losses.tells(parent.source) ? Errno.EIO : OK
    }
    if ((parent.flags & IoFlag.Fua) === 0) this.#losses.written++
    return attempt.doomed ? Errno.EIO : OK
  }

  #complete(attempt: Attempt, status: IoStatus): void {
    const parent = attempt.parent as Io
    const noted = attempt.noted || attempt.unproven !== null
    const free = noted && this.#guards.leave(attempt, this.#clock.now())
    this.#pool.give(attempt)
    this.inflight--
    // Before its owner may submit it again; who waits hears of it after this turn.
    if (this.#barriers.length > 0) this.#passBarriers(parent)
    parent.done(parent, status)
    if (free) this.#letGo()
  }

  /** Settles when every I/O that is in flight now is done. */
  settled(): Promise<void> {
    const waiting = new Set<Io>()
    for (const { parent } of this.#pool.all) if (parent !== null) waiting.add(parent)
    if (waiting.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#barriers.push({ waiting, resolve }))
  }

  #passBarriers(parent: Io): void {
    for (const { waiting, resolve } of this.#barriers) {
      if (waiting.delete(parent) && waiting.size === 0) resolve()
    }
    this.#barriers = this.#barriers.filter(({ waiting }) => waiting.size > 0)
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
    this.#startDeadline(attempt)
    const unproven = executed && slot.state === 'fencing' && changesData(attempt.io.op)
    if (unproven) attempt.unproven = slot
    if (this.#closed || isGone(attempt)) {
      this.#retry(attempt)
    } else if (unproven) {
      slot.held.push(attempt)
      this.#holding.add(slot)
      this.#startExpiry(attempt.deadline)
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
    const elsewhere = this.#slots.some((other) => !other.isProtected)
    if (this.#closed || isGone(attempt) || !(elsewhere || this.#owner.awaitsWritable())) {
      return this.#complete(attempt, status)
    }
    slot.entry.retries++
    this.#startDeadline(attempt)
    if (elsewhere) this.#dispatch(attempt)
    else this.#park(attempt)
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
      (this.#usable.length === 0 || this.#withRoom() !== undefined)
    ) {
      this.#dispatch(this.#queued.shift() as Attempt)
    }
  }

  #park(attempt: Attempt): void {
    this.#startDeadline(attempt)
    this.#parked.push(attempt)
    this.#startExpiry(attempt.deadline)
  }

  #startDeadline(attempt: Attempt): void {
    if (attempt.deadline !== 0) return
    attempt.deadline = this.#clock.now() + this.#options.noPathTimeout * 1000
    attempt.troubled = true
    if (attempt.whole !== null) attempt.whole.troubled = true
    if (attempt.blocks || attempt.whole?.blocks) this.#boundWaiting()
  }

  #startExpiry(deadline: number): void {
    if (this.#expiry !== undefined && this.#expiryAt <= deadline) return
    this.#expiry?.cancel()
    this.#expiry = undefined
    if (deadline === Number.POSITIVE_INFINITY) return
    this.#expiryAt = deadline
    const wait = Math.max(0, deadline - this.#clock.now()) / 1000
    this.#expiry = this.#clock.after(Math.ceil(wait), () => {
      this.#expiry = undefined
      const now = this.#clock.now()
      const over = (attempt: Attempt): boolean => attempt.deadline !== 0 && attempt.deadline <= now
      for (const list of this.#expiring()) for (const attempt of list.take(over)) this.#expire(attempt)
      this.#startExpiry(Math.min(...this.#expiring().map((list) => list.earliest())))
    })
  }

  #expiring(): AttemptList[] {
    return [this.#parked, this.#waiting, ...Array.from(this.#holding, (slot) => slot.held)]
  }

  #expire(attempt: Attempt): void {
    this.#expired++
    this.#complete(attempt, Errno.EIO)
  }

  #startWatch(): void {
    if (this.#watchInterval === Number.POSITIVE_INFINITY) return
    this.#watch = this.#clock.after(this.#watchInterval, () => {
      this.#watch = undefined
      const now = this.#clock.now()
      let waiting = false
      for (const { parent, slot, started } of this.#pool.all) {
        if (parent === null || slot === null) continue
        waiting = true
        const limit = this.#limits[parent.op] as number
        if (limit > 0 && started <= now - limit * 1000) slot.failHung(overdue(parent.op, limit), NO_ANSWER)
      }
      if (waiting && this.#watch === undefined) this.#startWatch()
    })
  }

  /** Changes the paths that I/O goes to; returns how many Ios expired while there was none, where there now is one. */
  setUsable(slots: PathSlot[]): number | undefined {
    const resumed = this.#slots.length === 0 && slots.length > 0
    // What is parked beside usable paths waits for one that takes changes.
    const unparks = resumed || slots.some((slot) => !slot.isProtected)
    if (slots.length === 0) this.#expired = 0
    for (const entry of this.#usable) entry.index = -1
    this.#slots = slots
    this.#usable = slots.map((slot) => slot.entry)
    for (const [index, entry] of this.#usable.entries()) entry.index = index
    this.selection.update(this.#usable)
    if (unparks) this.unpark()
    this.#pump()
    // The policy's `update` may have taken the last path out again.
    if (!resumed || this.#slots.length === 0) return undefined
    const expired = this.#expired
    this.#expired = 0
    return expired
  }

  /** Lets what waits for a path, or for one that takes changes, try again. */
  unpark(): void {
    for (let count = this.#parked.length; count > 0; count--) {
      const attempt = this.#parked.shift()
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
    this.#holding.delete(slot)
    for (let attempt = slot.held.shift(); attempt !== null; attempt = slot.held.shift()) {
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
    this.#startDeadline(attempt)
    this.#retry(attempt)
  }

  /** Ends what waits with ESHUTDOWN; what is in flight ends with its path. */
  close(): void {
    this.#closed = true
    this.#expiry?.cancel()
    for (const list of [this.#queued, ...this.#expiring()]) {
      for (let attempt = list.shift(); attempt !== null; attempt = list.shift()) this.#retry(attempt)
    }
  }

  /** See {@link BlockDevice.abandon}. */
  abandon(source: IoSource): void {
    source.gone = true
    if (this.#guards.knows(source)) this.#losses.left(source)
    const now = this.#clock.now()
    for (const attempt of this.#pool.all) {
      const { parent, slot } = attempt
      if (parent?.source === source && slot !== null && changesData(parent.op)) {
        this.#guards.overAbandoned(attempt, slot, now)
      }
    }
    for (const list of [this.#queued, ...this.#expiring()]) {
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
    this.#losses.inherit()
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

  /** The storage says that its volatile cache is gone; returns whether anything was in it that no flush had covered. */
  cacheLost(): boolean {
    let open = false
    for (const attempt of this.#pool.all) {
      const { parent, slot, io } = attempt
      if (parent === null || slot === null || !changesData(io.op)) continue
      if ((io.flags & IoFlag.Fua) === 0) open = true
      // In front of its path it is a write and then a flush, and that may come too late.
      else if (slot.entry.path?.limits.fua === false) attempt.doomed = true
    }
    return this.#losses.lost(this.#clock.now(), open)
  }

  /** Whether something was acknowledged that no flush has covered. */
  get unflushed(): boolean {
    return this.#losses.open
  }

  /** Whether the storage has ever lost anything of that. */
  get hasLost(): boolean {
    return this.#losses.count > 0
  }

  /** From now on some path cannot do Fua: it may have made nothing durable of what is in flight. */
  fuaOff(): void {
    for (const attempt of this.#pool.all) {
      const { parent, slot, io } = attempt
      if (parent !== null && slot !== null && (io.flags & IoFlag.Fua) !== 0) attempt.unsure = changesData(io.op)
    }
  }

  /** From now on the storage has a volatile cache: what came before is durable. */
  cacheOn(): void {
    this.#losses.flushed(this.#losses.written)
  }

  /** Ends the watch over what is in flight. */
  stopWatch(): void {
    this.#watch?.cancel()
  }
}

function inFlightLimits({ ioTimeout, flushTimeout, trimTimeout, zeroTimeout }: ResolvedOptions): number[] {
  const limits: number[] = []
  limits[IoOp.Read] = limits[IoOp.Write] = ioTimeout
  limits[IoOp.Flush] = flushTimeout
  limits[IoOp.Trim] = trimTimeout
  limits[IoOp.WriteZeroes] = zeroTimeout
  return limits
}

function overdue(op: IoOp, limit: number): string {
  if (op === IoOp.Flush) return `a flush had no answer for ${limit} ms`
  if (op === IoOp.Trim) return `a trim had no answer for ${limit} ms`
  if (op === IoOp.WriteZeroes) return `a write of zeroes had no answer for ${limit} ms`
  return `an I/O had no answer for ${limit} ms`
}

function isProtection(status: IoStatus): boolean {
  return status === Errno.EROFS || status === Errno.EPERM
}

/** Whether whoever submitted it has gone. */
function isGone({ parent }: Attempt): boolean {
  return parent?.source?.gone === true
}
