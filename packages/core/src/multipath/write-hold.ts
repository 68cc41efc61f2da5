import type { Clock, Timer } from '../clock.ts'
import type { PathSlot } from './path-slot.ts'

/**
 * Whether a device is read-only: it is where every path that serves it is. Where such paths are all that is left of a
 * device that could be written, one of the others may be back in a moment: for so long changes wait, as they would
 * without any path.
 */
export class WriteHold {
  readonly #clock: Clock
  readonly #limit: number
  readonly #onOver: () => void
  #readOnly = true
  #timer: Timer | undefined
  #over = false

  /** `onOver` is called when one has waited for `limit` milliseconds: `update` is then called again. */
  constructor(clock: Clock, limit: number, onOver: () => void) {
    this.#clock = clock
    this.#limit = limit
    this.#onOver = onOver
  }

  /** Whether a device of these paths, one of them up, is read-only now. */
  update(slots: readonly PathSlot[]): boolean {
    const told = servingOf(slots).every(({ entry }) => entry.path?.limits.readOnly === true)
    const waits = told && !this.#readOnly && !this.#over && slots.some(mayReturn)
    if (waits) {
      this.#timer ??= this.#clock.after(this.#limit, () => {
        this.#over = true
        this.#onOver()
      })
    } else {
      this.stop()
      this.#over = false
    }
    this.#readOnly = told && !waits
    return this.#readOnly
  }

  /** Whether a change that none of the usable paths takes may be taken later. */
  awaits(slots: readonly PathSlot[]): boolean {
    return !this.#readOnly && slots.some(mayReturn)
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}

/** The paths that are up in a state that takes I/O; all that are up where none is. */
function servingOf(slots: readonly PathSlot[]): readonly PathSlot[] {
  const up = slots.filter(({ state }) => state === 'up')
  const serving = up.filter(({ entry }) => entry.access === 'optimized' || entry.access === 'non-optimized')
  return serving.length > 0 ? serving : up
}

/** Whether it is not usable now, and took changes when it was. */
function mayReturn(slot: PathSlot): boolean {
  return slot.takesChanges && !slot.usable && !slot.isProtected && !slot.ended && slot.state !== 'disabled'
}
