import type { Change } from './change.ts'

// A change stands in the cell where it begins, of the first level whose cells are as long as it is. So one that
// overlaps a range begins in a cell of that range, or in the one before.
const CELLS = [4096, 2 ** 16, 2 ** 20, 2 ** 24, 2 ** 28, Number.POSITIVE_INFINITY] as const
const LEVELS = CELLS.length
const WIDEST = LEVELS - 1
const BUCKETS = 1024
const SPREAD = 389

function levelOf(length: number): number {
  let level = 0
  while (length > (CELLS[level] as number)) level++
  return level
}

// `&` takes a number modulo 2 ** 32, which is exact for the low bits of every integer below 2 ** 53.
function bucketOf(level: number, cell: number): number {
  return ((cell & (BUCKETS - 1)) + level * SPREAD) & (BUCKETS - 1)
}

function cellOf(level: number, offset: number): number {
  return level === WIDEST ? 0 : Math.floor(offset / (CELLS[level] as number))
}

/** Changes that have not ended, to be found by the range that they touch. Nothing here allocates. */
export class ChangeIndex {
  /** How many there are. */
  size = 0
  readonly #heads: (Change | null)[] = new Array<Change | null>(BUCKETS).fill(null)
  readonly #tails: (Change | null)[] = new Array<Change | null>(BUCKETS).fill(null)
  readonly #counts = new Int32Array(LEVELS)

  /** Adds a change behind those that began before it. */
  add(change: Change): void {
    const level = levelOf(change.end - change.from)
    const bucket = bucketOf(level, cellOf(level, change.from))
    const last = this.#tails[bucket] as Change | null
    change.level = level
    change.blocks = false
    change.before = last
    change.after = null
    if (last === null) this.#heads[bucket] = change
    else last.after = change
    this.#tails[bucket] = change
    this.size++
    this.#counts[level]!++
  }

  remove(change: Change): void {
    const { level, before, after } = change
    const bucket = bucketOf(level, cellOf(level, change.from))
    if (before === null) this.#heads[bucket] = after
    else before.after = after
    if (after === null) this.#tails[bucket] = before
    else after.before = before
    change.level = -1
    change.before = null
    change.after = null
    this.size--
    this.#counts[level]!--
  }

  /** A change that overlaps `change`, began before it and is of another source, or holds all; null where there is none. */
  earlier(change: Change): Change | null {
    if (this.size === 0) return null
    for (let level = 0; level < LEVELS; level++) {
      if (this.#counts[level] === 0) continue
      const first = cellOf(level, change.from) - 1
      const last = cellOf(level, change.end - 1)
      // A range of more cells than there are buckets meets every bucket.
      const cells = Math.min(last - first + 1, BUCKETS)
      for (let index = 0; index < cells; index++) {
        const found = this.#earlierIn(bucketOf(level, first + index), change)
        if (found !== null) return found
      }
    }
    return null
  }

  #earlierIn(bucket: number, change: Change): Change | null {
    for (let other = this.#heads[bucket] as Change | null; other !== null; other = other.after) {
      if (other.from >= change.end || change.from >= other.end || other.order >= change.order) continue
      if (other.holdsAll || other.source !== change.source) return other
    }
    return null
  }
}
