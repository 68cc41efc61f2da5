import type { Clock } from '../clock.ts'
import type { BlockDevice } from '../device.ts'
import type { PathView } from '../policy.ts'
import type { Access, Path } from '../target.ts'
import { BusyRate } from './busy-rate.ts'
import { FadingCount, halved } from './fading.ts'
import { LATENCY_BUCKETS, latencyBucket } from './latency.ts'
import type { PathSource } from './path-source.ts'

/** µs. */
const LATENCY_HALVES = 250_000
const ERRORS_HALVE = 10_000_000
/** Share of the newest latency in the average. */
const NEWEST = 0.125
/** An average is as good as new after less, µs. */
const NO_AGE = 1000
// Throughput is looked after at one I/O in so many, less one, and when it is read.
const EVERY = 15

/** The entry behind a view that core made; null for everything else, whatever it is. */
export let entryOf: (value: unknown) => PathEntry | null

/** What policies hold of a path: it reads the path's numbers, and leads nowhere else. */
class EntryView implements PathView {
  readonly #entry: PathEntry

  constructor(entry: PathEntry) {
    this.#entry = entry
    Object.freeze(this)
  }

  static {
    entryOf = (value) => (typeof value === 'object' && value !== null && #entry in value ? value.#entry : null)
    // Else every view would lead to what makes views.
    Object.defineProperty(EntryView.prototype, 'constructor', { value: Object })
    Object.freeze(EntryView.prototype)
  }

  get id(): string {
    return this.#entry.id
  }

  get target(): string {
    return this.#entry.target
  }

  get address(): string {
    return this.#entry.address
  }

  get access(): Access {
    return this.#entry.access
  }

  get weight(): number {
    return this.#entry.weight
  }

  get queueDepth(): number {
    return this.#entry.queueDepth
  }

  get inflight(): number {
    return this.#entry.inflight
  }

  get inflightBytes(): number {
    return this.#entry.inflightBytes
  }

  get latency(): number {
    return this.#entry.agedLatency()
  }

  get throughput(): number {
    return this.#entry.throughput()
  }

  get errors(): number {
    return this.#entry.recentErrors()
  }

  get upSince(): number {
    return this.#entry.upSince
  }
}

/** A path's numbers: those that policies see through its view, and the counters that operators see. */
export class PathEntry {
  readonly id: string
  readonly target: string
  readonly address: string
  readonly weight: number
  access: Access = 'optimized'
  queueDepth = 1
  inflight = 0
  inflightBytes = 0.5
  /** Moving average, which does not age by itself, µs. */
  latency = 0.5
  /** `clock.now()` when an Io came back last, and when the first of those in flight was sent, µs. */
  lastDone = 0.5
  busySince = 0.5
  upSince = 0.5
  /** Place in the list that the selector knows; -1 when it is not in it. */
  index = -1
  /** The connection; null when there is none. */
  path: Path | null = null
  /** What takes its I/O: the path itself, or a front where the path takes less than the device lets through. */
  device: BlockDevice | null = null
  ios = 0
  bytes = 0.5
  errors = 0
  retries = 0
  failures = 0
  /** What policies get of it. */
  readonly view: PathView = new EntryView(this)
  readonly histogram: Float64Array = new Float64Array(LATENCY_BUCKETS)
  readonly #clock: Clock
  // How much the next latency counts: all of it where it is the first.
  #newest = 0.5
  readonly #rate: BusyRate = new BusyRate()
  readonly #failures: FadingCount = new FadingCount(ERRORS_HALVE)

  constructor({ target, info }: PathSource, weight: number, clock: Clock) {
    this.id = info.id
    this.target = target.name
    this.address = info.address
    this.weight = weight
    this.#clock = clock
    // Declared as doubles so that V8 keeps one representation for them.
    this.inflightBytes = 0
    this.latency = 0
    this.lastDone = 0
    this.busySince = 0
    this.upSince = 0
    this.bytes = 0
    this.#newest = 1
  }

  /** An Io goes out. */
  begin(bytes: number, now: number): void {
    if (this.inflight++ === 0) this.#wake(now)
    this.inflightBytes += bytes
  }

  #wake(now: number): void {
    this.busySince = now
    const idle = now - this.lastDone
    if (idle > NO_AGE && this.#newest !== 1) this.#newest = share(idle)
  }

  /** One is back, or is waited for no more. */
  end(bytes: number, now: number): void {
    this.inflightBytes -= bytes
    if (--this.inflight === 0) this.#rest(now)
  }

  #rest(now: number): void {
    this.#rate.busy += now - this.busySince
  }

  /** It came back with success, `elapsed` µs after it was sent. */
  succeed(bytes: number, elapsed: number, now: number): void {
    this.latency += (elapsed - this.latency) * this.#newest
    this.#newest = NEWEST
    this.lastDone = now
    const bucket = latencyBucket(elapsed | 0)
    this.histogram[bucket] = (this.histogram[bucket] as number) + 1
    this.bytes += bytes
    if ((this.ios & EVERY) === 0) this.#mark(now)
  }

  /** It came back with an error. */
  fail(now: number): void {
    this.lastDone = now
    this.errors++
    this.#failures.add(now)
  }

  /** See {@link PathView.latency}. */
  agedLatency(): number {
    const now = this.#clock.now()
    const { lastDone, busySince } = this
    if (this.inflight === 0) return this.latency * halved((now - lastDone) / LATENCY_HALVES)
    if (busySince <= lastDone) return Math.max(this.latency, now - lastDone)
    return Math.max(this.latency * halved((busySince - lastDone) / LATENCY_HALVES), now - busySince)
  }

  /** See {@link PathView.throughput}. */
  throughput(): number {
    const now = this.#clock.now()
    const throughput = this.#rate.perSecond(this.bytes, this.#busyTime(now))
    this.#mark(now)
    return throughput
  }

  #mark(now: number): void {
    if (now >= this.#rate.due) this.#rate.mark(this.bytes, this.#busyTime(now), now)
  }

  /** See {@link PathView.errors}. */
  recentErrors(): number {
    return this.#failures.at(this.#clock.now())
  }

  #busyTime(now: number): number {
    return this.#rate.busy + (this.inflight === 0 ? 0 : now - this.busySince)
  }
}

/** How much the newest latency of a path counts that was idle for so long: the more, the longer ago the others were seen. */
function share(idle: number): number {
  return 1 - (1 - NEWEST) * halved(idle / LATENCY_HALVES)
}
