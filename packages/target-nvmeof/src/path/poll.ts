import type { Clock } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { Pulse } from '@blockbraid/wire'
import { News } from '../nvme/status.ts'
import { StatusError } from '../nvme/status-error.ts'
import type { Asker } from '../unit/ask.ts'
import type { Review, Reviewed } from './review.ts'
import { takesIo } from './review.ts'

/** What polling needs of a path. */
export interface PollHost {
  readonly clock: Clock
  /** Milliseconds between two polls. */
  readonly interval: number
  isOpen(): boolean
  /** Whether no command has ended since this was asked last. */
  wasQuiet(): boolean
  asker(): Asker
  /** The controller would not answer. */
  refused(error: StatusError): void
  fail(error: BlockError): void
}

// Without I/O nothing goes to a wrong volume, and after the first I/O the next poll looks.
const IDLE_POLLS_TO_LOOK = 3
// With each of so many polls size, limits and access are read, too: an event that tells of them may be lost.
const POLLS_TO_MEASURE = 6

/** Asks now and then who answers, also on a path that is busy: events get lost, and some targets send none. */
export class Poll {
  readonly #path: Reviewed
  readonly #review: Review
  readonly #host: PollHost
  readonly #pulse: Pulse
  #polls = 0

  constructor(path: Reviewed, review: Review, host: PollHost) {
    this.#path = path
    this.#review = review
    this.#host = host
    const { clock, interval, isOpen } = host
    this.#pulse = new Pulse(path.id, {
      clock,
      interval,
      isOpen,
      awake: () => review.awake(),
      ask: () => this.#askForNews(),
    })
  }

  stop(): void {
    this.#pulse.stop()
  }

  async #askForNews(): Promise<void> {
    const quiet = this.#host.wasQuiet()
    this.#polls++
    if (this.#review.checking) return
    try {
      if (takesIo(this.#path.access)) await this.#ask(quiet)
      else this.#review.hear(News.Access)
    } catch (error) {
      if (error instanceof StatusError) this.#host.refused(error)
      // A lost association tells of itself, and one that answers others is not dead.
      const timedOut = BlockError.is(error) && error.code === 'TIMED_OUT'
      if (timedOut && this.#host.wasQuiet()) this.#host.fail(error)
    }
  }

  async #ask(quiet: boolean): Promise<void> {
    const asker = this.#host.asker()
    if (this.#polls % POLLS_TO_MEASURE === 0 || this.#path.limits.readOnly) return this.#review.lookAtAll(asker)
    if (!quiet || this.#polls % IDLE_POLLS_TO_LOOK === 1) await this.#review.look(asker)
  }
}
