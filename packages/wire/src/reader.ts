import type { InputPool, InputSlab } from './input.ts'
import { letGo } from './input.ts'

/** Bytes of the buffer of a wire that is at rest, or never says more at once. */
export const SMALL = 4096
/** Bytes; what is left of a slab is read into while it has this much. */
const ROOM = 64 * 1024
/** Reads in a row that would have filled less than half of a small buffer, after which it is used again. */
const RESTS = 8

/**
 * Where one socket is read into: a small buffer until a read fills it, then slab after slab, and the same memory again
 * while nobody needs what is in it.
 */
export class Reader {
  readonly #pool: InputPool
  #slab: InputSlab = smallSlab()
  #window = 0
  #kept = false
  #rests = 0

  constructor(pool: InputPool) {
    this.#pool = pool
  }

  /** What the first read fills. */
  get first(): Buffer {
    return this.#slab.bytes
  }

  /** Memory of the bytes at hand. */
  get bytes(): Buffer {
    return this.#slab.bytes
  }

  /** Where in it they begin. */
  get start(): number {
    return this.#window
  }

  /** The bytes at hand stay for as long as there are views of them. */
  retain(): void {
    this.#kept = true
    this.#pool.leave(this.#slab)
  }

  /** The bytes at hand stay until the slab is let go of. */
  hold(): InputSlab {
    this.#kept = true
    this.#slab.users++
    return this.#slab
  }

  /** `count` bytes were read and seen: what the next read fills, or undefined where it is what it was. */
  next(count: number): Buffer | undefined {
    const slab = this.#slab
    const small = slab.bytes.length === SMALL
    if (!this.#kept) {
      if (small) return count === SMALL ? this.#large() : undefined
      if (count >= SMALL / 2) this.#rests = 0
      else if (++this.#rests === RESTS) return this.#small()
      return this.#rewind()
    }
    this.#kept = false
    this.#rests = 0
    if (small) return this.#large()
    if (this.#isFree()) return this.#rewind()
    this.#window += count
    return slab.bytes.length - this.#window < ROOM ? this.#large() : slab.bytes.subarray(this.#window)
  }

  /** Nothing is read any more. */
  close(): void {
    letGo(this.#slab)
    this.#slab = NO_SLAB
    this.#window = 0
  }

  #isFree(): boolean {
    return this.#slab.users === 1 && this.#slab.pool !== null
  }

  /** Reads into the beginning of the slab again, where nobody else uses it. */
  #rewind(): Buffer | undefined {
    if (this.#window === 0 || !this.#isFree()) return undefined
    this.#window = 0
    return this.#slab.bytes
  }

  #large(): Buffer {
    return this.#use(this.#pool.take())
  }

  #small(): Buffer {
    return this.#use(smallSlab())
  }

  #use(slab: InputSlab): Buffer {
    letGo(this.#slab)
    this.#slab = slab
    this.#window = 0
    this.#rests = 0
    return slab.bytes
  }
}

const NO_SLAB: InputSlab = { bytes: Buffer.alloc(0), pool: null, users: 0 }

function smallSlab(): InputSlab {
  return { bytes: Buffer.allocUnsafeSlow(SMALL), pool: null, users: 1 }
}
