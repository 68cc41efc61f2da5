import type { Clock } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { Pulse } from '@blockbraid/wire'
import { testUnitReady } from '../../scsi/cdb.ts'
import { News } from '../../scsi/status.ts'
import type { Asker } from '../unit/ask.ts'
import { ask, ScsiError } from '../unit/ask.ts'
import { readProtection } from '../unit/disk.ts'
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
  /** Whether no command is in flight. */
  isIdle(): boolean
  asker(): Asker
  /** The device server would not answer. */
  refused(error: ScsiError): void
  fail(error: BlockError): void
}

// Without I/O nothing goes to a wrong volume, and after the first I/O the next poll looks.
const IDLE_POLLS_TO_LOOK = 3
// With each of so many polls size and limits are read, too: no unit attention need tell of them.
const POLLS_TO_MEASURE = 6

/**
 * Asks now and then who answers, also on a path that is busy: LIO lets a LUN number lead to another volume without a
 * unit attention. A path without I/O is asked for news, too, since unit attentions come with the answer to a command.
 */
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
      else this.#review.hear(News.Access | News.Capacity)
    } catch (error) {
      if (error instanceof ScsiError) this.#host.refused(error)
      // The news is heard; a lost session tells of itself, and one that answers others is not dead.
      const timedOut = BlockError.is(error) && error.code === 'TIMED_OUT'
      if (timedOut && this.#host.wasQuiet()) this.#host.fail(error)
    }
  }

  async #ask(quiet: boolean): Promise<void> {
    const asker = this.#host.asker()
    const idle = quiet && this.#host.isIdle()
    if (quiet) await ask(asker, 'TEST UNIT READY', testUnitReady())
    if (!idle || this.#polls % IDLE_POLLS_TO_LOOK === 1) await this.#review.look(asker)
    if (this.#polls % POLLS_TO_MEASURE === 0) await this.#review.lookAtLimits(asker)
    // Whoever waits for it to be writable again has no command that would hear of it.
    else if (this.#path.limits.readOnly && !(await readProtection(asker))) this.#review.hear(News.Capacity)
  }
}
