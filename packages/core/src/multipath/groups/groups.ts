import type { Clock } from '../../clock.ts'
import type { Failback } from '../options.ts'
import type { PathSlot } from '../path-slot.ts'
import { Pause } from '../pause.ts'
import { ableOf } from '../usable.ts'
import type { Rank } from './rank.ts'
import { bestRank, compareRanks, groupOf, rankOf } from './rank.ts'

// How long the better paths are waited for after the first of all is there, milliseconds.
const GRACE = 1000

/**
 * The group that I/O goes to, and when it goes back to a better one. What a group has left for want of a path, or as it
 * has become worse by itself, is never waited for.
 */
export class Groups {
  readonly #clock: Clock
  readonly #failback: Failback
  /** A better group has been usable for long enough. */
  readonly #due: Pause
  #home: readonly PathSlot[] = []
  #rank: Rank | undefined
  /** `clock.now()` when there was a path again, after there was none. */
  #began = 0
  /** Slots that I/O has gone to. */
  readonly #served = new WeakSet<PathSlot>()
  /** Slots that somebody has restored by hand. */
  readonly #welcome = new Set<PathSlot>()
  #atOnce = false
  /** `clock.now()` when I/O goes back, µs; Infinity: by hand; 0: it waits for nothing. */
  #until = 0

  /** `due` is called when it is time to look again. */
  constructor(clock: Clock, failback: Failback, due: () => void) {
    this.#clock = clock
    this.#failback = failback
    this.#due = new Pause(clock, () => {
      this.#atOnce = true
      due()
    })
  }

  /** The next look finds I/O going to the best group. */
  failBack(): void {
    this.#atOnce = true
  }

  /** Somebody has restored this one by hand: once it is usable, I/O goes back to it at once. */
  welcome(slot: PathSlot): void {
    this.#welcome.add(slot)
  }

  /** The slots that I/O goes to from now on. */
  choose(slots: readonly PathSlot[]): readonly PathSlot[] {
    const home = this.#settle(ableOf(slots.filter((slot) => slot.takesIo)))
    for (const slot of this.#welcome) if (slot.takesIo || slot.ended) this.#welcome.delete(slot)
    this.#atOnce = false
    const tier = home.filter((slot) => slot.usable)
    if (tier.length > 0) return tier
    // All of it rest for a moment, in which others serve.
    const able = ableOf(slots.filter((slot) => slot.usable))
    const rank = bestRank(able)
    return rank === undefined ? [] : groupOf(able, rank)
  }

  #settle(able: readonly PathSlot[]): readonly PathSlot[] {
    const best = bestRank(able)
    if (best === undefined) {
      this.stop()
      this.#home = []
      return this.#home
    }
    if (this.#home.length === 0) this.#began = this.#clock.now()
    const there = new Set(able)
    const held = bestRank(this.#home.filter((slot) => there.has(slot)))
    const waits = held !== undefined && compareRanks(best, held) > 0 && this.#waits(able, best, held)
    if (waits) this.#begin()
    else this.stop()
    this.#rank = waits ? held : best
    this.#home = groupOf(able, this.#rank)
    for (const slot of this.#home) this.#served.add(slot)
    return this.#home
  }

  /** Whether the `best` group has to wait, while I/O goes to one of rank `held`. */
  #waits(able: readonly PathSlot[], best: Rank, held: Rank): boolean {
    if (this.#failback === 'immediate' || this.#failback === 0 || this.#atOnce) return false
    if (this.#clock.now() - this.#began < GRACE * 1000) return false
    if (compareRanks(held, this.#rank as Rank) < 0) return false
    for (const slot of this.#welcome) if (slot.takesIo && compareRanks(rankOf(slot), held) > 0) return false
    // To where it never was it does not go back.
    return groupOf(able, best).some((slot) => this.#served.has(slot))
  }

  #begin(): void {
    if (this.#until !== 0) return
    if (typeof this.#failback !== 'number') {
      this.#until = Number.POSITIVE_INFINITY
      return
    }
    this.#until = this.#clock.now() + this.#failback * 1000
    this.#due.begin(this.#failback)
  }

  /** Nothing is waited for any more. */
  stop(): void {
    this.#due.end()
    this.#until = 0
  }

  /** Whether it is usable, and waits for I/O to go back to it. */
  waits(slot: PathSlot): boolean {
    return this.#until !== 0 && slot.takesIo && compareRanks(rankOf(slot), this.#rank as Rank) > 0
  }

  /** Why a slot that could take I/O takes none, where that is as it should be; an empty text where it does. */
  inReserve(slot: PathSlot): string {
    if (this.#rank === undefined || !slot.takesIo || this.#home.includes(slot)) return ''
    const rank = rankOf(slot)
    // Its access is told beside it, and its health is told by itself.
    if (rank.well !== this.#rank.well || rank.optimized !== this.#rank.optimized || compareRanks(rank, this.#rank) > 0)
      return ''
    if (rank.preferred !== this.#rank.preferred) return 'in reserve: I/O goes to paths that the storage prefers'
    return `in reserve: its priority is ${rank.priority}, and I/O goes to paths of priority ${this.#rank.priority}`
  }

  /** What those that wait for I/O to go back to them wait for. */
  describeWait(): string {
    if (typeof this.#failback !== 'number') return 'usable again: I/O goes back to it when that is said by hand'
    const left = Math.max(0, this.#until - this.#clock.now()) / 1_000_000
    return `usable again: I/O goes back to it in ${Math.ceil(left)} s, when that has lasted ${this.#failback / 1000} s`
  }
}
