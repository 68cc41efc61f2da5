import type { Clock, Timer } from '../clock.ts'
import type { DeviceLimits } from '../device.ts'
import type { Composed } from '../emulate.ts'
import type { Io } from '../io.ts'
import { IoOp } from '../io.ts'
import type { IoSource } from '../io-source.ts'
import { Errno } from '../status.ts'
import { Bucket } from './bucket.ts'
import { IoRing } from './io-ring.ts'
import type { Rates, ResolvedRates } from './rates.ts'
import { resolveRates } from './rates.ts'

// What could have gone earlier, as a timer was late, is not lost to those behind it; what could have for longer than so
// many microseconds is, as the clock was set, or the process did not run.
const LATE = 100_000
// A longer wait goes in parts: no timer takes any length.
const LONGEST_WAIT = 60_000

/**
 * Holds I/O to rates, in front of a device and behind what splits I/O. One ring for all that wait, whatever they are and
 * whoever they are from, so that their order stays; they wait without a bound of time, as nothing is wrong.
 */
export class Throttle implements Composed {
  readonly #device: Composed
  readonly #clock: Clock
  /** Begins one that goes in pieces; each piece then comes here. */
  readonly #begin: (io: Io) => void
  readonly #ring = new IoRing()
  /** Those in the ring that go in pieces. */
  readonly #wholes = new Set<Io>()
  #rates: ResolvedRates | undefined
  #ios: Bucket | null = null
  #bytes: Bucket | null = null
  #lifted = false
  /** When the first in the ring may go, µs; a fraction, so that V8 keeps one representation. */
  #due = 0.5
  #timer: Timer | undefined
  #pumping = false
  readonly #onTimer = (): void => {
    this.#timer = undefined
    this.#pump()
  }

  constructor(device: Composed, clock: Clock, begin: (io: Io) => void) {
    this.#device = device
    this.#clock = clock
    this.#begin = begin
  }

  get limits(): DeviceLimits {
    return this.#device.limits
  }

  get rates(): Rates | undefined {
    return this.#rates
  }

  /** Whether it holds something back. */
  get isOn(): boolean {
    return this.#rates !== undefined && !this.#lifted
  }

  /** How many wait. */
  get waiting(): number {
    return this.#ring.length
  }

  /** Exchanges the rates; what waits goes on by the new ones, and at once where there are none. */
  set(rates: Rates | undefined): void {
    const resolved = resolveRates(rates)
    this.#pump()
    this.#rates = resolved
    const { iops, bytesPerSecond, burst = 0 } = resolved ?? {}
    this.#ios = this.#changed(this.#ios, iops, burst)
    this.#bytes = this.#changed(this.#bytes, bytesPerSecond, burst)
    this.#anew()
  }

  /** Lets everything through for a while, or no longer. */
  lift(lifted: boolean): void {
    this.#lifted = lifted
    this.#anew()
  }

  #changed(bucket: Bucket | null, rate: number | undefined, burst: number): Bucket | null {
    if (rate === undefined) return null
    const tokens = (rate * burst) / 1000
    const now = this.#clock.now()
    if (bucket === null) return new Bucket(rate, tokens, now)
    bucket.change(rate, tokens, now)
    return bucket
  }

  submit(io: Io): void {
    if (this.#ring.length > 0) return this.#ring.push(io)
    const now = this.#clock.now()
    const due = this.#dueOf(io, now)
    if (due > now) return this.#wait(io, due)
    this.#take(io, now)
    this.#device.submit(io)
  }

  /** Begins one that goes in pieces when those before it have gone. */
  submitWhole(io: Io): void {
    if (this.#ring.length === 0) return this.#begin(io)
    this.#wholes.add(io)
    this.#ring.push(io)
  }

  beginWhole(io: Io): void {
    this.#device.beginWhole?.(io)
  }

  endWhole(io: Io): void {
    this.#device.endWhole?.(io)
  }

  /** Ends those of a source that is gone. */
  abandon(source: IoSource): void {
    if (this.#ring.length === 0) return
    const gone = this.#ring.take((io) => io.source === source)
    for (const io of gone) this.#wholes.delete(io)
    this.#anew()
    for (const io of gone) io.done(io, Errno.ECANCELED)
  }

  /** When there are tokens for it, `from` at the earliest. */
  #dueOf(io: Io, from: number): number {
    if (this.#lifted || (this.#wholes.size > 0 && this.#wholes.has(io))) return from
    const due = this.#ios === null ? from : this.#ios.due(1, from)
    return this.#bytes === null || io.op > IoOp.Write ? due : this.#bytes.due(io.length, due)
  }

  #take(io: Io, now: number): void {
    if (this.#lifted) return
    this.#ios?.take(1, now)
    if (io.op <= IoOp.Write) this.#bytes?.take(io.length, now)
  }

  #wait(io: Io, due: number): void {
    this.#ring.push(io)
    this.#due = due
    if (!this.#pumping) this.#arm()
  }

  /** Who may go when is another matter than before. */
  #anew(): void {
    const { head } = this.#ring
    if (head !== null) this.#due = this.#dueOf(head, this.#clock.now())
    this.#pump()
  }

  /** Sends what there are tokens for, each as if at the time at which it may go. */
  #pump(): void {
    // From inside: a piece, or what a policy sets off.
    if (this.#pumping) return
    this.#pumping = true
    const now = this.#clock.now()
    if (this.#due < now - LATE) this.#due = now - LATE
    for (let io = this.#ring.head; io !== null && this.#due <= now; io = this.#ring.head) {
      const at = this.#due
      this.#ring.shift()
      const isWhole = this.#wholes.size > 0 && this.#wholes.delete(io)
      if (!isWhole) this.#take(io, at)
      const next = this.#ring.head
      if (next !== null) this.#due = this.#dueOf(next, at)
      if (isWhole) this.#begin(io)
      else this.#device.submit(io)
    }
    this.#pumping = false
    this.#arm()
  }

  #arm(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#ring.length === 0) return
    const wait = Math.ceil((this.#due - this.#clock.now()) / 1000)
    this.#timer = this.#clock.after(Math.min(LONGEST_WAIT, Math.max(1, wait)), this.#onTimer)
  }
}
