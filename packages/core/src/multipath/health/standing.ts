import type { Clock } from '../../clock.ts'
import type { PathEntry } from '../path-entry.ts'
import type { SlowOptions } from './health-options.ts'
import type { Bounds, Outlier } from './outlier.ts'
import { outlier } from './outlier.ts'
import type { Numbers } from './window.ts'
import { Window } from './window.ts'

/** How often in `time` it is looked at. */
export const LOOKS = 4
// Numbers are as good as new for so many looks.
const FRESH = 8
// Of one that is demoted so few reads, or probes, are enough, twice in a row.
const FEW = 5
const WELL = 2
// The first stay is so many times `time`, the longest so many.
const STAY = 2
const LONGEST = 60

/** How a path stands among its equals: whether it has been slow for long enough, and well again for long enough. */
export class Standing {
  /** What it did last, as long as that is fresh. */
  latest: Numbers | undefined
  readonly window: Window
  readonly #options: Required<SlowOptions>
  readonly #clock: Clock
  readonly #bounds: Bounds
  readonly #near: Bounds
  #age = 0
  /** Looks in a row at which it was too slow; verdicts in a row by which it is well. */
  #slow = 0
  #well = 0
  /** What its equals did when it was demoted. */
  #base: Numbers | undefined
  #probes: number[] = []
  #demotedAt = 0
  #promotedAt = Number.NEGATIVE_INFINITY
  #stay = 0

  constructor(entry: PathEntry, options: Required<SlowOptions>, clock: Clock) {
    this.window = new Window(entry)
    this.#options = options
    this.#clock = clock
    this.#bounds = { factor: options.factor, floor: options.floor * 1000 }
    // Not the same both ways, so that it does not come and go.
    this.#near = { factor: Math.max(1.25, options.factor / 2), floor: options.floor * 500 }
  }

  /** Closes its window where it has done enough; returns how many looks that covers, else 0. */
  look(demoted: boolean): number {
    if (++this.#age > FRESH) this.latest = undefined
    this.window.looks++
    const { ios, looks } = this.window
    if (ios < (demoted ? Math.min(FEW, this.#options.ios) : this.#options.ios)) return 0
    this.latest = this.window.numbers
    this.#age = 0
    this.window.begin()
    return this.latest === undefined ? 0 : looks
  }

  /** Notes what a window that covers `looks` says of it; returns by what it is to be demoted, where it is. */
  judge(looks: number, equals: Numbers): Outlier | undefined {
    const found = this.latest && outlier(this.latest, equals, this.#bounds)
    this.#slow = found === undefined ? 0 : this.#slow + looks
    return this.#slow >= LOOKS ? found : undefined
  }

  /** Begins a stay outside; one that soon follows another is twice as long. */
  demoted(equals: Numbers | undefined): void {
    const now = this.#clock.now()
    const { time } = this.#options
    const soon = now - this.#promotedAt < Math.max(this.#stay * 2, time * LOOKS) * 1000
    this.#stay = soon ? Math.min(this.#stay * 2, time * LONGEST) : time * STAY
    this.#demotedAt = now
    this.#base = equals
    this.#slow = 0
    this.#well = 0
    this.#probes = []
    this.window.begin()
  }

  /** A read of one block that was made to see how it does. */
  probed(elapsed: number): void {
    this.#probes.push(elapsed)
  }

  /** Whether a demoted one is well again, as far as what it has done tells; `done`: its window has just been closed. */
  recovers(done: boolean, equals: Numbers | undefined): boolean {
    const base = equals ?? this.#base ?? { typical: 0, tail: 0, bytes: 1 }
    const numbers = done ? this.latest : this.#probed()
    if (numbers === undefined) return false
    this.#well = outlier(numbers, base, this.#near) === undefined ? this.#well + 1 : 0
    return this.#well >= WELL && this.#clock.now() - this.#demotedAt >= this.#stay * 1000
  }

  #probed(): Numbers | undefined {
    if (this.#probes.length < FEW) return undefined
    const sorted = this.#probes.sort((one, other) => one - other)
    this.#probes = []
    return { typical: sorted[FEW >> 1] as number, tail: sorted[FEW - 1] as number, bytes: 1 }
  }

  promoted(): void {
    this.#promotedAt = this.#clock.now()
    this.restart()
  }

  /** It was connected anew, or somebody vouches for it: what it did before says nothing. */
  restart(): void {
    this.#slow = 0
    this.#well = 0
    this.latest = undefined
    this.#probes = []
    this.window.begin()
  }
}
