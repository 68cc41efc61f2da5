import type { Clock, Timer } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { testUnitReady } from '../scsi/cdb.ts'
import { News } from '../scsi/status.ts'
import type { Asker } from './ask.ts'
import { ask } from './ask.ts'
import { readCapacity, readIdentity, readWriteCache } from './disk.ts'
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
  fail(error: BlockError): void
}

// With each of so many polls size and write cache are read, also of a path that is busy.
const POLLS_TO_LOOK = 6

/** Asks for news now and then: a path without I/O hears of none, unit attentions come with the answer to a command. */
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
    const looks = this.#polls % POLLS_TO_LOOK === 0
    if ((quiet || looks) && !this.#review.checking) {
      try {
        if (takesIo(this.#path.access)) await this.#ask(looks)
        else this.#review.hear(News.Access | News.Capacity)
      } catch (error) {
        // The news is heard; a lost session tells of itself.
        if (BlockError.is(error) && error.code === 'TIMED_OUT') this.#host.fail(error)
      }
    }
    if (this.#host.isOpen()) this.#schedule()
  }

  /**
   * Hears of what is queued for this path, and of what no unit attention tells: that another volume answers, which
   * LIO lets happen in silence; with `looks` also of a new size, and of a
   * write cache that was switched.
   */
  async #ask(looks: boolean): Promise<void> {
    const asker = this.#host.asker()
    await ask(asker, 'TEST UNIT READY', testUnitReady())
    const identity = await readIdentity(asker)
    if (identity?.volume !== this.#path.volume) return this.#review.hear(News.Identity)
    if (!looks) return
    const { size, writeCache } = this.#path.limits
    if ((await readCapacity(asker)).size !== size || (await readWriteCache(asker)) !== writeCache) {
      this.#review.hear(News.Capacity)
    }
  }
}
