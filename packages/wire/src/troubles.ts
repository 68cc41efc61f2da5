import type { Clock, PathTrouble, Timer } from '@blockbraid/core'

/** What one kind of trouble has come to. */
interface Kind<Failed> {
  count: number
  last: Failed
  severity: PathTrouble['severity']
  timer: Timer | undefined
}

// Of a kind no more than one event within that time, milliseconds.
const INTERVAL = 5000

/**
 * Tells why the commands of a path fail: the first of a kind at once, the others counted. Words are made only of
 * those that are told.
 */
export class Troubles<Failed extends Pick<PathTrouble, 'kind' | 'severity'>> {
  readonly #clock: Clock
  readonly #words: (failed: Failed) => string
  readonly #emit: (trouble: PathTrouble) => void
  readonly #kinds = new Map<string, Kind<Failed>>()
  #stopped = false

  /** `words`: a failure in words, for people. */
  constructor(clock: Clock, words: (failed: Failed) => string, emit: (trouble: PathTrouble) => void) {
    this.#clock = clock
    this.#words = words
    this.#emit = emit
  }

  /** A command has failed. */
  add(failed: Failed): void {
    if (this.#stopped) return
    const known = this.#kinds.get(failed.kind)
    if (known === undefined) {
      const first = { count: 1, last: failed, severity: failed.severity, timer: undefined }
      this.#kinds.set(failed.kind, first)
      return this.#tell(first)
    }
    known.count++
    known.last = failed
    if (failed.severity === 'error') known.severity = 'error'
    if (known.timer === undefined) this.#tell(known)
  }

  /** Tells what was only counted, and ends. */
  stop(): void {
    this.#stopped = true
    for (const kind of this.#kinds.values()) {
      kind.timer?.cancel()
      kind.timer = undefined
      if (kind.count > 0) this.#emitNow(kind)
    }
    this.#kinds.clear()
  }

  #tell(kind: Kind<Failed>): void {
    kind.timer = this.#clock.after(INTERVAL, () => {
      kind.timer = undefined
      if (kind.count > 0) this.#tell(kind)
    })
    this.#emitNow(kind)
  }

  #emitNow(kind: Kind<Failed>): void {
    const { count, severity, last } = kind
    kind.count = 0
    kind.severity = 'warning'
    this.#emit({ kind: last.kind, text: this.#words(last), severity, count })
  }
}
