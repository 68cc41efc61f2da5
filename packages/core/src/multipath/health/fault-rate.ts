import type { PathEntry } from '../path-entry.ts'
import { LOOKS } from './standing.ts'

// Fewer are no rate.
const FEW = 5

/** Share of a path's Ios that met an error of the path, without its end; errors of the medium are none. */
export class FaultRate {
  readonly #entry: PathEntry
  readonly #told: () => number
  /** At the last looks, the oldest first: Ios, retries, and what the path told of. */
  #marks: (readonly [number, number, number])[] = []

  /** `told`: how many failures the path has told of that an I/O outlived. */
  constructor(entry: PathEntry, told: () => number) {
    this.#entry = entry
    this.#told = told
    this.restart()
  }

  look(): void {
    if (this.#marks.length > LOOKS) this.#marks.shift()
    this.#marks.push([this.#entry.ios, this.#entry.retries, this.#told()])
  }

  restart(): void {
    this.#marks = []
    this.look()
  }

  /** Over the last looks, 0 to 1; 0 where there were hardly any. */
  get share(): number {
    const [ios, retries, told] = this.#marks[0] as readonly [number, number, number]
    // One failure may be both.
    const faults = Math.max(this.#entry.retries - retries, this.#told() - told)
    const done = this.#entry.ios - ios
    return faults < FEW || done === 0 ? 0 : Math.min(1, faults / done)
  }
}
