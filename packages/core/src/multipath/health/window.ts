import { LATENCY_BUCKETS, latencyBucketLimit } from '../latency.ts'
import type { PathEntry } from '../path-entry.ts'

/** How a path has done its I/O for a while. */
export interface Numbers {
  /** Half of the Ios took less, µs. */
  readonly typical: number
  /** Nine of ten took less, µs. */
  readonly tail: number
  /** Bytes of an I/O on average. */
  readonly bytes: number
}

/** What a path has done since this began, told from its counters. */
export class Window {
  /** How often it was looked at. */
  looks = 0
  readonly #entry: PathEntry
  readonly #histogram = new Float64Array(LATENCY_BUCKETS)
  #ios = 0
  #bytes = 0

  constructor(entry: PathEntry) {
    this.#entry = entry
    this.begin()
  }

  begin(): void {
    this.looks = 0
    this.#ios = this.#entry.ios
    this.#bytes = this.#entry.bytes
    this.#histogram.set(this.#entry.histogram)
  }

  /** Ios done, failed ones included. */
  get ios(): number {
    return this.#entry.ios - this.#ios
  }

  /** Undefined where none succeeded. */
  get numbers(): Numbers | undefined {
    const { histogram, bytes } = this.#entry
    let count = 0
    for (let index = 0; index < LATENCY_BUCKETS; index++) count += this.#since(histogram, index)
    if (count === 0) return undefined
    let seen = 0
    let typical = 0
    for (let index = 0; index < LATENCY_BUCKETS; index++) {
      seen += this.#since(histogram, index)
      if (typical === 0 && seen >= count * 0.5) typical = latencyBucketLimit(index)
      if (seen >= count * 0.9) return { typical, tail: latencyBucketLimit(index), bytes: (bytes - this.#bytes) / count }
    }
    return undefined
  }

  #since(histogram: Float64Array, index: number): number {
    return (histogram[index] as number) - (this.#histogram[index] as number)
  }
}
