import type { Clock } from '../clock.ts'
import type { Io } from '../io.ts'
import { IoFlag, IoOp } from '../io.ts'
import type { HeldStatus } from '../pair.ts'
import type { Attempt } from './attempt.ts'
import { AttemptList } from './attempt.ts'
import type { Change } from './change.ts'
import type { Deadlines } from './deadlines/deadlines.ts'
import type { Guards } from './guards.ts'
import type { ResolvedOptions } from './options.ts'
import type { PathSlot } from './path-slot.ts'
import type { FlowTrace } from './trace/flow-trace.ts'
import { Wait } from './trace/flow-trace.ts'

/** What the waits ask of the rest. */
export interface Waits {
  readonly guards: Guards
  readonly deadlines: Deadlines
  /** Ends what may not wait, with EIO; never called from inside `submit`. */
  refuse(attempt: Attempt): void
}

/**
 * What waits: for a usable path, for room on one, for the fence of a failed one, for an earlier change of its range. Each
 * stands where it waits in the order in which I/Os arrived, whatever it has waited for before, and whoever sent it. From
 * the first trouble on one does so for `noPathTimeout` milliseconds in all, over every wait but that for room.
 */
export class Waiting {
  /** For room on a usable path. */
  readonly queued: AttemptList = new AttemptList(false)
  /** For a usable path, or for one that takes changes. */
  readonly parked: AttemptList = new AttemptList(true)
  /** How many were ended at once, since too much waited already. */
  refused = 0
  /** Hears of every wait; null as long as nobody traces. */
  trace: FlowTrace | null = null
  /** For an earlier change, or for a guard. */
  readonly #behind = new AttemptList(true)
  readonly #held = new Map<PathSlot, AttemptList>()
  /** For the end of the present code, to end with it: nothing is done from inside `submit`. */
  readonly #over = new AttemptList(false)
  #bounding = false
  /** Whether some may be behind what has got into trouble since they were looked at. */
  #unbound = false
  readonly #clock: Clock
  readonly #options: ResolvedOptions
  readonly #waits: Waits

  constructor(clock: Clock, options: ResolvedOptions, waits: Waits) {
    this.#clock = clock
    this.#options = options
    this.#waits = waits
  }

  /** How many wait for anything but room. */
  get length(): number {
    let length = this.parked.length + this.#behind.length
    for (const held of this.#held.values()) length += held.length
    return length
  }

  /** Bytes of those. */
  get bytes(): number {
    let bytes = this.parked.bytes + this.#behind.bytes
    for (const held of this.#held.values()) bytes += held.bytes
    return bytes
  }

  /** Everything that waits, by what it waits for, each in order. */
  lists(): readonly AttemptList[] {
    return [this.queued, this.parked, this.#behind, ...this.#held.values(), this.#over]
  }

  /** What waits for the fence of a path. */
  heldBy(slot: PathSlot): HeldStatus | undefined {
    const held = this.#held.get(slot)
    return held === undefined || held.length === 0 ? undefined : { ios: held.length, bytes: held.bytes }
  }

  /** Puts one among those that wait for room. */
  queue(attempt: Attempt): void {
    this.trace?.waits(attempt, Wait.Room, null)
    this.queued.insert(attempt)
  }

  /** Puts one among those that wait for a usable path. */
  park(attempt: Attempt): void {
    this.trace?.waits(attempt, Wait.Path, null)
    this.bound(attempt)
    this.#enter(this.parked, attempt)
  }

  /** Puts one, which is bounded, among those that wait for the fence of the path that failed with it. */
  hold(attempt: Attempt, slot: PathSlot): void {
    this.trace?.waits(attempt, Wait.Fence, slot)
    const held = this.#held.get(slot) ?? new AttemptList(true)
    this.#held.set(slot, held)
    this.#enter(held, attempt)
  }

  /** Takes out those that waited for a fence. */
  takeHeld(slot: PathSlot): readonly Attempt[] {
    const held = this.#held.get(slot)
    this.#held.delete(slot)
    return held?.take(() => true) ?? []
  }

  /** Puts one behind what it has to wait for: an earlier change, which is bounded by itself as long as all goes well. */
  wait(attempt: Attempt): void {
    this.trace?.waits(attempt, Wait.Order, null)
    if (this.#blocker(attempt)?.troubled) this.bound(attempt)
    this.#enter(this.#behind, attempt)
  }

  /** Takes out those that have to wait for nothing any more. */
  takeFree(): readonly Attempt[] {
    return this.#behind.head === null ? [] : this.#behind.take((each) => this.#blocker(each) === null)
  }

  #blocker(attempt: Attempt): Change | null {
    const io = attempt.parent as Io
    const { guards } = this.#waits
    return io.op === IoOp.Read ? guards.readBlocker(io.offset, io.length) : guards.blocker(attempt)
  }

  /** Its first trouble: from now on its waits are bounded, and those of whoever waits for it. */
  bound(attempt: Attempt): void {
    if (attempt.deadline !== 0) return
    attempt.since = this.#clock.now()
    attempt.deadline = attempt.since + this.#options.noPathTimeout * 1000
    attempt.troubled = true
    if (attempt.whole !== null) attempt.whole.troubled = true
    if (attempt.blocks || attempt.whole?.blocks) this.boundBehind()
  }

  /** Bounds the waits of those that are behind what is in trouble, and of those behind them. */
  boundBehind(): void {
    this.#unbound = true
    // From inside: a chain of them may be longer than the stack is deep.
    if (this.#bounding) return
    this.#bounding = true
    while (this.#unbound) {
      this.#unbound = false
      this.#boundOnce()
    }
    this.#bounding = false
  }

  #boundOnce(): void {
    let hurried = false
    for (let attempt = this.#behind.head; attempt !== null; attempt = attempt.next) {
      if (attempt.deadline !== 0 || !this.#blocker(attempt)?.troubled) continue
      this.bound(attempt)
      this.#waits.deadlines.by(attempt.deadline, false)
      hurried ||= isHurried(attempt)
    }
    if (!hurried) return
    for (const attempt of this.#behind.take((each) => each.deadline !== 0 && isHurried(each))) this.end(attempt)
  }

  #enter(list: AttemptList, attempt: Attempt): void {
    if (attempt.deadline !== 0) {
      if (isHurried(attempt)) return this.end(attempt)
      if (this.#isFull(attempt)) {
        this.refused++
        return this.end(attempt)
      }
      this.#waits.deadlines.by(attempt.deadline, this.length === 0)
    }
    list.insert(attempt)
  }

  #isFull({ parent }: Attempt): boolean {
    const { maxParked, maxParkedBytes } = this.#options
    const { op, length } = parent as Io
    return this.length >= maxParked || (op <= IoOp.Write && this.bytes + length > maxParkedBytes)
  }

  /** Ends one as soon as the present code has ended. */
  end(attempt: Attempt): void {
    if (this.#over.head === null) this.#clock.defer(() => this.#endAll())
    this.#over.insert(attempt)
  }

  #endAll(): void {
    for (let attempt = this.#over.shift(); attempt !== null; attempt = this.#over.shift()) this.#waits.refuse(attempt)
  }
}

/** Whether whoever sent it wants an error rather than a wait. */
function isHurried({ parent }: Attempt): boolean {
  return ((parent as Io).flags & IoFlag.FailFast) !== 0
}
