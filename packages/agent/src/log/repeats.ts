import type { Clock } from '@blockbraid/core'
import type { Report, Severity } from './report.ts'

interface Topic {
  said: number
  count: number
  line: string
  severity: Severity | undefined
}

/** How long a line that was said keeps others of its topic back, milliseconds. */
export const WINDOW = 60_000
// Lines that are all different are counted as one from there on.
const MOST_TOPICS = 500
const OTHERS = 'too many different lines'

/** What is said of a topic. */
export interface Saying {
  readonly line: string
  readonly severity: Severity | undefined
  /** How often it has happened since it was said last. @defaultValue 1 */
  readonly count?: number | undefined
  /** How many lines are said at once. @defaultValue 1 */
  readonly atOnce?: number | undefined
}

/** Says the first lines of a topic at once, and once a minute how many more there were. */
export class Repeats {
  readonly #clock: Clock
  readonly #topics = new Map<string, Topic>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  say(topic: string, { line, severity, count = 1, atOnce = 1 }: Saying, report: Report): void {
    const key = this.#topics.has(topic) || this.#topics.size < MOST_TOPICS ? topic : OTHERS
    const known = this.#topics.get(key) ?? { said: 0, count: 0, line, severity }
    if (known.said < atOnce) {
      if (known.said === 0) {
        this.#topics.set(key, known)
        this.#later(key, report)
      }
      known.said++
      return report(count > 1 ? `${line}; ${count} of them` : line, severity)
    }
    known.count += count
    known.line = line
    known.severity = severity
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
