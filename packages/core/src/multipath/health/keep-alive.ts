import type { Clock, Host, Timer } from '../../clock.ts'
import { messageOf } from '../../errors.ts'
import type { Path } from '../../target.ts'
import type { PathEntry } from '../path-entry.ts'
import type { ResolvedHealth } from './health-options.ts'

/** Kind of a failure of a path from which nothing comes. */
export const SILENT = 'silent'

// Before the time for an answer is over the clock is looked at so many milliseconds earlier, at most: where that timer
// is late, our own event loop was busy, and the answer may have come and not be read.
const MARGIN = 50

/** Asks a path from which nothing comes for a sign of life. I/O that comes back is one, and costs no question. */
export class KeepAlive {
  readonly #clock: Clock
  readonly #random: () => number
  readonly #after: number
  readonly #timeout: number
  readonly #entry: PathEntry
  readonly #silent: (reason: string) => void
  #path: Path | undefined
  #timer: Timer | undefined
  #question: AbortController | undefined
  /** Milliseconds of silence after which it is asked. */
  #patience = 0
  /** `clock.now()` when it came up, or has answered a question, µs. */
  #heard = 0

  /** `silent` is called with the reason when nothing has come in time. */
  constructor(host: Host, options: ResolvedHealth, entry: PathEntry, silent: (reason: string) => void) {
    this.#clock = host.clock
    this.#random = host.random
    this.#after = options.keepAlive
    this.#timeout = options.keepAliveTimeout
    this.#entry = entry
    this.#silent = silent
  }

  /** The path is up. */
  begin(path: Path): void {
    if (this.#after === 0 || path.ping === undefined) return
    this.#path = path
    this.#heard = this.#clock.now()
    // Else all paths that came up together would be asked together for ever.
    this.#patience = this.#after * (0.5 + this.#random() / 2)
    this.#wait(this.#patience)
  }

  /** The path is not up any more. */
  stop(): void {
    this.#timer?.cancel()
    this.#question?.abort()
    this.#question = undefined
    this.#path = undefined
  }

  get #last(): number {
    return Math.max(this.#heard, this.#entry.lastDone)
  }

  #wait(milliseconds: number): void {
    this.#timer = this.#clock.after(milliseconds, () => {
      const left = this.#patience - (this.#clock.now() - this.#last) / 1000
      // Less than what timers can tell apart is nothing.
      if (left >= 1) this.#wait(left)
      else this.#ask(this.#path as Path)
    })
  }

  #ask(path: Path): void {
    this.#patience = this.#after
    const asked = this.#clock.now()
    const question = new AbortController()
    this.#question = question
    let failure = ''
    // Of a plugin that throws, too.
    const answer = (async () => path.ping?.({ signal: question.signal }))()
    answer.then(
      () => this.#answered(question),
      (error) => {
        failure = `: ${messageOf(error)}`
      },
    )
    const margin = Math.min(MARGIN, this.#timeout / 10)
    this.#timer = this.#clock.after(this.#timeout - margin, () => {
      const late = (this.#clock.now() - asked) / 1000 - this.#timeout + margin
      // What has come meanwhile is read first.
      this.#timer = this.#clock.after(Math.min(Math.max(margin, late), this.#timeout), () => {
        if (this.#entry.lastDone > asked) this.#answered(question)
        else this.#tell(failure)
      })
    })
  }

  #answered(question: AbortController): void {
    if (this.#question !== question) return
    this.#question = undefined
    this.#timer?.cancel()
    this.#heard = this.#clock.now()
    question.abort()
    this.#wait(this.#after)
  }

  #tell(failure: string): void {
    const silence = Math.round((this.#clock.now() - this.#last) / 1_000_000)
    this.stop()
    this.#silent(`silent for ${silence} s: no answer to a keep-alive within ${this.#timeout / 1000} s${failure}`)
  }
}
