/** Bytes are averaged over one to two of these, µs. */
const WINDOW = 500_000

/** Bytes per second of the time in which a path had Ios in flight: of about the last second of it. */
export class BusyRate {
  /** Time in which Ios were in flight, up to when the last of them was back, µs. */
  busy = 0.5
  /** `clock.now()` from which on `mark` is due, µs. */
  due = 0.5
  #bytes = 0.5
  #busy = 0.5
  #bytesBefore = 0.5
  #busyBefore = 0.5

  constructor() {
    // Declared as doubles so that V8 keeps one representation for them.
    this.busy = 0
    this.due = 0
    this.#bytes = 0
    this.#busy = 0
    this.#bytesBefore = 0
    this.#busyBefore = 0
  }

  /** Begins a window; `bytes` and `busy` are all that there ever were. */
  mark(bytes: number, busy: number, now: number): void {
    this.#bytesBefore = this.#bytes
    this.#busyBefore = this.#busy
    this.#bytes = bytes
    this.#busy = busy
    this.due = now + WINDOW
  }

  /** The average over this window and the one before. */
  perSecond(bytes: number, busy: number): number {
    const time = busy - this.#busyBefore
    return time > 0 ? ((bytes - this.#bytesBefore) * 1e6) / time : 0
  }
}
