import type { Io } from '../io.ts'
import type { GuardStatus } from '../pair.ts'
import type { Attempt } from './attempt.ts'
import { Change } from './change.ts'
import { ChangeIndex } from './change-index.ts'
import type { Owed } from './guard.ts'
import { Guard } from './guard.ts'
import type { PathSlot } from './path-slot.ts'

/**
 * Which changes have not ended, with proof. One of another source that overlaps waits for them: a client that comes
 * back over a new connection sends again what the old one has in flight, and then writes on.
 */
export class Guards {
  /** How many of the guards hold reads too. */
  reads = 0
  readonly #index = new ChangeIndex()
  readonly #all = new Set<Guard>()
  readonly #wholes = new Map<Io, Change>()
  #order: number

  constructor() {
    // Started as a double so that V8 keeps one representation.
    this.#order = 0.5
    this.#order = 0
  }

  /** Notes a change that begins. Returns whether an earlier one, or a guard, overlaps it. */
  enter(attempt: Attempt, io: Io): boolean {
    const whole = io.whole === null ? undefined : this.#wholes.get(io.whole)
    attempt.source = io.source
    attempt.from = io.offset
    attempt.end = io.offset + io.length
    if (whole === undefined) {
      attempt.order = ++this.#order
    } else {
      attempt.order = whole.order
      attempt.whole = whole
    }
    const blocker = this.#index.earlier(attempt)
    this.#index.add(attempt)
    if (blocker === null) return false
    blocker.blocks = true
    return true
  }

  /** A change that will come in pieces takes its place in the order now. */
  beginWhole(io: Io): void {
    const whole = new Change()
    whole.source = io.source
    whole.from = io.offset
    whole.end = io.offset + io.length
    whole.order = ++this.#order
    this.#index.add(whole)
    this.#wholes.set(io, whole)
  }

  /** All its pieces have ended. Returns whether another change waits for it. */
  endWhole(io: Io): boolean {
    const whole = this.#wholes.get(io)
    if (whole === undefined) return false
    this.#wholes.delete(io)
    this.#index.remove(whole)
    return whole.blocks
  }

  /** The change has ended. Returns whether another one waits for it. */
  leave(attempt: Attempt): boolean {
    this.#index.remove(attempt)
    return attempt.blocks
  }

  /** Another try takes the place of one that will never be told its end. */
  hand(late: Attempt, attempt: Attempt): void {
    const { blocks } = late
    this.#index.remove(late)
    attempt.source = late.source
    attempt.from = late.from
    attempt.end = late.end
    attempt.order = late.order
    attempt.whole = late.whole
    this.#index.add(attempt)
    attempt.blocks = blocks
    if (late.guard !== null) this.lift(late.guard)
    late.guard = null
  }

  /** What a change that was entered has to wait for; null where it may go. */
  blocker(attempt: Attempt): Change | null {
    const found = this.#index.earlier(attempt)
    if (found !== null) found.blocks = true
    return found
  }

  /** The guard that a read of the range has to wait for; null where there is none. */
  readBlocker(from: number, length: number): Guard | null {
    for (const guard of this.#all) {
      if (!guard.reads || guard.from >= from + length || from >= guard.end) continue
      guard.blocks = true
      return guard
    }
    return null
  }

  /** Puts a guard up for a change that nobody of its source waits for any more: reads wait for it too. */
  overAbandoned(attempt: Attempt, slot: PathSlot, now: number): void {
    if (attempt.guard !== null) return
    const reason = 'its client has gone while it was in flight'
    attempt.guard = this.#put(slot, attempt, true, now, reason)
  }

  /** Puts a guard up in place of a change that ends without proof. */
  overUnproven(attempt: Attempt, now: number): void {
    const slot = attempt.unproven as PathSlot
    const gone = attempt.parent?.source?.gone === true
    const reason = `a change that ${gone ? 'its client has left' : 'ended with an error'} may still come`
    const guard = attempt.guard ?? this.#put(slot, attempt, gone, now, reason)
    attempt.guard = null
    this.#index.add(guard)
    guard.blocks = true
  }

  /** Puts a guard up for what somebody else owes a proof for; `over` is called when it has come. */
  owe(owed: Owed, now: number, over: () => void): void {
    const { offset, length, path, proven } = owed
    const range = { from: offset, end: offset + length, order: ++this.#order }
    const guard = new Guard(owed, range, { path, reads: true, since: now, reason: () => owed.reason() })
    this.#all.add(guard)
    this.reads++
    this.#index.add(guard)
    void proven.then(() => {
      if (this.#all.has(guard)) this.#drop(guard)
      over()
    })
  }

  #put(slot: PathSlot, attempt: Attempt, reads: boolean, since: number, why: string): Guard {
    const path = slot.entry.id
    const reason = (): string => (slot.reason === '' ? why : `${why}; path ${slot.state}: ${slot.reason}`)
    const guard = new Guard(slot, attempt, { path, reads, since, reason })
    this.#all.add(guard)
    if (reads) this.reads++
    return guard
  }

  /** The change that a guard was put up for has ended, with proof. */
  lift(guard: Guard): void {
    if (this.#all.has(guard)) this.#drop(guard)
  }

  #drop(guard: Guard): void {
    this.#all.delete(guard)
    if (guard.reads) this.reads--
    if (guard.level !== -1) this.#index.remove(guard)
  }

  /** Nothing sent through the slot's path can change data any more. */
  fenced(slot: PathSlot): void {
    for (const guard of [...this.#all]) if (guard.by === slot) this.#drop(guard)
  }

  /** Takes all down that stand for what has ended without proof, and tells which. */
  release(): readonly Guard[] {
    const released = [...this.#all].filter(({ level }) => level !== -1)
    for (const guard of released) this.#drop(guard)
    return released
  }

  /** Those that came to be through a path. */
  of(slot: PathSlot): readonly Guard[] {
    return [...this.#all].filter((guard) => guard.by === slot)
  }

  all(): readonly Guard[] {
    return [...this.#all]
  }

  status(): readonly GuardStatus[] {
    return Array.from(this.#all, (guard) => guard.status())
  }
}
