/** Bytes; what is left of a slab is used while it has this much. */
const ROOM = 64 * 1024
const SLAB_SIZE = 1024 * 1024

/** Memory that a socket is read into. */
export interface InputSlab {
  readonly bytes: Buffer
  readonly pool: InputPool
  /** Requests whose payload is in it, and one while a socket is read into it. */
  users: number
}

/** Gives up a use of a slab. */
export function letGo(slab: InputSlab): void {
  if (--slab.users === 0) slab.pool.give(slab)
}

/** Slabs that are free to use: memory that was used before costs no page faults. More than `keep` are left to the garbage collector. */
export class InputPool {
  /** Slabs that are taken and not given back. */
  outstanding = 0
  readonly #free: InputSlab[] = []
  readonly #keep: number

  constructor(keep: number) {
    this.#keep = keep
  }

  take(): InputSlab {
    this.outstanding++
    const slab = this.#free.pop() ?? { bytes: Buffer.allocUnsafeSlow(SLAB_SIZE), pool: this, users: 0 }
    slab.users = 1
    return slab
  }

  give(slab: InputSlab): void {
    this.outstanding--
    if (this.#free.length < this.#keep) this.#free.push(slab)
  }
}

/** Where one socket is read to: slab after slab, and the same again while nobody needs what is in it. */
export class Input {
  readonly #pool: InputPool
  #slab: InputSlab | null = null
  #used = 0

  constructor(pool: InputPool) {
    this.#pool = pool
  }

  /** What the next read may fill. */
  room(): Buffer {
    if (this.#slab !== null && this.#slab.users === 1) this.#used = 0
    if (this.#slab === null || SLAB_SIZE - this.#used < ROOM) {
      if (this.#slab !== null) letGo(this.#slab)
      this.#slab = this.#pool.take()
      this.#used = 0
    }
    return this.#slab.bytes.subarray(this.#used)
  }

  /** The `size` bytes that were read. */
  received(size: number): Buffer {
    const start = this.#used
    this.#used += size
    return this.#slab!.bytes.subarray(start, this.#used)
  }

  /** Keeps what was received last until whoever is given the slab lets go of it. */
  hold(): InputSlab {
    const slab = this.#slab!
    slab.users++
    return slab
  }

  /** Whether `slab` is the one that was read into last. */
  isCurrent(slab: InputSlab): boolean {
    return slab === this.#slab
  }

  /** Nothing is read any more. */
  close(): void {
    if (this.#slab !== null) letGo(this.#slab)
    this.#slab = null
  }
}
