import type { Clock, Timer } from '../clock.ts'
import { IoOp } from '../io.ts'
import type { Attempt } from './attempt.ts'
import type { ResolvedOptions } from './options.ts'
import { NO_ANSWER } from './troubles.ts'

/** Looks now and then for what is in flight for too long: its path has failed. */
export class InFlightWatch {
  /** Whether it looks again by itself. */
  running = false
  readonly #clock: Clock
  readonly #attempts: readonly Attempt[]
  /** By op: how long one may be in flight, milliseconds; 0: for ever. */
  readonly #limits: readonly number[]
  readonly #interval: number
  #timer: Timer | undefined

  constructor(clock: Clock, options: ResolvedOptions, attempts: readonly Attempt[]) {
    this.#clock = clock
    this.#attempts = attempts
    this.#limits = inFlightLimits(options)
    this.#interval = Math.min(...this.#limits.filter((limit) => limit > 0)) / 4
  }

  /** Begins to look, now that something is in flight. */
  start(): void {
    this.running = true
    // Nothing is ever too long.
    if (this.#interval === Number.POSITIVE_INFINITY) return
    this.#timer = this.#clock.after(this.#interval, () => this.#look())
  }

  #look(): void {
    this.running = false
    const now = this.#clock.now()
    let waiting = false
    for (const { parent, slot, started } of this.#attempts) {
      if (parent === null || slot === null) continue
      waiting = true
      const limit = this.#limits[parent.op] as number
      if (limit > 0 && started <= now - limit * 1000) slot.failHung(overdue(parent.op, limit), NO_ANSWER)
    }
    if (waiting && !this.running) this.start()
  }

  stop(): void {
    this.#timer?.cancel()
  }
}

function inFlightLimits({ ioTimeout, flushTimeout, trimTimeout, zeroTimeout }: ResolvedOptions): number[] {
  const limits: number[] = []
  limits[IoOp.Read] = limits[IoOp.Write] = ioTimeout
  limits[IoOp.Flush] = flushTimeout
  limits[IoOp.Trim] = trimTimeout
  limits[IoOp.WriteZeroes] = zeroTimeout
  return limits
}

function overdue(op: IoOp, limit: number): string {
  if (op === IoOp.Flush) return `a flush had no answer for ${limit} ms`
  if (op === IoOp.Trim) return `a trim had no answer for ${limit} ms`
  if (op === IoOp.WriteZeroes) return `a write of zeroes had no answer for ${limit} ms`
  return `an I/O had no answer for ${limit} ms`
}
