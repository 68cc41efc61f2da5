import type { PathTrouble } from '../../target.ts'

// What an event counts may have been so long ago, µs.
const RECENT = 10_000_000

/** Counts failures that a path tells of and an I/O outlives: it went on, there or elsewhere. */
export class Outlived {
  /** How many there were. */
  count = 0
  readonly #told = new Map<string, number>()

  add({ kind, severity, count }: PathTrouble, now: number): void {
    if (severity !== 'warning') return
    const before = this.#told.get(kind) ?? 0
    this.#told.set(kind, now)
    // All but the last were since the event before, which may be long ago.
    this.count += now - before <= RECENT ? count : 1
  }
}
