import type { Clock, Timer } from '../clock.ts'
import type { Io } from '../io.ts'
import { IoOp } from '../io.ts'
import type { Attempt } from './attempt.ts'
import { AttemptList } from './attempt.ts'
import type { Change } from './change.ts'
import type { Guards } from './guards.ts'
import type { PathSlot } from './path-slot.ts'

/**
 * What waits: for a usable path, for the fence of a failed one, for an earlier change of its range. From the first
 * trouble on it does so for `limit` milliseconds in all, over every wait.
 */
export class Waiting {
  /** For a usable path, or for one that takes changes. */
  readonly parked: AttemptList = new AttemptList()
  /** For an earlier change, or for a guard. */
  readonly #behind = new AttemptList()
  readonly #held = new Map<PathSlot, AttemptList>()
  readonly #clock: Clock
  readonly #limit: number
  readonly #guards: Guards
  readonly #expire: (attempt: Attempt) => void
  #expiry: Timer | undefined
  #expiryAt = 0

  /** `expire` gets what has waited too long. */
  constructor(clock: Clock, limit: number, guards: Guards, expire: (attempt: Attempt) => void) {
    this.#clock = clock
    this.#limit = limit
    this.#guards = guards
    this.#expire = expire
  }

  get length(): number {
    let length = this.parked.length + this.#behind.length
    for (const held of this.#held.values()) length += held.length
    return length
  }

  /** Those that wait for the same, each in their order. */
  lists(): readonly AttemptList[] {
    return [this.parked, this.#behind, ...this.#held.values()]
  }

  /** Puts one among those that wait for a usable path. */
  park(attempt: Attempt): void {
    this.bound(attempt)
    this.parked.push(attempt)
    this.#startExpiry(attempt.deadline)
  }

  /** Puts one, which is bounded, among those that wait for the fence of the path that failed with it. */
  hold(attempt: Attempt, slot: PathSlot): void {
    const held = this.#held.get(slot) ?? new AttemptList()
    this.#held.set(slot, held)
    held.push(attempt)
    this.#startExpiry(attempt.deadline)
  }

  /** Takes out those that waited for a fence. */
  takeHeld(slot: PathSlot): readonly Attempt[] {
    const held = this.#held.get(slot)
    this.#held.delete(slot)
    return held?.take(() => true) ?? []
  }

  /** Puts one behind what it has to wait for: an earlier change, which is bounded by itself as long as all goes well. */
  wait(attempt: Attempt): void {
    if (this.#blocker(attempt)?.troubled) this.bound(attempt)
    this.#behind.push(attempt)
    if (attempt.deadline !== 0) this.#startExpiry(attempt.deadline)
  }

  /** Takes out those that have to wait for nothing any more. */
  takeFree(): readonly Attempt[] {
    return this.#behind.head === null ? [] : this.#behind.take((each) => this.#blocker(each) === null)
  }

  #blocker(attempt: Attempt): Change | null {
    const io = attempt.parent as Io
    return io.op === IoOp.Read ? this.#guards.readBlocker(io.offset, io.length) : this.#guards.blocker(attempt)
  }

  /** Its first trouble: from now on its waits are bounded, and those of whoever waits for it. */
  bound(attempt: Attempt): void {
    if (attempt.deadline !== 0) return
    attempt.since = this.#clock.now()
    attempt.deadline = attempt.since + this.#limit * 1000
    attempt.troubled = true
    if (attempt.whole !== null) attempt.whole.troubled = true
    if (attempt.blocks || attempt.whole?.blocks) this.boundBehind()
  }

  /** Bounds the waits of those that are behind what is in trouble. */
  boundBehind(): void {
    for (let attempt = this.#behind.head; attempt !== null; attempt = attempt.next) {
      if (attempt.deadline !== 0 || !this.#blocker(attempt)?.troubled) continue
      this.bound(attempt)
      this.#startExpiry(attempt.deadline)
    }
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
      for (const list of this.lists()) for (const attempt of list.take(over)) this.#expire(attempt)
      this.#startExpiry(Math.min(...this.lists().map((list) => list.earliest())))
    })
  }

  /** Nothing expires any more. */
  stop(): void {
    this.#expiry?.cancel()
  }
}
