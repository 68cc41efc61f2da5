import type { Clock, Timer } from '../../clock.ts'
import type { PathSlot } from '../path-slot.ts'
import { FaultRate } from './fault-rate.ts'
import type { SlowOptions } from './health-options.ts'
import type { Outlier } from './outlier.ts'
import { middle } from './outlier.ts'
import { readsOne } from './reads-one.ts'
import { LOOKS, Standing } from './standing.ts'
import type { Numbers } from './window.ts'
import { microseconds, percent } from './words.ts'

interface Compared {
  readonly standing: Standing
  readonly faults: FaultRate
  /** The connection that the numbers are of. */
  path: PathSlot['entry']['path']
  /** Looks that its last window covers; 0 where none was closed at this one. */
  looks: number
  /** The connection that has a probe in flight; null where none has. */
  probed: PathSlot['entry']['path']
}

interface Slots {
  readonly all: readonly PathSlot[]
}

interface Busy {
  /** Whether something is in flight, or was a while ago. */
  readonly busy: boolean
}

/** Compares each path with its equals, now and then: those of one access state that are up and serve. */
export class Comparison {
  readonly #clock: Clock
  readonly #options: Required<SlowOptions>
  readonly #slots: Slots
  readonly #engine: Busy
  readonly #compared = new WeakMap<PathSlot, Compared>()
  #timer: Timer | undefined

  constructor(clock: Clock, options: Required<SlowOptions>, slots: Slots, engine: Busy) {
    this.#clock = clock
    this.#options = options
    this.#slots = slots
    this.#engine = engine
  }

  /** Looks again by itself as long as there is something to compare. */
  start(): void {
    if (this.#timer !== undefined) return
    const candidates = this.#candidates()
    const wanted = this.#engine.busy || candidates.some(({ health }) => health === 'demoted')
    if (!wanted || candidates.length < 2) return
    this.#timer = this.#clock.after(this.#options.time / LOOKS, () => {
      this.#timer = undefined
      this.#look()
      this.start()
    })
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #candidates(): readonly PathSlot[] {
    return this.#slots.all.filter((slot) => slot.takesIo && slot.health !== 'probation')
  }

  #look(): void {
    const all = this.#candidates()
    for (const slot of all) this.#note(slot)
    for (const access of ['optimized', 'non-optimized']) {
      const equals = all.filter((slot) => slot.entry.access === access)
      this.#demoteWorst(equals)
      for (const slot of equals) if (slot.health === 'demoted') this.#lookAfter(slot, equals)
    }
  }

  #of(slot: PathSlot): Compared {
    const known = this.#compared.get(slot)
    if (known !== undefined) return known
    const compared: Compared = {
      standing: new Standing(slot.entry, this.#options, this.#clock),
      faults: new FaultRate(slot.entry, () => slot.vitals.outlived.count),
      path: slot.entry.path,
      looks: 0,
      probed: null,
    }
    this.#compared.set(slot, compared)
    return compared
  }

  #note(slot: PathSlot): void {
    const compared = this.#of(slot)
    const { standing, faults } = compared
    if (compared.path !== slot.entry.path) {
      compared.path = slot.entry.path
      standing.restart()
      faults.restart()
    }
    faults.look()
    // What a reservation or write protection refuses is no fault of the path.
    if (slot.exclusion.lately || slot.isProtected) faults.restart()
    compared.looks = standing.look(slot.health === 'demoted')
  }

  /** What the equals of `slot` have done of late. */
  #others(slot: PathSlot, equals: readonly PathSlot[]): Numbers | undefined {
    const latest = equals.flatMap((other) => (other === slot ? [] : (this.#of(other).standing.latest ?? [])))
    return middle(latest)
  }

  // One at a time: what it leaves to the others may change how they do.
  #demoteWorst(equals: readonly PathSlot[]): void {
    let worst: { slot: PathSlot; times: number; reason: string } | undefined
    for (const slot of equals) {
      if (slot.health !== '') continue
      const others = this.#others(slot, equals)
      const { standing, looks, faults } = this.#of(slot)
      const found = looks > 0 && others !== undefined ? standing.judge(looks, others) : undefined
      const share = this.#errs(slot, equals) ? (faults.share ?? 0) : 0
      if (found === undefined && share === 0) continue
      const times = share > 0 ? Number.MAX_VALUE * share : (found as Outlier).times
      if (worst !== undefined && worst.times >= times) continue
      const reason =
        share > 0
          ? `${percent(share)} of its I/Os met an error of the path`
          : slowness(found as Outlier, standing.latest as Numbers, others as Numbers)
      worst = { slot, times, reason }
    }
    if (worst === undefined) return
    const { slot, reason } = worst
    // Never the last one.
    if (!equals.some((other) => other !== slot && other.usable && other.health === '')) return
    this.#of(slot).standing.demoted(this.#others(slot, equals))
    slot.vitals.demote(reason)
  }

  /** Whether too many of its Ios meet errors, and its equals do better. */
  #errs(slot: PathSlot, equals: readonly PathSlot[]): boolean {
    const { errors, factor } = this.#options
    const { share = 0, errs } = this.#of(slot).faults
    // What is over is no reason: the others may have done their I/O since then.
    if (share <= errors || !errs) return false
    const others = equals.flatMap((other) => (other === slot ? [] : (this.#of(other).faults.share ?? [])))
    others.sort((one, other) => one - other)
    // Without a word on the others it is not worse than they are.
    return share > factor * (others[(others.length - 1) >> 1] ?? 1)
  }

  #lookAfter(slot: PathSlot, equals: readonly PathSlot[]): void {
    const { standing, faults, looks } = this.#of(slot)
    this.#probe(slot)
    const recovers = standing.recovers(looks > 0, this.#others(slot, equals))
    if (!recovers || (faults.share ?? 0) > this.#options.errors / 2) return
    standing.promoted()
    faults.restart()
    slot.vitals.promote('as good as its equals again')
  }

  // There may be no reads to see it by. One at a time: a path that hangs would gather them.
  #probe(slot: PathSlot): void {
    const begun = this.#clock.now()
    const compared = this.#of(slot)
    const { standing } = compared
    const { path } = slot.entry
    if (path === null || compared.probed === path) return
    compared.probed = path
    const back = (): void => {
      if (compared.probed === path) compared.probed = null
    }
    readsOne(path, this.#clock, this.#options.time, new AbortController().signal, back).then(
      () => standing.probed(this.#clock.now() - begun),
      () => standing.probed(Number.POSITIVE_INFINITY),
    )
  }
}

function slowness({ by }: Outlier, own: Numbers, equals: Numbers): string {
  const share = by === 'typical' ? 'half' : 'one in ten'
  return `${share} of its I/Os took ${microseconds(own[by])} or more, of its equals ${microseconds(equals[by])}`
}
