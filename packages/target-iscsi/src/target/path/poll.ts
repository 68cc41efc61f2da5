import type { Clock, Timer } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
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

// How much of an interval the first poll, and each later one, waits at least.
const EARLIEST = 0.5
const EARLY = 0.95

/**
 * Asks now and then who answers, also on a path that is busy: LIO lets a LUN number lead to another volume without a
 * unit attention. A path without I/O is asked for news, too, since unit attentions come with the answer to a command.
 */
export class Poll {
  readonly #path: Reviewed
  readonly #review: Review
  readonly #host: PollHost
  #timer: Timer | undefined
  #beat: Timer | undefined
  #polls = 0
  // Paths that were opened at once must not ask at once for ever.
  #phase: number

  constructor(path: Reviewed, review: Review, host: PollHost) {
    this.#path = path
    this.#review = review
    this.#host = host
    this.#phase = hash(path.id)
    this.#schedule(EARLIEST)
  }

  stop(): void {
    this.#timer?.cancel()
    this.#beat?.cancel()
  }

  /** The next poll comes within an interval, and not before this part of it. */
  #schedule(earliest: number): void {
    this.#phase = (Math.imul(this.#phase, 1_664_525) + 1_013_904_223) >>> 0
    const wait = this.#host.interval * (earliest + ((1 - earliest) * this.#phase) / 2 ** 32)
    this.#timer = this.#host.clock.after(wait, () => void this.#askForNews())
  }

  #stayAwake(): void {
    this.#review.awake()
    this.#beat = this.#host.clock.after(this.#host.interval, () => this.#stayAwake())
  }

  async #askForNews(): Promise<void> {
    const quiet = this.#host.wasQuiet()
    this.#polls++
    this.#stayAwake()
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
    this.#beat?.cancel()
    if (this.#host.isOpen()) this.#schedule(EARLY)
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

/** FNV-1a: other texts, other numbers. */
function hash(text: string): number {
  let sum = 0x811c_9dc5
  for (let at = 0; at < text.length; at++) sum = Math.imul(sum ^ text.charCodeAt(at), 0x0100_0193)
  return sum >>> 0
}
