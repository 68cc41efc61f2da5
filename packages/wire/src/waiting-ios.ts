import type { Clock, Io, IoStatus, Timer } from '@blockbraid/core'
import { Errno, IoOp, OK } from '@blockbraid/core'

const FIRST_PAUSE = 10
const LONGEST_PAUSE = 250

/** What {@link WaitingIos.takeDecided} gives out. */
export interface DecidedIos {
  /** Those that were answered, with what they end with. */
  readonly doubted: readonly [Io, IoStatus][]
  /** Those that were not sent. */
  readonly held: readonly Io[]
}

/** What {@link WaitingIos.takeAll} gives out. */
export interface LeftIos {
  /** Those that were not sent, or wait to be sent again. */
  readonly unsent: readonly Io[]
  /** Those that were answered by nobody knows whom. */
  readonly doubted: readonly Io[]
}

/** Ios of a path that are not in its session: what they wait for, and what is to be remembered of them. */
export class WaitingIos {
  readonly #clock: Clock
  // Until it is known what the path leads to now.
  #held: Io[] = []
  // Answered while it was in doubt who answers.
  readonly #doubted = new Map<Io, IoStatus>()
  // Sent again after a pause, and how often each was sent already.
  readonly #pauses = new Map<Io, Timer>()
  readonly #tries = new Map<Io, number>()
  // Flushes that were under way when it was told that an acknowledged write has failed.
  readonly #doomed = new Set<Io>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** An Io waits until it is known what the path leads to. */
  hold(io: Io): void {
    this.#held.push(io)
  }

  /** An Io would end with `status` if it were known who has answered. */
  doubt(io: Io, status: IoStatus): void {
    this.#doubted.set(io, status)
  }

  /** How often an Io was sent. */
  tries(io: Io): number {
    return (this.#tries.get(io) ?? 0) + 1
  }

  /** An Io is sent again. */
  retry(io: Io): void {
    this.#tries.set(io, this.tries(io))
  }

  /** An Io is sent again, after `pause` milliseconds; left out: after a pause that grows from one to the next. */
  retryLater(io: Io, send: (io: Io) => void, pause?: number): void {
    const tries = this.tries(io)
    this.#tries.set(io, tries)
    const wait = pause ?? Math.min(FIRST_PAUSE * 2 ** tries, LONGEST_PAUSE)
    this.#pauses.set(
      io,
      this.#clock.after(wait, () => {
        this.#pauses.delete(io)
        send(io)
      }),
    )
  }

  /** A flush must fail, whatever it is answered. */
  doom(io: Io): void {
    this.#doomed.add(io)
  }

  /** Whether a flush was doomed; told once. */
  takeDoom(io: Io): boolean {
    return this.#doomed.delete(io)
  }

  /** Dooms every flush under way, among those in `sent` too. */
  failFlushes(sent: readonly (Io | null)[]): void {
    for (const io of [...sent, ...this.#held, ...this.#pauses.keys()]) {
      if (io?.op === IoOp.Flush) this.#doomed.add(io)
    }
    for (const [io, status] of this.#doubted) {
      if (io.op === IoOp.Flush && status === OK) this.#doubted.set(io, Errno.EIO)
    }
  }

  /** An Io ends that was never doomed. */
  forgetTries(io: Io): void {
    if (this.#tries.size > 0) this.#tries.delete(io)
  }

  /** An Io ends. */
  forget(io: Io): void {
    this.#tries.delete(io)
    this.#doomed.delete(io)
  }

  /** Gives out what waited for the word who answers. */
  takeDecided(): DecidedIos {
    const doubted = [...this.#doubted]
    this.#doubted.clear()
    return { doubted, held: this.#held.splice(0) }
  }

  /** Gives out everything. */
  takeAll(): LeftIos {
    for (const timer of this.#pauses.values()) timer.cancel()
    const unsent = [...this.#pauses.keys(), ...this.#held.splice(0)]
    this.#pauses.clear()
    const doubted = [...this.#doubted.keys()]
    this.#doubted.clear()
    return { unsent, doubted }
  }
}
