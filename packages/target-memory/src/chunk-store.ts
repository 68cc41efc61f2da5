import type { Extent } from '@blockbraid/core'
import { CHUNK, isZero, ZEROES } from './chunk.ts'

// Large enough that a busy volume has few of them, whose descriptions stay in the processor's cache. The kernel
// gives memory to a region page by page as it is written, so that a region costs what was written to it. A small
// volume has smaller ones: tests make very many of those.
const CHUNKS = 64

/** Extents of one answer; a range with more is answered in part, which the contract allows. */
const MAX_EXTENTS = 4096

interface Region {
  readonly bytes: Uint8Array
  /** By chunk, 1 where it is allocated; where it is not, its bytes are zero. */
  readonly allocated: Uint8Array
  used: number
}

/** Sparse memory: regions of chunks. Offsets and lengths are bytes, below 2 ** 53. */
export class ChunkStore {
  readonly #regions = new Map<number, Region>()
  readonly #perRegion: number
  /** Bytes of one. */
  readonly #region: number
  #chunks = 0

  /** `size`: bytes that are expected, for the grain of allocation. */
  constructor(size = Number.POSITIVE_INFINITY) {
    this.#perRegion = Math.min(CHUNKS, Math.ceil(size / CHUNK))
    this.#region = this.#perRegion * CHUNK
  }

  /** Bytes held by chunks. */
  get allocated(): number {
    return this.#chunks * CHUNK
  }

  /** Fills `views` in order with what stands at `offset`. */
  read(offset: number, views: readonly Uint8Array[]): void {
    let from = offset
    for (let n = 0; n < views.length; n++) {
      const view = views[n]!
      this.#fill(from, view)
      from += view.length
    }
  }

  /** Views of the memory itself, in order; they show later writes to the same place. */
  views(offset: number, length: number): Uint8Array[] {
    const first = this.#view(offset, length)
    const views = [first]
    for (let at = first.length; at < length; ) {
      const next = this.#view(offset + at, length - at)
      views.push(next)
      at += next.length
    }
    return views
  }

  /** Copies `views` in order to `offset`. */
  write(offset: number, views: readonly Uint8Array[]): void {
    let to = offset
    for (let n = 0; n < views.length; n++) {
      const view = views[n]!
      this.#put(to, view)
      to += view.length
    }
  }

  /** Zeroes a range and frees the chunks that become zero, unless `keep`: then holes in it get chunks too. */
  zero(offset: number, length: number, keep: boolean): void {
    const end = offset + length
    if (keep) {
      for (let at = offset; at < end; at = (Math.floor(at / this.#region) + 1) * this.#region) {
        const number = Math.floor(at / this.#region)
        const start = at - number * this.#region
        this.#allocate(this.#regions.get(number) ?? this.#add(number), start, Math.min(this.#region - start, end - at))
      }
    }
    for (const number of this.#present(offset, end)) {
      const start = Math.max(0, offset - number * this.#region)
      this.#clear(number, start, Math.min(this.#region, end - number * this.#region), keep)
    }
  }

  /** Allocation of a range, or of its beginning where that has very many extents. */
  extents(offset: number, length: number): Extent[] {
    const end = offset + length
    const extents: Extent[] = []
    let at = offset
    const add = (to: number, hole: boolean): boolean => {
      const last = extents.at(-1)
      if (last?.hole === hole) last.length += to - at
      else if (extents.length === MAX_EXTENTS) return false
      else extents.push({ length: to - at, hole, zero: hole })
      at = to
      return true
    }
    for (const number of this.#present(offset, end)) {
      if (at < number * this.#region && !add(number * this.#region, true)) return extents
      const { allocated } = this.#regions.get(number)!
      const stop = Math.min(end, (number + 1) * this.#region)
      while (at < stop) {
        const index = Math.floor(at / CHUNK)
        if (!add(Math.min(stop, (index + 1) * CHUNK), allocated[index - number * this.#perRegion] === 0)) return extents
      }
    }
    if (at < end) add(end, true)
    return extents
  }

  /** Allocated chunks that touch a range, in order, each with its number. */
  *chunks(offset = 0, length = Number.POSITIVE_INFINITY): Generator<[number, Uint8Array]> {
    const end = offset + length
    for (const number of this.#present(offset, end)) {
      for (let n = 0; n < this.#perRegion; n++) {
        const index = number * this.#perRegion + n
        const region = this.#regions.get(number)
        if (region?.allocated[n] !== 1 || (index + 1) * CHUNK <= offset || index * CHUNK >= end) continue
        yield [index, region.bytes.subarray(n * CHUNK, (n + 1) * CHUNK)]
      }
    }
  }

  // Numbers of the regions there are from `offset` to `end`, in order.
  #present(offset: number, end: number): number[] {
    const first = Math.floor(offset / this.#region)
    const numbers: number[] = []
    if (end - offset <= this.#regions.size * this.#region) {
      for (let number = first; number * this.#region < end; number++)
        if (this.#regions.has(number)) numbers.push(number)
      return numbers
    }
    for (const number of this.#regions.keys()) if (number >= first && number * this.#region < end) numbers.push(number)
    return numbers.sort((a, b) => a - b)
  }

  // As much as one region has.
  #view(offset: number, length: number): Uint8Array {
    const number = Math.floor(offset / this.#region)
    const start = offset - number * this.#region
    const region = this.#regions.get(number)
    if (region === undefined) return ZEROES.subarray(0, Math.min(CHUNK, this.#region - start, length))
    return region.bytes.subarray(start, Math.min(this.#region, start + length))
  }

  #fill(offset: number, view: Uint8Array): void {
    const length = view.length
    let from = offset
    let at = 0
    while (at < length) {
      const number = Math.floor(from / this.#region)
      const start = from - number * this.#region
      const run = Math.min(this.#region - start, length - at)
      const region = this.#regions.get(number)
      if (region === undefined) view.fill(0, at, at + run)
      else view.set(region.bytes.subarray(start, start + run), at)
      from += run
      at += run
    }
  }

  #put(offset: number, view: Uint8Array): void {
    const length = view.length
    let to = offset
    let at = 0
    while (at < length) {
      const number = Math.floor(to / this.#region)
      const start = to - number * this.#region
      const run = Math.min(this.#region - start, length - at)
      const region = this.#regions.get(number) ?? this.#add(number)
      this.#allocate(region, start, run)
      region.bytes.set(run === length ? view : view.subarray(at, at + run), start)
      to += run
      at += run
    }
  }

  #add(number: number): Region {
    const region = { bytes: new Uint8Array(this.#region), allocated: new Uint8Array(this.#perRegion), used: 0 }
    this.#regions.set(number, region)
    return region
  }

  #allocate(region: Region, start: number, length: number): void {
    const last = Math.floor((start + length - 1) / CHUNK)
    for (let n = Math.floor(start / CHUNK); n <= last; n++) {
      if (region.allocated[n] === 1) continue
      region.allocated[n] = 1
      region.used++
      this.#chunks++
    }
  }

  #clear(number: number, start: number, end: number, keep: boolean): void {
    const region = this.#regions.get(number)!
    for (let n = Math.floor(start / CHUNK); n * CHUNK < end; n++) {
      if (region.allocated[n] === 0) continue
      const chunk = region.bytes.subarray(n * CHUNK, (n + 1) * CHUNK)
      // Reading zeroes costs no memory, writing them does.
      if (!isZero(chunk)) chunk.fill(0, Math.max(0, start - n * CHUNK), end - n * CHUNK)
      if (keep || !isZero(chunk)) continue
      region.allocated[n] = 0
      region.used--
      this.#chunks--
    }
    if (region.used === 0) this.#regions.delete(number)
  }
}
