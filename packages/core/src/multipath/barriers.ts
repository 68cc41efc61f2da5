import type { Io } from '../io.ts'
import type { Attempt } from './attempt.ts'

interface Barrier {
  readonly waiting: Set<Io>
  readonly resolve: () => void
}

/** Who waits for what is in flight at one moment. */
export class Barriers {
  /** Whether somebody waits. */
  any = false
  #barriers: readonly Barrier[] = []

  /** Settles when every I/O that one of `attempts` serves now is done. */
  add(attempts: readonly Attempt[]): Promise<void> {
    const waiting = new Set<Io>()
    for (const { parent } of attempts) if (parent !== null) waiting.add(parent)
    if (waiting.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#barriers = [...this.#barriers, { waiting, resolve }]
      this.any = true
    })
  }

  /** An I/O is done. */
  pass(io: Io): void {
    for (const { waiting, resolve } of this.#barriers) {
      if (waiting.delete(io) && waiting.size === 0) resolve()
    }
    this.#barriers = this.#barriers.filter(({ waiting }) => waiting.size > 0)
    this.any = this.#barriers.length > 0
  }
}
