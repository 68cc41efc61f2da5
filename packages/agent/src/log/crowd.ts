import type { Clock } from '@blockbraid/core'
import type { Report, Severity } from './report.ts'

/** What many may have to say at once. */
export interface Crowd {
  /** What they have in common. */
  readonly key: string
  /** Who says it. */
  readonly name: string
  /** How it is said of `count` others, such as `paths through 192.0.2.1:3260 are down`. */
  readonly many: string
}

interface Saying {
  said: number
  names: string[]
  count: number
  last: string
  severity: Severity | undefined
}

// So many say it themselves; the others are told of together, milliseconds later.
const MOST = 3
const WAIT = 1000
const LONG_WAIT = 10_000
const MOST_NAMES = 5

/** Collapses what many say at once, such as all the pairs with a path through a portal that is down, into a few lines. */
export class Crowds {
  readonly #clock: Clock
  readonly #report: Report
  readonly #sayings = new Map<string, Saying>()

  constructor(clock: Clock, report: Report) {
    this.#clock = clock
    this.#report = report
  }

  say({ key, name, many }: Crowd, line: string, severity: Severity | undefined): void {
    const known = this.#sayings.get(key)
    if (known === undefined) {
      this.#sayings.set(key, { said: 1, names: [], count: 0, last: '', severity: undefined })
      this.#clock.after(WAIT, () => this.#summarize(key, many))
      return this.#report(line, severity)
    }
    if (known.said < MOST) {
      known.said++
      return this.#report(line, severity)
    }
    known.count++
    known.last = line
    known.severity = severity
    if (known.names.length < MOST_NAMES && !known.names.includes(name)) known.names.push(name)
  }

  #summarize(key: string, many: string): void {
    const saying = this.#sayings.get(key) as Saying
    const { count, names, last, severity } = saying
    if (count === 0) return void this.#sayings.delete(key)
    saying.count = 0
    saying.names = []
    this.#clock.after(LONG_WAIT, () => this.#summarize(key, many))
    if (count === 1) return this.#report(last, severity)
    const more = count > names.length ? ', …' : ''
    this.#report(`${count} more ${many} (${names.join(', ')}${more}); the last: ${last}`, severity)
  }
}
