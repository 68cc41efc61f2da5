import type { Clock, Timer } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { testUnitReady } from '../scsi/cdb.ts'
import { News } from '../scsi/status.ts'
import type { Asker } from './ask.ts'
import { ask, ScsiError } from './ask.ts'
import { readProtection } from './disk.ts'
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
  /** The device server would not answer. */
  refused(error: ScsiError): void
  fail(error: BlockError): void
}

// With each of so many polls size and limits are read, too: no unit attention need tell of them.
const POLLS_TO_LOOK = 6

/**
 * Asks now and then who answers, also on a path that is busy: LIO lets a LUN number lead to another volume without a
 * unit attention. A path without I/O is asked for news, too, since unit attentions come with the answer to a command.
 */
export class Poll {
  readonly #path: Reviewed
  readonly #review: Review
  readonly #host: PollHost
  #timer: Timer | undefined
  #polls = 0

  constructor(path: Reviewed, review: Review, host: PollHost) {
    this.#path = path
    this.#review = review
    this.#host = host
    this.#schedule()
  }

  stop(): void {
    this.#timer?.cancel()
  }

  #schedule(): void {
    this.#timer = this.#host.clock.after(this.#host.interval, () => void this.#askForNews())
  }

  async #askForNews(): Promise<void> {
    const quiet = this.#host.wasQuiet()
    this.#polls++
    if (!this.#review.checking) {
      try {
        if (takesIo(this.#path.access)) await this.#ask(quiet)
        else this.#review.hear(News.Access | News.Capacity)
      } catch (error) {
        if (error instanceof ScsiError) this.#host.refused(error)
        // The news is heard; a lost session tells of itself, and one that answers others is not dead.
        const timedOut = BlockError.is(error) && error.code === 'TIMED_OUT'
        if (timedOut && this.#host.wasQuiet()) this.#host.fail(error)
      }
    }
    if (this.#host.isOpen()) this.#schedule()
  }

  async #ask(quiet: boolean): Promise<void> {
    const asker = this.#host.asker()
    if (quiet) await ask(asker, 'TEST UNIT READY', testUnitReady())
    await this.#review.look(asker)
    if (this.#polls % POLLS_TO_LOOK === 0) await this.#review.lookAtLimits(asker)
    // Whoever waits for it to be writable again has no command that would hear of it.
    else if (this.#path.limits.readOnly && !(await readProtection(asker))) this.#review.hear(News.Capacity)
  }
}
