import type { FaultMatch, NvmeFault } from './types.ts'

/** A rule, and how far it has got. */
export class Rule<Options extends FaultMatch> implements NvmeFault {
  readonly options: Options
  hits = 0
  readonly #random: () => number
  readonly #removed: (rule: Rule<Options>) => void
  #seen = 0

  constructor(options: Options, random: () => number, removed: (rule: Rule<Options>) => void) {
    this.options = options
    this.#random = random
    this.#removed = removed
  }

  /** Whether it acts now, on something that fits; counts it. */
  acts(port: number): boolean {
    const { after = 0, count = Number.POSITIVE_INFINITY, rate = 1 } = this.options
    if (this.options.port !== undefined && this.options.port !== port) return false
    if (this.hits >= count || this.#seen++ < after) return false
    if (rate < 1 && this.#random() >= rate) return false
    this.hits++
    return true
  }

  remove(): void {
    this.#removed(this)
  }
}

/** Rules of one kind. */
export class Rules<Options extends FaultMatch> {
  all: readonly Rule<Options>[] = []
  readonly #random: () => number
  readonly #changed: () => void

  constructor(random: () => number, changed: () => void) {
    this.#random = random
    this.#changed = changed
  }

  add(options: Options): Rule<Options> {
    const rule = new Rule(options, this.#random, (gone) => {
      this.all = this.all.filter((other) => other !== gone)
      this.#changed()
    })
    this.all = [...this.all, rule]
    this.#changed()
    return rule
  }

  clear(): void {
    this.all = []
    this.#changed()
  }

  /** The first rule that fits and acts. */
  find(port: number, fits: (options: Options) => boolean): Rule<Options> | undefined {
    return this.all.find((rule) => fits(rule.options) && rule.acts(port))
  }
}
