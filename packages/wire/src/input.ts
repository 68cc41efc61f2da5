/** Bytes of a slab, where its pool does not say otherwise. */
const SLAB_SIZE = 1024 * 1024

/** Memory that a wire is read into. */
export interface InputSlab {
  /** All of it. */
  readonly bytes: Buffer
  /** Where it goes when nobody uses it; null where it is left to the garbage collector. */
  pool: InputPool | null
  /** Those who hold bytes of it, and one while a wire is read into it. */
  users: number
}

/** Gives up a use of a slab. */
export function letGo(slab: InputSlab): void {
  if (--slab.users === 0 && slab.pool !== null) slab.pool.give(slab)
}

/** Slabs that are free to use: memory that was used before costs no page faults. More than `keep` are left to the garbage collector. */
export class InputPool {
  /** Slabs that were taken, and neither given back nor left to the garbage collector. */
  outstanding = 0
  /** Bytes of a slab. */
  readonly size: number
  readonly #free: InputSlab[] = []
  readonly #keep: number

  constructor(keep: number, size: number = SLAB_SIZE) {
    this.#keep = keep
    this.size = size
  }

  /** A slab with one user. */
  take(): InputSlab {
    this.outstanding++
    const slab = this.#free.pop() ?? { bytes: Buffer.allocUnsafeSlow(this.size), pool: this, users: 0 }
    slab.users = 1
    return slab
  }

  /** Takes one back; `letGo` does it. */
  give(slab: InputSlab): void {
    this.outstanding--
    if (this.#free.length < this.#keep) this.#free.push(slab)
  }

  /** Views of it stay: it never comes back. */
  leave(slab: InputSlab): void {
    if (slab.pool === null) return
    slab.pool = null
    this.outstanding--
  }
}
