import type { Clock } from '../clock.ts'
import type { Io, IoOp } from '../io.ts'
import type { IoView } from '../policy.ts'

/** Where a view finds the I/O that it shows; null: every field reads 0. */
export interface Shown {
  readonly current: Io | null
  readonly clock: Clock
}

class CurrentIo implements IoView {
  readonly #shown: Shown

  constructor(shown: Shown) {
    this.#shown = shown
    Object.freeze(this)
  }

  static {
    // Else the view would lead to what makes views.
    Object.defineProperty(CurrentIo.prototype, 'constructor', { value: Object })
    Object.freeze(CurrentIo.prototype)
  }

  get op(): IoOp {
    const { current } = this.#shown
    return current === null ? 0 : current.op
  }

  get flags(): number {
    const { current } = this.#shown
    return current === null ? 0 : current.flags
  }

  get offset(): number {
    const { current } = this.#shown
    return current === null ? 0 : current.offset
  }

  get length(): number {
    const { current } = this.#shown
    return current === null ? 0 : current.length
  }

  get now(): number {
    const { current, clock } = this.#shown
    return current === null ? 0 : clock.now()
  }
}

/** Makes the view that a policy gets of each I/O in its turn. */
export function viewOfCurrent(shown: Shown): IoView {
  return new CurrentIo(shown)
}
