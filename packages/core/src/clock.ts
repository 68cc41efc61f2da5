/** A pending timer. */
export interface Timer {
  /** Ends it; harmless when it has fired. */
  cancel(): void
}

/** Time, injected so that tests and simulations run in virtual time. */
export interface Clock {
  /** Monotonic time in microseconds; may stand still within one turn of the event loop. */
  now(): number
  /** Calls `callback` once, `milliseconds` from now. */
  after(milliseconds: number, callback: () => void): Timer
  /** Calls `callback` when the present synchronous code has ended, before any timer or I/O. */
  defer(callback: () => void): void
}

/** What a host gives to each plugin it makes: time and randomness (0 <= random() < 1). */
export interface Host {
  /** Time. */
  readonly clock: Clock
  /** A number from 0 up to, and not including, 1. */
  readonly random: () => number
}

// Reading the time costs 30 to 130 ns; once per turn is exact enough for latencies of an I/O.
let cached = -1
const forget = (): void => {
  cached = -1
}

/** The machine's time. `now` is read once per turn of the event loop. */
export const systemClock: Clock = {
  now() {
    if (cached < 0) {
      cached = performance.now() * 1000
      queueMicrotask(forget)
    }
    return cached
  },
  after(milliseconds, callback) {
    const handle = setTimeout(callback, milliseconds)
    return { cancel: () => clearTimeout(handle) }
  },
  defer(callback) {
    queueMicrotask(callback)
  },
}

/** The machine's time and its randomness. */
export const systemHost: Host = { clock: systemClock, random: Math.random }

/** Settles `milliseconds` later, or at once when `signal` fires; never rejects. */
export function delay(clock: Clock, milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const finish = (): void => {
      timer.cancel()
      signal?.removeEventListener('abort', finish)
      resolve()
    }
    const timer = clock.after(milliseconds, finish)
    signal?.addEventListener('abort', finish, { once: true })
  })
}
