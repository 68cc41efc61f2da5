import type { Timer } from '@blockbraid/core'

/** What a keep-alive timer needs. */
interface KeepAliveHost {
  after(milliseconds: number, callback: () => void): Timer
  now(): number
}

/** What a timer of the system can wait at once, ms. */
const LONGEST_WAIT = 2 ** 30

/** Less is no time that is left, ms: a timer for it would never come to an end where time is not whole. */
const ROUNDING = 0.001

/** Ends a controller whose host has gone silent (NVMe Base 2.1 §3.9). */
export class KeepAlive {
  /** Milliseconds; 0: none. */
  timeout = 0
  /** A command has come since the timer was started (TBKAS). */
  traffic = false
  readonly #host: KeepAliveHost
  /** Whether any command restarts it. */
  readonly #byTraffic: boolean
  readonly #expired: () => void
  #timer: Timer | undefined
  #startedAt = 0

  constructor(host: KeepAliveHost, byTraffic: boolean, expired: () => void) {
    this.#host = host
    this.#byTraffic = byTraffic
    this.#expired = expired
  }

  get active(): boolean {
    return this.#timer !== undefined
  }

  /** It counts from now on. */
  start(): void {
    this.stop()
    if (this.timeout === 0) return
    this.heard()
    this.#arm(this.timeout)
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** A Keep Alive command: it starts anew. */
  heard(): void {
    this.#startedAt = this.#host.now()
    this.traffic = false
  }

  #arm(milliseconds: number): void {
    this.#timer = this.#host.after(Math.min(milliseconds, LONGEST_WAIT), this.#look)
  }

  readonly #look = (): void => {
    const left = this.timeout - (this.#host.now() - this.#startedAt) / 1000
    if (left > ROUNDING) return this.#arm(left)
    if (this.#byTraffic && this.traffic) {
      this.heard()
      return this.#arm(this.timeout)
    }
    this.#timer = undefined
    this.#expired()
  }
}
