import type { Clock } from '@blockbraid/core'
import type { Report, Severity } from './report.ts'

interface Topic {
  count: number
  line: string
  severity: Severity | undefined
}

/** How long a line that was said keeps others of its topic back, milliseconds. */
export const WINDOW = 60_000
// Lines that are all different are counted as one from there on.
const MOST_TOPICS = 500
const OTHERS = 'too many different lines'

/** Says the first line of a topic at once, and once a minute how many more there were. */
export class Repeats {
  readonly #clock: Clock
  readonly #topics = new Map<string, Topic>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `count`: how often it has happened since it was said last. */
  say(topic: string, line: string, severity: Severity | undefined, report: Report, count = 1): void {
    const key = this.#topics.has(topic) || this.#topics.size < MOST_TOPICS ? topic : OTHERS
    const known = this.#topics.get(key)
    if (known !== undefined) {
      known.count += count
      known.line = line
      known.severity = severity
      return
    }
    this.#topics.set(key, { count: 0, line, severity })
    this.#later(key, report)
    report(count > 1 ? `${line}; ${count} of them` : line, severity)
  }

  #later(key: string, report: Report): void {
    this.#clock.after(WINDOW, () => {
      const topic = this.#topics.get(key) as Topic
      if (topic.count === 0) return void this.#topics.delete(key)
      const { count, line, severity } = topic
      topic.count = 0
      this.#later(key, report)
      report(`${line}; ${count} more in the last ${WINDOW / 1000} s`, severity)
    })
  }
}
