import type { Extent } from '@blockbraid/core'
import { CHUNK, Chunk, isZero, ZEROES } from './chunk.ts'

// One table covers 64 MiB, so that a terabyte has 16384 of them and an unused one costs nothing.
const TABLE = 1024

/** Extents of one answer; a range with more is answered in part, which the contract allows. */
const MAX_EXTENTS = 4096
const MAX_TABLES = 65_536

interface Table {
  readonly chunks: (Chunk | undefined)[]
  used: number
}

/** Sparse memory: a directory of tables of chunks. Offsets and lengths are bytes, below 2 ** 53. */
export class ChunkStore {
  readonly #tables = new Map<number, Table>()
  #chunks = 0

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

  /** Views of the memory itself, in order; they show later writes to the same chunks. */
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
    let at = offset
    while (at < end) {
      const index = Math.floor(at / CHUNK)
      const start = at - index * CHUNK
      const run = Math.min(CHUNK - start, end - at)
      const chunk = this.#find(index)
      if (keep) (chunk ?? this.#allocate(index)).bytes.fill(0, start, start + run)
      else if (chunk !== undefined) {
        if (run < CHUNK) chunk.bytes.fill(0, start, start + run)
        if (run === CHUNK || isZero(chunk.bytes)) this.#free(index)
      } else if (!this.#tables.has(Math.floor(index / TABLE))) {
        at = (Math.floor(index / TABLE) + 1) * TABLE * CHUNK
        continue
      }
      at += run
    }
  }

  /** Allocation of a range, or of its beginning where that has very many extents. */
  extents(offset: number, length: number): Extent[] {
    const extents: Extent[] = []
    const end = offset + length
    let at = offset
    for (let tables = 0; at < end && tables < MAX_TABLES; tables++) {
      const number = Math.floor(at / (TABLE * CHUNK))
      const stop = Math.min(end, (number + 1) * TABLE * CHUNK)
      const table = this.#tables.get(number)
      while (at < stop) {
        const index = Math.floor(at / CHUNK)
        const hole = table === undefined || table.chunks[index - number * TABLE] === undefined
        const to = table === undefined ? stop : Math.min(stop, (index + 1) * CHUNK)
        const last = extents.at(-1)
        if (last?.hole === hole) last.length += to - at
        else if (extents.length === MAX_EXTENTS) return extents
        else extents.push({ length: to - at, hole, zero: hole })
        at = to
      }
    }
    return extents
  }

  /** Allocated chunks that touch a range, in order, each with its number. */
  *chunks(offset = 0, length = Number.POSITIVE_INFINITY): Generator<[number, Uint8Array]> {
    const first = Math.floor(offset / CHUNK)
    const numbers = [...this.#tables.keys()].sort((a, b) => a - b)
    for (const number of numbers) {
      const table = this.#tables.get(number)
      for (let n = 0; table !== undefined && n < TABLE; n++) {
        const index = number * TABLE + n
        if (index * CHUNK >= offset + length) return
        const chunk = table.chunks[n]
        if (chunk !== undefined && index >= first) yield [index, chunk.bytes]
      }
    }
  }

  // As much as one chunk has.
  #view(offset: number, length: number): Uint8Array {
    const index = Math.floor(offset / CHUNK)
    const start = offset - index * CHUNK
    return (this.#find(index) ?? ZEROES).view(start, Math.min(CHUNK - start, length))
  }

  #fill(offset: number, view: Uint8Array): void {
    const length = view.length
    let from = offset
    let at = 0
    while (at < length) {
      const index = Math.floor(from / CHUNK)
      const start = from - index * CHUNK
      const run = Math.min(CHUNK - start, length - at)
      const chunk = this.#find(index)
      if (chunk === undefined) view.fill(0, at, at + run)
      else view.set(run === CHUNK ? chunk.bytes : chunk.view(start, run), at)
      from += run
      at += run
    }
  }

  #put(offset: number, view: Uint8Array): void {
    const length = view.length
    let to = offset
    let at = 0
    while (at < length) {
      const index = Math.floor(to / CHUNK)
      const start = to - index * CHUNK
      const run = Math.min(CHUNK - start, length - at)
      const chunk = this.#find(index) ?? this.#allocate(index)
      chunk.bytes.set(run === length ? view : view.subarray(at, at + run), start)
      to += run
      at += run
    }
  }

  #find(index: number): Chunk | undefined {
    const number = Math.floor(index / TABLE)
    const table = this.#tables.get(number)
    return table === undefined ? undefined : table.chunks[index - number * TABLE]
  }

  #allocate(index: number): Chunk {
    const number = Math.floor(index / TABLE)
    let table = this.#tables.get(number)
    if (table === undefined) {
      table = { chunks: new Array<Chunk | undefined>(TABLE).fill(undefined), used: 0 }
      this.#tables.set(number, table)
    }
    const chunk = new Chunk()
    table.chunks[index - number * TABLE] = chunk
    table.used++
    this.#chunks++
    return chunk
  }

  #free(index: number): void {
    const number = Math.floor(index / TABLE)
    const table = this.#tables.get(number)!
    table.chunks[index - number * TABLE] = undefined
    table.used--
    this.#chunks--
    if (table.used === 0) this.#tables.delete(number)
  }
}
