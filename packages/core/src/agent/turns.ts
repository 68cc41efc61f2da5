import PQueue from 'p-queue'
import type { Clock, Timer } from '../clock.ts'
import { delay } from '../clock.ts'
import { orAborted } from '../closing.ts'

// How many devices are opened at once, and how long one keeps its place, milliseconds: what is slow to open, such as one
// of whose ports none answers, must not keep the others waiting.
const OPENED_AT_ONCE = 32
const PLACE_TIME = 250

// How long one that could go on waits for those before it, milliseconds.
const COURTESY = 250

/** A place in a {@link Procession}. */
export interface Place {
  /** Settles when those before have gone, or have taken too long. */
  turn(): Promise<void>
  /** Goes; twice is fine. */
  leave(): void
}

interface Member {
  /** Lets it go on; undefined where it does not wait. */
  go: (() => void) | undefined
  timer: Timer | undefined
  /** It took too long: nobody waits for it any more. */
  late: boolean
}

/** Keeps an order for as long as nobody in it takes long: nodes get their numbers in the order of a config. */
export class Procession {
  #members: Member[] = []
  #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A place behind all others. */
  enter(): Place {
    const member: Member = { go: undefined, timer: undefined, late: false }
    this.#members.push(member)
    return {
      turn: () =>
        new Promise((resolve) => {
          if (member.late) return resolve()
          member.go = resolve
          member.timer = this.#clock.after(COURTESY, () => this.#pass(member))
          this.#advance()
        }),
      leave: () => {
        member.timer?.cancel()
        this.#members = this.#members.filter((other) => other !== member)
        this.#advance()
      },
    }
  }

  #pass(member: Member): void {
    for (const other of this.#members) {
      if (other === member) break
      if (other.go === undefined) other.late = true
    }
    this.#advance()
  }

  #advance(): void {
    const first = this.#members.find(({ late }) => !late)
    if (first?.go === undefined) return
    first.timer?.cancel()
    first.go()
    first.go = undefined
  }
}

/** Lets control calls of one volume run one after the other, and those of many volumes a few at a time. */
export class VolumeTurns {
  #last = new Map<string, Promise<void>>()
  #places = new PQueue({ concurrency: OPENED_AT_ONCE })
  #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Runs `work` after what was asked for before under that key. Rejects as soon as the signal fires; what has begun
   * keeps its turn until it has ended.
   */
  run<Result>(key: string, work: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    const before = this.#last.get(key) ?? Promise.resolve()
    const result = before.then(() => {
      signal.throwIfAborted()
      return this.#inPlace(work)
    })
    const ended = result.then(
      () => {},
      () => {},
    )
    this.#last.set(key, ended)
    void ended.then(() => {
      if (this.#last.get(key) === ended) this.#last.delete(key)
    })
    return orAborted(result, signal)
  }

  /** Settles when everything that was asked for has ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#last.values())
  }

  #inPlace<Result>(work: () => Promise<Result>): Promise<Result> {
    return new Promise((resolve) => {
      void this.#places.add(async () => {
        const running = work()
        resolve(running)
        const over = new AbortController()
        await Promise.race([running.catch(() => {}), delay(this.#clock, PLACE_TIME, over.signal)])
        over.abort()
      })
    })
  }
}
