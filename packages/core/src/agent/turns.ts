import PQueue from 'p-queue'
import type { Clock } from '../clock.ts'
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

/** Keeps an order for as long as nobody in it takes long: nodes get their numbers in the order of a config. */
export class Procession {
  #last: Promise<void> = Promise.resolve()
  #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A place behind all others. */
  enter(): Place {
    const before = this.#last
    let leave: () => void = () => {}
    const gone = new Promise<void>((resolve) => {
      leave = resolve
    })
    this.#last = before.then(() => gone)
    const turn = async (): Promise<void> => {
      const over = new AbortController()
      await Promise.race([before, delay(this.#clock, COURTESY, over.signal)])
      over.abort()
    }
    return { turn, leave }
  }
}

/** Lets control calls of one volume run one after the other, and those of many volumes a few at a time. */
export class Turns {
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
