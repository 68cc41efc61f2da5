import type { PathEntry } from '../path-entry.ts'
import { LOOKS } from './standing.ts'

// Fewer are no rate.
const FEW = 5

/** Ios, retries, and what the path has told of. */
type Mark = readonly [number, number, number]

/** Share of a path's Ios that met an error of the path, without its end; errors of the medium are none. */
export class FaultRate {
  readonly #entry: PathEntry
  readonly #told: () => number
  /** At the last looks, the oldest first. */
  #marks: Mark[] = []

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

  /** Whether it met one since the look before the last. */
  get errs(): boolean {
    return this.#since(this.#marks.at(-2) ?? (this.#marks[0] as Mark)) > 0
  }

  #since([, retries, told]: Mark): number {
    // One failure may be both.
    return Math.max(this.#entry.retries - retries, this.#told() - told)
  }

  restart(): void {
    this.#marks = []
    this.look()
  }

  /** Over the last looks, 0 to 1; undefined where it has done hardly any I/O. */
  get share(): number | undefined {
    const [ios] = this.#marks[0] as Mark
    const done = this.#entry.ios - ios
    const faults = this.#since(this.#marks[0] as Mark)
    if (done < FEW) return undefined
    return faults < FEW ? 0 : Math.min(1, faults / done)
  }
}
