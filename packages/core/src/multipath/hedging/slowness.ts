import type { PathEntry } from '../path-entry.ts'
import { Tail } from './tail.ts'

// What takes longer because it is larger is not slow: bytes up to which reads are of one class.
const CLASSES = [8192, 65_536, 524_288, Number.POSITIVE_INFINITY] as const
// Below that a second try costs more than it can save, µs.
const LEAST = 1000

/** What a slow read is, by path and size. */
export class Slowness {
  readonly #tails = new WeakMap<PathEntry, readonly Tail[]>()

  /** A read has taken `elapsed` µs. */
  learn(entry: PathEntry, length: number, elapsed: number): void {
    this.#tail(entry, length).learn(elapsed)
  }

  /** After how many µs a read is slow; Infinity as long as that is not known. */
  after(entry: PathEntry, length: number): number {
    return Math.max(LEAST, this.#tail(entry, length).value)
  }

  #tail(entry: PathEntry, length: number): Tail {
    let tails = this.#tails.get(entry)
    if (tails === undefined) {
      tails = CLASSES.map(() => new Tail())
      this.#tails.set(entry, tails)
    }
    let index = 0
    while (length > (CLASSES[index] as number)) index++
    return tails[index] as Tail
  }
}
