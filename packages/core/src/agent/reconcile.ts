import { BackOff } from '../back-off.ts'
import type { Host, Timer } from '../clock.ts'
import type { Asking } from './asking.ts'

// Between two questions to targets of which something is missing, milliseconds: the first wait, which doubles, with
// jitter, up to the last.
const FIRST_WAIT = 1000
const LONGEST_WAIT = 10_000
// The same while I/O waits for what they may have, and how often in a row: then most of that I/O has ended.
const URGENT_WAIT = 1000
const URGENT_TRIES = 30

/** What is not as it should be. */
export interface Needs {
  /** Whether something is missing of which nobody knows who has it. */
  lacks(): boolean
  /** Names of targets that a device without a usable path may wait for; undefined: any. */
  waiting(): ReadonlySet<string> | undefined
}

/**
 * Asks targets again as long as something is missing, and nothing where all is there. They are asked together: what one
 * of them offers may be judged by what another does.
 */
export class Reconcile {
  #askings: readonly Asking[]
  #host: Host
  #needs: Needs
  readonly #backOff: BackOff
  #urgentTries = 0
  #timer: Timer | undefined
  #urgent = false
  #closed = false

  constructor(askings: readonly Asking[], host: Host, needs: Needs) {
    this.#askings = askings
    this.#host = host
    this.#needs = needs
    this.#backOff = new BackOff(FIRST_WAIT, LONGEST_WAIT, host.random)
  }

  /** Looks at what is missing now: after every answer, and when a device waits or does no more. */
  plan(): void {
    if (this.#closed) return
    const { concerned, waits } = this.#look()
    if (!waits) this.#urgentTries = 0
    if (concerned.length === 0) {
      this.#backOff.reset()
      this.#timer?.cancel()
      this.#timer = undefined
      return
    }
    const urgent = waits && this.#urgentTries < URGENT_TRIES
    // Answers to questions that are asked now are waited for first.
    const idle = concerned.filter(({ busy }) => !busy)
    if (idle.length === 0 || (this.#timer !== undefined && (this.#urgent || !urgent))) return
    const { clock } = this.#host
    const since = (clock.now() - Math.max(...idle.map(({ heardAt }) => heardAt))) / 1000
    const wait = urgent ? Math.max(0, URGENT_WAIT - since) : this.#backOff.wait()
    this.#timer?.cancel()
    this.#urgent = urgent
    this.#timer = clock.after(wait, () => this.#ask())
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  #ask(): void {
    this.#timer = undefined
    if (this.#urgent) this.#urgentTries++
    else this.#backOff.count()
    for (const asking of this.#look().concerned) asking.askAgain()
  }

  #look(): { concerned: readonly Asking[]; waits: boolean } {
    const waiting = this.#needs.waiting()
    const waits = waiting === undefined || waiting.size > 0
    const all = waiting === undefined || this.#needs.lacks()
    return {
      concerned: this.#askings.filter(({ target, isMissing }) => all || isMissing || waiting.has(target.name)),
      waits,
    }
  }
}
