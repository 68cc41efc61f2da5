const SLAB_SIZE = 256 * 1024
// Of the slab's beginning, by length: what most turns send.
const HEADS = 64

/** Nothing at all. */
export const NOTHING: Buffer = Buffer.alloc(0)

/** Memory for what an outbox sends. */
export interface OutboxSlab {
  /** All of it. */
  readonly bytes: Buffer
  /** Where the last byte of it ends, as its outbox counts, once nothing more is written into it. */
  upTo: number
  /** Views of its beginning that were sent before. */
  readonly heads: Buffer[]
}

/** A view of the first `length` bytes of a slab, most often one that was made before. */
export function headOf(slab: OutboxSlab, length: number): Buffer {
  const place = (length >>> 4) % HEADS
  const known = slab.heads[place]!
  if (known.length === length) return known
  const head = slab.bytes.subarray(0, length)
  slab.heads[place] = head
  return head
}

/** Slabs that are free to use; more than `keep` are left to the garbage collector. Outboxes share it. */
export class OutboxPool {
  /** Slabs that are taken and not given back. */
  outstanding = 0
  readonly #free: OutboxSlab[] = []
  readonly #keep: number

  constructor(keep: number) {
    this.#keep = keep
  }

  /** A slab to fill. */
  take(): OutboxSlab {
    this.outstanding++
    return this.#free.pop() ?? makeSlab()
  }

  /** Takes one back, all of whose bytes have left. */
  give(slab: OutboxSlab): void {
    this.outstanding--
    if (this.#free.length < this.#keep) this.#free.push(slab)
  }
}

function makeSlab(): OutboxSlab {
  // Started as a double: it passes 2 ** 31.
  const slab = { bytes: Buffer.allocUnsafeSlow(SLAB_SIZE), upTo: 0.5, heads: new Array<Buffer>(HEADS).fill(NOTHING) }
  slab.upTo = 0
  return slab
}
