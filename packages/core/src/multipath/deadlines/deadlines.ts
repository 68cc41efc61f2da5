import type { Clock } from '../../clock.ts'
import type { Attempt } from '../attempt.ts'
import { Apart } from '../attempt.ts'
import type { ResolvedOptions } from '../options.ts'
import type { PathSlot } from '../path-slot.ts'
import { NO_ANSWER } from '../troubles.ts'
import { Alarm } from './alarm.ts'
import { inFlightLimits, overdue } from './time-outs.ts'

// A look at so many attempts is worth so many µs of precision: it costs a hundredth of that.
const LOOK_EVERY = 1

/** What hears of times that are over. */
export interface DeadlinesOwner {
  /** It has waited too long. */
  expire(attempt: Attempt): void
  /** What waits longest has done so for half of its time; `left`: milliseconds until it ends. */
  halfOver(left: number): void
  /** `looks` has changed. */
  turned(): void
  /** Something is in flight, after a while in which nothing was. */
  busy(): void
}

/**
 * The time-outs of all I/O: how long it may be in flight, by op, and how long it may wait. One timer for all, at the
 * earliest that can be due: an I/O that ends in time pays nothing, where a place in a list would cost it 8 ns. Since the
 * time-out of an op is always the same, whatever is sent after a look is due no sooner than the shortest of them later.
 */
export class Deadlines {
  /** Whether it looks again by itself in time for whatever is sent. */
  looks = false
  readonly #clock: Clock
  readonly #attempts: readonly Attempt[]
  readonly #owner: DeadlinesOwner
  /** By op: how long one may be in flight, milliseconds; 0: for ever. */
  readonly #limits: readonly number[]
  /** µs. */
  readonly #shortest: number
  /** Half of what one may wait, µs. */
  readonly #half: number
  /** The deadline of the I/O that was told of last, µs: that one is not told of again. */
  #toldOf = 0
  /** Whether it was told of what waits now. */
  #told = false
  readonly #alarm: Alarm

  constructor(clock: Clock, options: ResolvedOptions, attempts: readonly Attempt[], owner: DeadlinesOwner) {
    this.#clock = clock
    this.#alarm = new Alarm(clock, () => this.#look())
    this.#attempts = attempts
    this.#owner = owner
    this.#limits = inFlightLimits(options)
    this.#shortest = Math.min(...this.#limits.filter((limit) => limit > 0)) * 1000
    this.#half = options.noPathTimeout * 500
  }

  /** Begins to look, now that something is in flight. */
  start(): void {
    if (this.looks) return
    this.#goOn(true)
    this.#alarm.by(this.#clock.now() + this.#shortest)
    this.#owner.busy()
  }

  #goOn(looks: boolean): void {
    this.looks = looks
    this.#owner.turned()
  }

  /** Something waits, until `deadline`; `first`: nothing did before. */
  by(deadline: number, first: boolean): void {
    if (first) this.#told = deadline <= this.#toldOf
    this.#alarm.by(this.#told ? deadline : deadline - this.#half)
  }

  #look(): void {
    this.#goOn(false)
    const now = this.#clock.now()
    let next = Number.POSITIVE_INFINITY
    let earliest = Number.POSITIVE_INFINITY
    let sent = false
    for (const attempt of this.#attempts) {
      const { slot, list } = attempt
      if (list?.bounded) {
        if (attempt.deadline !== 0 && attempt.deadline <= now) this.#owner.expire(attempt)
        else if (attempt.deadline !== 0) earliest = Math.min(earliest, attempt.deadline)
      } else if (slot !== null && (attempt.parent !== null || attempt.apart === Apart.Lost)) {
        const due = this.#dueInFlight(attempt)
        if (due <= now) this.#hung(attempt, slot)
        else next = Math.min(next, due)
        sent = true
      }
    }
    if (earliest !== Number.POSITIVE_INFINITY) next = Math.min(next, this.#tell(earliest, now))
    if (sent) {
      this.#goOn(true)
      next = Math.min(next, now + this.#shortest)
    }
    this.#alarm.by(Math.max(next, now + this.#attempts.length * LOOK_EVERY))
  }

  #dueInFlight({ io, started }: Attempt): number {
    const limit = this.#limits[io.op] as number
    return limit > 0 ? started + limit * 1000 : Number.POSITIVE_INFINITY
  }

  #hung({ io }: Attempt, slot: PathSlot): void {
    slot.failHung(overdue(io.op, this.#limits[io.op] as number), NO_ANSWER)
  }

  /** Tells once that half of the time is over; returns when to look again for what waits, the first of it to `earliest`. */
  #tell(earliest: number, now: number): number {
    if (this.#told) return earliest
    if (earliest - this.#half > now) return earliest - this.#half
    this.#told = true
    this.#toldOf = earliest
    this.#owner.halfOver((earliest - now) / 1000)
    return earliest
  }

  stop(): void {
    this.#alarm.stop()
  }
}
