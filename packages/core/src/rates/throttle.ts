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

  /** How many wait. */
  get waiting(): number {
    return this.#ring.length
  }

  /** Exchanges the rates; what waits goes on by the new ones, and at once where there are none. */
  set(rates: Rates | undefined): void {
    const resolved = resolveRates(rates)
    this.#rates = resolved
    const { iops, bytesPerSecond, burst = 0 } = resolved ?? {}
    this.#ios = this.#changed(this.#ios, iops, burst)
    this.#bytes = this.#changed(this.#bytes, bytesPerSecond, burst)
    this.#pump()
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
    if (this.#ring.length === 0 && this.#takes(io)) this.#device.submit(io)
    else this.#wait(io)
  }

  /** Begins one that goes in pieces when those before it have gone. */
  submitWhole(io: Io): void {
    if (this.#ring.length === 0) return this.#begin(io)
    this.#wholes.add(io)
    this.#wait(io)
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
    this.#pump()
    for (const io of gone) io.done(io, Errno.ECANCELED)
  }

  /** Takes the tokens for `io`, where there are enough. */
  #takes(io: Io): boolean {
    const ios = this.#ios
    const bytes = this.#bytes
    const now = this.#clock.now()
    const moved = io.op <= IoOp.Write ? io.length : 0
    const enoughIos = ios === null || ios.has(1, now)
    const enoughBytes = bytes === null || moved === 0 || bytes.has(moved, now)
    if (enoughIos && enoughBytes) {
      ios?.take(1)
      if (moved > 0) bytes?.take(moved)
      return true
    }
    if (ios !== null) ios.short = !enoughIos
    if (bytes !== null) bytes.short = !enoughBytes
    return false
  }

  #wait(io: Io): void {
    this.#ring.push(io)
    if (!this.#pumping && this.#timer === undefined) this.#pump()
  }

  /** Sends what there are tokens for. */
  #pump(): void {
    // From inside: a piece, or what a policy sets off.
    if (this.#pumping) return
    this.#pumping = true
    for (let io = this.#ring.head; io !== null; io = this.#ring.head) {
      if (this.#wholes.size > 0 && this.#wholes.delete(io)) {
        this.#ring.shift()
        this.#begin(io)
      } else if (this.#takes(io)) {
        this.#ring.shift()
        this.#device.submit(io)
      } else break
    }
    this.#pumping = false
    this.#timer?.cancel()
    this.#timer = undefined
    const { head } = this.#ring
    if (head !== null) this.#timer = this.#clock.after(this.#untilNext(head), this.#onTimer)
    else this.#allGone()
  }

  #allGone(): void {
    if (this.#ios !== null) this.#ios.short = false
    if (this.#bytes !== null) this.#bytes.short = false
  }

  #untilNext(io: Io): number {
    const now = this.#clock.now()
    const ios = this.#ios?.due(1) ?? now
    const bytes = io.op <= IoOp.Write && this.#bytes !== null ? this.#bytes.due(io.length) : now
    return Math.min(LONGEST_WAIT, Math.max(1, Math.ceil((Math.max(ios, bytes) - now) / 1000)))
  }
}
