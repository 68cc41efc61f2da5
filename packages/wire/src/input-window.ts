import type { InputPool, InputSlab } from './input.ts'
import { letGo } from './input.ts'

/** Bytes; what is left of a slab is read into while it has this much. */
export const ROOM = 64 * 1024

/**
 * Where the sockets of a server are read into, one after the other: the same memory again while nobody needs what is in
 * it, so that a thousand of them have no buffer between two reads.
 */
export class InputWindow {
  /** Where the next read begins in the slab at hand. */
  start = 0
  readonly #pool: InputPool
  #slab: InputSlab | null = null
  #kept = false

  constructor(pool: InputPool) {
    this.#pool = pool
  }

  /** Memory for the next read; at least `ROOM` of it from `start` on. */
  open(): Buffer {
    let slab = this.#slab
    if (slab !== null && slab.users === 1 && slab.pool !== null) this.start = 0
    if (slab === null || slab.bytes.length - this.start < ROOM) {
      if (slab !== null) letGo(slab)
      slab = this.#pool.take()
      this.#slab = slab
      this.start = 0
    }
    return slab.bytes
  }

  /** `count` bytes were read and seen. */
  pass(count: number): void {
    if (!this.#kept) return
    this.#kept = false
    this.start += count
  }

  /** The bytes at hand stay for as long as there are views of them. */
  retain(): void {
    this.#kept = true
    this.#pool.leave(this.#slab!)
  }

  /** The bytes at hand stay until the slab is let go of. */
  hold(): InputSlab {
    this.#kept = true
    const slab = this.#slab!
    slab.users++
    return slab
  }

  /** Gives the slab at hand back: nothing is read for now. */
  close(): void {
    if (this.#slab !== null) letGo(this.#slab)
    this.#slab = null
  }
}
