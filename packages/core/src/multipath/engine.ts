import type { Clock } from '../clock.ts'
import type { Io } from '../io.ts'
import { changesData } from '../io.ts'
import type { IoSource } from '../io-source.ts'
import type { ByteRun } from '../ledger.ts'
import type { GuardStatus } from '../pair.ts'
import type { PathSelector } from '../policy.ts'
import type { Attempt } from './attempt.ts'
import { Apart } from './attempt.ts'
import type { Durability } from './durability.ts'
import { isGone } from './failover.ts'
import type { Guard, Owed } from './guard.ts'
import type { Aside } from './health/aside.ts'
import type { FlowOwner } from './io-flow.ts'
import { IoFlow } from './io-flow.ts'
import type { FlowJournal } from './journal/flow-journal.ts'
import type { ResolvedOptions } from './options.ts'
import type { PathSlot } from './path-slot.ts'
import type { Selection } from './selection.ts'
import type { FlowTrace } from './trace/flow-trace.ts'
import type { Waiting } from './waiting.ts'

/**
 * The I/O side of a multipath device: the flow of its I/O, and what that meets: other usable paths, a fence that is
 * proven, a client that has gone, guards that are put up and taken down.
 */
export class Engine {
  readonly #clock: Clock
  readonly #flow: IoFlow
  readonly #journal: FlowJournal

  constructor(clock: Clock, options: ResolvedOptions, selector: PathSelector, owner: FlowOwner) {
    this.#clock = clock
    this.#journal = owner.journal
    this.#flow = new IoFlow(clock, options, selector, owner)
  }

  /** Ios submitted and not done. */
  get inflight(): number {
    return this.#flow.inflight
  }

  /** Ios waiting for a usable path, for a fence, or for an earlier change of their range. */
  get parked(): number {
    return this.#flow.waiting.length
  }

  /** What those have, whose fence they wait for, and what was ended at once instead. */
  get waiting(): Pick<Waiting, 'bytes' | 'refused' | 'heldBy'> {
    return this.#flow.waiting
  }

  /** Ios waiting for room on a usable path. */
  get queued(): number {
    return this.#flow.waiting.queued.length
  }

  /** The slots that I/O goes to. */
  get usable(): readonly PathSlot[] {
    return this.#flow.tier.slots
  }

  get selection(): Selection {
    return this.#flow.selection
  }

  get durability(): Durability {
    return this.#flow.durability
  }

  submit(io: Io): void {
    this.#flow.submit(io)
  }

  /** Settles when every I/O that is in flight now is done. */
  settled(): Promise<void> {
    return this.#flow.barriers.add(this.#flow.pool.all)
  }

  /** Changes the paths that I/O goes to; returns how many Ios expired while there was none, where there now is one. */
  setUsable(slots: readonly PathSlot[]): number | undefined {
    const resumed = this.#flow.tier.slots.length === 0 && slots.length > 0
    // What is parked beside usable paths waits for one that takes changes.
    const unparks = resumed || slots.some((slot) => !slot.isProtected)
    if (slots.length === 0) this.#flow.expired = 0
    this.#flow.tier.set(slots)
    this.#flow.selection.update(this.#flow.tier.entries)
    if (unparks) this.unpark()
    this.#flow.pump()
    // The policy's `update` may have taken the last path out again.
    if (!resumed || this.#flow.tier.slots.length === 0) return undefined
    const expired = this.#flow.expired
    this.#flow.expired = 0
    return expired
  }

  /** Whether something is in flight, or was a while ago. */
  get busy(): boolean {
    return this.#flow.deadlines.looks
  }

  /** Changes who takes a few reads beside them; null: nobody. */
  setAside(aside: Aside | null): void {
    this.#flow.escort.setAside(aside)
  }

  /** Lets what waits for a path, or for one that takes changes, try again. */
  unpark(): void {
    this.#flow.goOn(this.#flow.waiting.parked.take(() => true))
  }

  /** Nothing sent through the slot's path can change data any more: what waited for that moves on. */
  fenced(slot: PathSlot): void {
    this.#flow.guards.fenced(slot)
    for (const attempt of [...this.#flow.pool.all]) {
      if (attempt.slot !== slot) continue
      if (attempt.parent !== null) this.#replace(attempt, slot)
      else if (attempt.apart === Apart.Lost) this.#flow.forsake(attempt, slot)
    }
    const held = this.#flow.waiting.takeHeld(slot)
    this.#journal.freed(slot, held.length)
    for (const attempt of held) attempt.unproven = null
    this.#flow.goOn(held)
    this.#flow.letGo()
  }

  // The path was closed and still owes a `done`: what it sends late must not reach the I/O.
  #replace(late: Attempt, slot: PathSlot): void {
    if (this.#flow.hedging?.alone(late)) return this.#flow.forsake(late, slot)
    const attempt = this.#flow.pool.take()
    attempt.parent = late.parent
    attempt.arrival = late.arrival
    attempt.deadline = late.deadline
    attempt.troubled = late.troubled
    attempt.covers = late.covers
    attempt.traced = late.traced
    late.traced = 0
    if (late.noted) this.#flow.guards.hand(late, attempt)
    this.#flow.forsake(late, slot)
    this.#flow.waiting.bound(attempt)
    attempt.since = late.deadline === 0 ? late.started : late.since
    this.#journal.moved(slot, false)
    this.#flow.retry(attempt)
  }

  /** Ends what waits with ESHUTDOWN; what is in flight ends with its path. */
  close(): void {
    this.#flow.closed = true
    for (const list of this.#flow.waiting.lists()) {
      for (let attempt = list.shift(); attempt !== null; attempt = list.shift()) this.#flow.retry(attempt)
    }
  }

  /** See {@link BlockDevice.abandon}. */
  abandon(source: IoSource): void {
    source.gone = true
    if (this.#flow.guards.knows(source)) this.#flow.durability.left(source)
    const now = this.#clock.now()
    for (const attempt of this.#flow.pool.all) {
      const { parent, slot } = attempt
      if (parent?.source === source && slot !== null && changesData(parent.op)) {
        this.#flow.guards.overAbandoned(attempt, slot, now)
      }
    }
    for (const list of this.#flow.waiting.lists()) {
      for (const attempt of list.take(isGone)) this.#flow.retry(attempt)
    }
    this.#flow.guards.forget(source)
  }

  /** See {@link BlockDevice.beginWhole}. */
  beginWhole(io: Io): void {
    this.#flow.guards.beginWhole(io)
  }

  /** See {@link BlockDevice.endWhole}. */
  endWhole(io: Io): void {
    if (this.#flow.guards.endWhole(io)) this.#flow.letGo()
  }

  /** Holds all changes until a failed path is fenced; `why` is for people. */
  guardAll(slot: PathSlot, size: number, why: string): void {
    this.#flow.guards.overAll(slot, size, this.#clock.now(), why)
  }

  /** Holds what overlaps a range in which somebody else may still have changes in flight. */
  owe(owed: Owed): void {
    this.#flow.durability.inherit()
    // Where nothing can come any more there is nothing to hold.
    if (owed.length > 0) this.#flow.guards.owe(owed, this.#clock.now(), () => this.#flow.letGo())
  }

  /** Takes down the guards that wait for a proof; returns what was to bring it. */
  release(): ReadonlySet<PathSlot | Owed> {
    const released = new Set(this.#flow.guards.release().map(({ by }) => by))
    this.#flow.letGo()
    return released
  }

  /** The guards themselves. */
  guarded(): readonly Guard[] {
    return this.#flow.guards.all()
  }

  /** Ranges that wait for a proof. */
  get guards(): readonly GuardStatus[] {
    return this.#flow.guards.status()
  }

  /** What a failed path leaves without a proof. */
  unprovenOf(slot: PathSlot): readonly ByteRun[] {
    const runs: ByteRun[] = this.#flow.guards.of(slot).map(({ from, end }) => [from, end - from])
    for (const { parent, unproven } of this.#flow.pool.all) {
      if (parent !== null && unproven === slot) runs.push([parent.offset, parent.length])
    }
    return runs
  }

  /** Has somebody hear of every I/O, or nobody. */
  trace(trace: FlowTrace | null): void {
    // What is under way is new to whoever hears of it from now on.
    for (const attempt of this.#flow.pool.all) attempt.traced = 0
    this.#flow.trace = trace
    this.#flow.waiting.trace = trace
    this.#flow.escort.look()
  }

  /** Nothing can be late any more. */
  stopWatch(): void {
    this.#flow.deadlines.stop()
    this.#flow.hedging?.stop()
  }
}
