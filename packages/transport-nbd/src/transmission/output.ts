import type { Socket } from 'node:net'

const SLAB_SIZE = 256 * 1024

/** Memory for headers and small payloads of replies. */
export interface Slab {
  readonly bytes: Buffer
  /** Flushes that the socket has not finished. */
  pending: number
}

/** Slabs of one server that are free to use; more than `keep` are left to the garbage collector. */
export class SlabPool {
  /** Slabs that are taken and not given back. */
  outstanding = 0
  readonly #free: Slab[] = []
  readonly #keep: number

  constructor(keep: number) {
    this.#keep = keep
  }

  take(): Slab {
    this.outstanding++
    return this.#free.pop() ?? { bytes: Buffer.allocUnsafeSlow(SLAB_SIZE), pending: 0 }
  }

  give(slab: Slab): void {
    this.outstanding--
    slab.pending = 0
    if (this.#free.length < this.#keep) this.#free.push(slab)
  }
}

/** What one flush handed to the socket: bytes, the slab in use then, and slabs that were filled before it. */
interface Flush {
  bytes: number
  slab: Slab | null
  filled: Slab[]
}

// Shared and never pushed into: setting the length of an array back to 0 is slow in V8.
const NO_SLABS: Slab[] = []

/**
 * Replies on their way to a socket: small pieces are copied into a slab one after another, so that a
 * turn's replies are one write; large ones go as views between them.
 */
export class Output {
  /** Where `reserve` made room. */
  bytes: Buffer = Buffer.alloc(0)
  /** Bytes taken in and not yet taken by the socket. */
  unsent = 0
  /** Bytes that the socket has taken. */
  sent: number

  readonly #socket: Socket
  readonly #pool: SlabPool
  readonly #sent: () => void
  #slab: Slab | null = null
  /** Start and end of the run in the slab that is in no chunk yet. */
  #start = 0
  #end = 0
  #queued = 0
  /** What goes before the run. */
  #chunks: Uint8Array[] = []
  /** Slabs of `#chunks` other than the present one. */
  #filled: Slab[] = NO_SLABS
  readonly #flushes: Flush[] = []
  readonly #spare: Flush[] = []

  /** `sent` is called each time the socket has taken a flush. */
  constructor(socket: Socket, pool: SlabPool, sent: () => void) {
    this.#socket = socket
    this.#pool = pool
    this.#sent = sent
    // Started as a double: it passes 2 ** 31.
    this.sent = 0.5
    this.sent = 0
  }

  /** Makes room for `size` bytes, at most a slab, in `bytes`, and returns where they begin. The caller fills all. */
  reserve(size: number): number {
    if (this.#slab === null || this.#end + size > SLAB_SIZE) this.#nextSlab()
    const at = this.#end
    this.#end = at + size
    this.#queued += size
    this.unsent += size
    return at
  }

  /** Appends a view that must not be reused until the socket has taken it. */
  attach(view: Uint8Array): void {
    this.#closeRun()
    this.#chunks.push(view)
    this.#queued += view.length
    this.unsent += view.length
  }

  /** Hands everything to the socket, in one write where it can. */
  flush(): void {
    if (this.#queued === 0) return
    const flush = this.#spare.pop() ?? { bytes: 0, slab: null, filled: NO_SLABS }
    flush.bytes = this.#queued
    flush.slab = this.#slab
    flush.filled = this.#filled
    this.#queued = 0
    this.#filled = NO_SLABS
    if (flush.slab !== null) flush.slab.pending++
    this.#flushes.push(flush)
    if (this.#chunks.length === 0) {
      const run = this.bytes.subarray(this.#start, this.#end)
      this.#start = this.#end
      this.#socket.write(run, this.#written)
      return
    }
    this.#closeRun()
    const chunks = this.#chunks
    this.#chunks = []
    this.#socket.cork()
    const last = chunks.length - 1
    for (let i = 0; i < last; i++) this.#socket.write(chunks[i]!)
    this.#socket.write(chunks[last]!, this.#written)
    this.#socket.uncork()
  }

  /** Drops what was not handed to the socket; what was, comes back through the socket's callbacks. */
  drop(): void {
    this.unsent -= this.#queued
    this.#queued = 0
    this.#chunks = []
    for (const slab of this.#filled) this.#release(slab)
    this.#filled = NO_SLABS
    const slab = this.#slab
    this.#slab = null
    if (slab !== null && slab.pending === 0) this.#pool.give(slab)
  }

  #closeRun(): void {
    if (this.#end === this.#start) return
    this.#chunks.push(this.bytes.subarray(this.#start, this.#end))
    this.#start = this.#end
  }

  #nextSlab(): void {
    const old = this.#slab
    if (old !== null) {
      this.#closeRun()
      old.pending++
      if (this.#filled === NO_SLABS) this.#filled = [old]
      else this.#filled.push(old)
    }
    const slab = this.#pool.take()
    this.#slab = slab
    this.bytes = slab.bytes
    this.#start = 0
    this.#end = 0
  }

  readonly #written = (): void => {
    const flush = this.#flushes.shift()!
    this.unsent -= flush.bytes
    this.sent += flush.bytes
    for (const slab of flush.filled) this.#release(slab)
    if (flush.slab !== null) this.#release(flush.slab)
    flush.slab = null
    flush.filled = NO_SLABS
    this.#spare.push(flush)
    this.#sent()
  }

  #release(slab: Slab): void {
    if (--slab.pending > 0) return
    if (slab !== this.#slab) this.#pool.give(slab)
    else if (this.#queued === 0) {
      // Nothing in it is needed any more: an idle connection holds no slab.
      this.#slab = null
      this.#start = 0
      this.#end = 0
      this.#pool.give(slab)
    }
  }
}
