import type { IoSource } from '../io-source.ts'

// Who submits without a source lives as long as the device.
const LOCAL: object = {}

/**
 * What the storage has lost of a volatile cache, and who was told. Every source that was there learns of it by one
 * flush that fails; for each one that has gone before it was told, one that comes learns of it, who may be the same. Who
 * the clients of a process before were nobody knows: then each that comes is told.
 */
export class Losses {
  /** How many there were. */
  count = 0
  #at = 0
  /** How many of those who come are still to be told. */
  #owes = 0
  #told = new WeakMap<object, number>()
  // Changes acknowledged and not durable by themselves; how many of them a good flush covers.
  written = 0.5
  #flushed = 0.5
  /** What `written` was when the last source went that had changed data. */
  #left = 0.5
  /** How many such sources have gone since a flush covered all. */
  #gone = 0

  constructor() {
    // Declared as doubles so that V8 keeps one representation when they pass 2 ** 31.
    this.written = 0
    this.#flushed = 0
    this.#left = 0
  }

  /** A flush that began when `written` had that value has succeeded. */
  flushed(written: number): void {
    if (written > this.#flushed) this.#flushed = written
  }

  /** Whether something was written that no flush has covered. */
  get open(): boolean {
    return this.written > this.#flushed
  }

  /** The cache is gone; `inFlight` says whether changes are in flight, of which it may have had some. Returns whether any was lost. */
  lost(now: number, inFlight: boolean): boolean {
    if (!inFlight && !this.open) return false
    if (this.#left > this.#flushed) this.#owes += this.#gone
    this.#flushed = this.written
    this.count++
    this.#at = now
    return true
  }

  /** Whether a flush of `source` that has just succeeded must fail, to tell it. */
  tells(source: IoSource | null): boolean {
    // One that has gone while its flush was under way hears of nothing: what is owed stays owed.
    if (this.count === 0 || source?.gone === true) return false
    if (source?.ownOnly) return source.since <= this.#at
    const who = source ?? LOCAL
    const wasThere = source === null || source.since <= this.#at
    if (this.#told.get(who) === this.count) return false
    // Whoever was there is told for itself: what is owed to one that has gone is for those who came since.
    if (!wasThere && this.#owes === 0) return false
    if (!wasThere) this.#owes--
    this.#told.set(who, this.count)
    return true
  }

  /** A `source` that had changed data will hear of nothing any more. */
  left(source: IoSource): void {
    // Whoever gave one Io up is still there.
    if (source.ownOnly) return
    if (this.count > 0 && source.since <= this.#at && this.#told.get(source) !== this.count) this.#owes++
    this.#leave(1)
  }

  /** A process before may have left what no flush has covered. */
  inherit(): void {
    this.written++
    this.#leave(Number.POSITIVE_INFINITY)
  }

  #leave(sources: number): void {
    if (this.#left <= this.#flushed) this.#gone = 0
    this.#gone += sources
    this.#left = this.written
  }
}
