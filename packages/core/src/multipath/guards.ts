import type { Io } from '../io.ts'
import { changesData, IoOp } from '../io.ts'
import type { IoSource } from '../io-source.ts'
import type { GuardStatus } from '../pair.ts'
import type { Attempt } from './attempt.ts'
import type { AttemptPool } from './attempt-pool.ts'
import { Change } from './change.ts'
import { ChangeIndex } from './change-index.ts'
import type { Owed } from './guard.ts'
import { Guard } from './guard.ts'
import type { PathSlot } from './path-slot.ts'

type ByteRange = Pick<Change, 'from' | 'end' | 'order'>

/**
 * Which changes have not ended, with proof. One of another source that overlaps waits for them: a client that comes
 * back over a new connection sends again what the old one has in flight, and then writes on. As long as all is of one
 * source, and nothing lacks a proof, nothing needs to be noted.
 */
export class Guards {
  /** Whether every I/O must be looked at before it goes. */
  careful = false
  /** The source of all that came so far, where there is but one. */
  only: IoSource | null | undefined
  readonly #pool: AttemptPool
  readonly #sources = new Set<IoSource | null>()
  /** How many of the guards hold reads too. */
  #reads = 0
  readonly #index = new ChangeIndex()
  readonly #all = new Set<Guard>()
  readonly #wholes = new Map<Io, Change>()
  #order = 0.5

  constructor(pool: AttemptPool) {
    this.#pool = pool
    // Declared as a double so that V8 keeps one representation.
    this.#order = 0
  }

  /** Looks at an I/O that begins; returns whether it has to wait for what overlaps it. */
  holds(attempt: Attempt, io: Io): boolean {
    if (io.op === IoOp.Flush) return false
    if (io.op === IoOp.Read) return this.#reads > 0 && this.readBlocker(io.offset, io.length) !== null
    this.#see(io.source, attempt)
    if (!this.careful) return false
    return this.#enter(attempt, io)
  }

  #see(source: IoSource | null, attempt: Attempt): void {
    if (this.#sources.has(source) || source?.gone) return
    this.#sources.add(source)
    if (this.#sources.size > 1) this.#beCareful(attempt)
    else this.only = source
  }

  /** From now on all is noted, and what is under way already. */
  #beCareful(except?: Attempt): void {
    if (this.careful) return
    this.careful = true
    // What begins just now comes after all that is under way.
    const last = except?.parent?.whole ?? null
    for (const [io, whole] of this.#wholes) if (io !== last) this.#noteWhole(io, whole)
    for (const attempt of this.#pool.all) {
      const { parent } = attempt
      if (parent !== null && changesData(parent.op) && attempt !== except) this.#note(attempt, parent)
    }
    const whole = last === null ? undefined : this.#wholes.get(last)
    if (whole !== undefined) this.#noteWhole(last as Io, whole)
  }

  #noteWhole(io: Io, whole: Change): void {
    whole.order = ++this.#order
    this.#index.add(whole)
    whole.source = io.source
  }

  #relax(): void {
    if (!this.careful || this.#sources.size > 1 || this.#index.size > 0 || this.#all.size > 0) return
    this.careful = false
    for (const source of this.#sources) this.only = source
    if (this.#sources.size === 0) this.only = undefined
  }

  #note(attempt: Attempt, io: Io): void {
    const whole = io.whole === null ? undefined : this.#wholes.get(io.whole)
    attempt.source = io.source
    attempt.from = io.offset
    attempt.end = io.offset + io.length
    attempt.whole = whole ?? null
    attempt.order = whole?.order ?? ++this.#order
    attempt.noted = true
    this.#index.add(attempt)
  }

  /** Notes a change; returns whether an earlier one, or a guard, overlaps it. */
  #enter(attempt: Attempt, io: Io): boolean {
    this.#note(attempt, io)
    return this.blocker(attempt) !== null
  }

  /** Whether a source has changed data, as far as that was looked at. */
  knows(source: IoSource): boolean {
    return this.#sources.has(source)
  }

  /** Nothing more comes of a source. */
  forget(source: IoSource): void {
    this.#sources.delete(source)
    this.#relax()
  }

  /** A change that will come in pieces takes its place in the order now. */
  beginWhole(io: Io): void {
    const whole = new Change()
    whole.source = io.source
    whole.from = io.offset
    whole.end = io.offset + io.length
    this.#wholes.set(io, whole)
    if (!this.careful) return
    whole.order = ++this.#order
    this.#index.add(whole)
  }

  /** All its pieces have ended. Returns whether another change waits for it. */
  endWhole(io: Io): boolean {
    const whole = this.#wholes.get(io)
    if (whole === undefined) return false
    this.#wholes.delete(io)
    if (whole.level === -1) return false
    this.#index.remove(whole)
    this.#relax()
    return whole.blocks
  }

  /** A change has ended, with proof or without. Returns whether another one may have waited for it. */
  leave(attempt: Attempt, now: number): boolean {
    const { blocks, guard } = attempt
    if (attempt.unproven !== null) this.#overUnproven(attempt, now)
    else if (guard !== null) this.#lift(guard)
    if (attempt.level !== -1) this.#index.remove(attempt)
    this.#relax()
    return blocks || guard !== null
  }

  /** Another try takes the place of one that will never be told its end. */
  hand(late: Attempt, attempt: Attempt): void {
    const { blocks } = late
    attempt.source = late.source
    attempt.from = late.from
    attempt.end = late.end
    attempt.order = late.order
    attempt.whole = late.whole
    attempt.noted = true
    late.noted = false
    if (late.guard !== null) this.#lift(late.guard)
    late.guard = null
    this.#index.remove(late)
    this.#index.add(attempt)
    attempt.blocks = blocks
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

  /** Puts a guard up for a change in flight that nobody waits for any more: everybody's overlapping I/O waits for it. */
  overAbandoned(attempt: Attempt, slot: PathSlot, now: number): void {
    this.#beCareful()
    if (attempt.guard !== null) return
    const guard = this.#put(slot, attempt, true, now, 'its client has gone while it was in flight')
    guard.troubled = false
    attempt.guard = guard
  }

  #overUnproven(attempt: Attempt, now: number): void {
    this.#beCareful()
    const parent = attempt.parent as Io
    if (!attempt.noted) this.#note(attempt, parent)
    const gone = parent.source?.gone === true
    const why = `a change that ${gone ? 'its client has left' : 'ended with an error'} may still come`
    const guard = attempt.guard ?? this.#put(attempt.unproven as PathSlot, attempt, gone, now, why)
    guard.troubled = true
    guard.blocks = true
    attempt.guard = null
  }

  /** Puts a guard up over the whole volume, for a command that a failed path may still execute. */
  overAll(slot: PathSlot, size: number, now: number, why: string): void {
    this.#beCareful()
    const range = { from: 0, end: size, order: ++this.#order }
    this.#put(slot, range, false, now, why)
  }

  /** Puts a guard up for what somebody else owes a proof for; `over` is called when it has come. */
  owe(owed: Owed, now: number, over: () => void): void {
    const { offset, length, path, proven } = owed
    const range = { from: offset, end: offset + length, order: ++this.#order }
    const guard = new Guard(owed, range, { path, reads: true, since: now, reason: () => owed.reason() })
    this.#beCareful()
    this.#add(guard)
    void proven.then(() => {
      this.#lift(guard)
      over()
    })
  }

  #put(slot: PathSlot, range: ByteRange, reads: boolean, since: number, why: string): Guard {
    const path = slot.entry.id
    const reason = (): string => (slot.reason === '' ? why : `${why}; path ${slot.state}: ${slot.reason}`)
    const guard = new Guard(slot, range, { path, reads, since, reason })
    this.#add(guard)
    return guard
  }

  #add(guard: Guard): void {
    this.#all.add(guard)
    if (guard.reads) this.#reads++
    this.#index.add(guard)
  }

  #lift(guard: Guard): void {
    if (!this.#all.delete(guard)) return
    if (guard.reads) this.#reads--
    this.#index.remove(guard)
    this.#relax()
  }

  /** Nothing sent through the slot's path can change data any more. */
  fenced(slot: PathSlot): void {
    for (const guard of [...this.#all]) if (guard.by === slot) this.#lift(guard)
  }

  /** Takes all down that stand for what has ended without proof, and tells which. */
  release(): readonly Guard[] {
    const released = [...this.#all].filter(({ troubled }) => troubled)
    for (const guard of released) this.#lift(guard)
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
