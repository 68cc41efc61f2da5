import type { Clock, Timer } from '@blockbraid/core'

/** When a quiet session is asked whether it lives, milliseconds. */
export interface KeepAliveOptions {
  /** Quiet time before a ping; 0: none is sent. */
  readonly interval: number
  /** How long any sign of life may take after a ping. */
  readonly timeout: number
}

/** Pings where nothing was heard for a while, and says when nothing was heard after a ping either. */
export class KeepAlive {
  readonly #clock: Clock
  readonly #options: KeepAliveOptions
  readonly #ping: () => void
  readonly #dead: () => void
  #heard: number
  #timer: Timer | undefined
  #stopped = false

  constructor(clock: Clock, options: KeepAliveOptions, ping: () => void, dead: () => void) {
    this.#clock = clock
    this.#options = options
    this.#ping = ping
    this.#dead = dead
    this.#heard = clock.now()
    if (options.interval > 0) this.#wait(options.interval)
  }

  /** Something came from the target. */
  heard(): void {
    this.#heard = this.#clock.now()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #wait(milliseconds: number): void {
    this.#timer = this.#clock.after(milliseconds, () => {
      const quiet = (this.#clock.now() - this.#heard) / 1000
      const { interval, timeout } = this.#options
      if (quiet < interval) return this.#wait(Math.ceil(interval - quiet))
      const asked = this.#heard
      this.#ping()
      if (this.#stopped) return
      this.#listen(asked, timeout)
    })
  }

  /** Waits for a sign of life after the last one, but looks after `interval`: it may be quiet since. */
  #listen(asked: number, left: number): void {
    const { interval } = this.#options
    const step = Math.min(interval, left)
    this.#timer = this.#clock.after(step, () => {
      if (this.#heard !== asked) {
        this.#wait(Math.max(1, Math.ceil(interval - (this.#clock.now() - this.#heard) / 1000)))
      } else if (left > step) {
        this.#listen(asked, left - step)
      } else {
        // Where this process was held up, the answer may stand in the socket: it is read before this fires.
        this.#timer = this.#clock.after(1, () => {
          if (this.#heard === asked) this.#dead()
          else this.#wait(interval)
        })
      }
    })
  }
}
