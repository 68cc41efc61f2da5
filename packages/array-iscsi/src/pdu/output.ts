import type { Socket } from 'node:net'
import { put24 } from './bytes.ts'
import { crc32c, putDigest } from './crc32c.ts'
import { BHS } from './opcodes.ts'

const SLAB_SIZE = 256 * 1024
/** Data up to this is copied behind its header: one long view costs a socket less than many short ones. */
const COPY_LIMIT = 16 * 1024

interface Slab {
  readonly bytes: Buffer
  /** Flushes that the socket has not finished. */
  pending: number
}

interface Flush {
  readonly slabs: Slab[]
}

/** Sees every whole PDU before it goes out, and passes on what shall go. */
export type OutputTap = (pdu: Buffer) => void

/**
 * PDUs on their way to a socket: those of one turn go out together. `begin` gives a zeroed header to fill;
 * `end` or `endWith` completes it.
 */
export class Output {
  /** Where `begin` made room. */
  bytes: Buffer = Buffer.alloc(0)
  /** Whether headers get a digest. */
  headerDigest = false
  /** Whether data segments get a digest. */
  dataDigest = false
  readonly #socket: Socket
  #tap: OutputTap | undefined
  #free: Slab[] = []
  #slab: Slab | undefined
  #start = 0
  #end = 0
  #chunks: Uint8Array[] = []
  #used: Slab[] = []
  #scheduled = false
  #held = false

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Puts a tap in, or takes it out; call it between PDUs. */
  setTap(tap: OutputTap | undefined): void {
    this.#tap = tap
  }

  /** Keeps everything back, or lets it go. */
  setHeld(held: boolean): void {
    this.#held = held
    if (!held) this.flush()
  }

  /** Makes room for a header in `bytes`, all zero, and returns where it begins. */
  begin(): number {
    if (this.#tap !== undefined) {
      this.flushRun()
      this.bytes = Buffer.alloc(BHS + 4)
      return 0
    }
    const size = this.headerDigest ? BHS + 4 : BHS
    const at = this.#reserve(size)
    this.bytes.fill(0, at, at + BHS)
    return at
  }

  /** The PDU that began at `at` is complete and has no data. */
  end(at: number): void {
    if (this.headerDigest) putDigest(this.bytes, at + BHS, crc32c(this.bytes, 0, at, at + BHS))
    if (this.#tap !== undefined) this.#tapped(this.bytes.subarray(0, this.headerDigest ? BHS + 4 : BHS))
    else this.#schedule()
  }

  /** The PDU that began at `at` has as its data `length` bytes of `views`, from byte `from` of them on. */
  endWith(at: number, views: readonly Uint8Array[], from: number, length: number): void {
    if (length === 0) return this.end(at)
    const { bytes } = this
    put24(bytes, at + 5, length)
    if (this.headerDigest) putDigest(bytes, at + BHS, crc32c(bytes, 0, at, at + BHS))
    if (this.#tap !== undefined) return this.#endTapped(views, from, length)
    const padding = -length & 3
    // What a digest was computed of must not change before it is sent.
    if (length <= COPY_LIMIT || this.dataDigest) this.#copy(views, from, length, padding)
    else this.#attach(views, from, length, padding)
    this.#schedule()
  }

  /** Queues a whole PDU as it is. */
  raw(pdu: Uint8Array): void {
    this.flushRun()
    this.#chunks.push(pdu)
    this.#schedule()
  }

  /** Hands everything to the socket. */
  flush(): void {
    this.flushRun()
    const chunks = this.#chunks
    if (chunks.length === 0 || this.#held) return
    const used = this.#used
    this.#chunks = []
    this.#used = []
    const socket = this.#socket
    if (socket.destroyed || socket.writableEnded) return
    if (this.#slab !== undefined) this.#use(this.#slab, used)
    const flush: Flush = { slabs: used }
    const written = (): void => this.#written(flush)
    if (chunks.length === 1) {
      socket.write(chunks[0]!, written)
      return
    }
    socket.cork()
    const last = chunks.length - 1
    for (let n = 0; n < last; n++) socket.write(chunks[n]!)
    socket.write(chunks[last]!, written)
    socket.uncork()
  }

  /** Ends the present run of small pieces. */
  flushRun(): void {
    if (this.#start === this.#end) return
    this.#chunks.push(this.#slab!.bytes.subarray(this.#start, this.#end))
    this.#start = this.#end
  }

  #reserve(size: number): number {
    if (this.#slab === undefined || this.#end + size > SLAB_SIZE) {
      this.flushRun()
      if (this.#slab !== undefined) this.#use(this.#slab, this.#used)
      this.#slab = this.#free.pop() ?? { bytes: Buffer.allocUnsafeSlow(SLAB_SIZE), pending: 0 }
      this.#start = 0
      this.#end = 0
    }
    this.bytes = this.#slab.bytes
    const at = this.#end
    this.#end = at + size
    return at
  }

  #use(slab: Slab, used: Slab[]): void {
    slab.pending++
    used.push(slab)
  }

  #copy(views: readonly Uint8Array[], from: number, length: number, padding: number): void {
    let crc = 0
    let skip = from
    let left = length
    for (let n = 0; left > 0; n++) {
      const view = views[n]!
      const here = Math.min(view.length - skip, left)
      if (here <= 0) {
        skip -= view.length
        continue
      }
      for (let start = skip, stop = skip + here; start < stop; ) {
        const piece = Math.min(stop - start, SLAB_SIZE / 4)
        const at = this.#reserve(piece)
        this.bytes.set(piece === view.length ? view : view.subarray(start, start + piece), at)
        if (this.dataDigest) crc = crc32c(this.bytes, crc, at, at + piece)
        start += piece
      }
      left -= here
      skip = 0
    }
    if (padding > 0) {
      const at = this.#reserve(padding)
      this.bytes.fill(0, at, at + padding)
      if (this.dataDigest) crc = crc32c(this.bytes, crc, at, at + padding)
    }
    if (this.dataDigest) putDigest(this.bytes, this.#reserve(4), crc)
  }

  #attach(views: readonly Uint8Array[], from: number, length: number, padding: number): void {
    this.flushRun()
    let skip = from
    let left = length
    for (let n = 0; left > 0; n++) {
      const view = views[n]!
      const here = Math.min(view.length - skip, left)
      if (here <= 0) {
        skip -= view.length
        continue
      }
      this.#chunks.push(here === view.length ? view : view.subarray(skip, skip + here))
      left -= here
      skip = 0
    }
    if (padding > 0) {
      const at = this.#reserve(padding)
      this.bytes.fill(0, at, at + padding)
    }
  }

  #endTapped(views: readonly Uint8Array[], from: number, length: number): void {
    const header = this.bytes.subarray(0, this.headerDigest ? BHS + 4 : BHS)
    const all = Buffer.concat(views as Uint8Array[])
    const data = Buffer.concat([all.subarray(from, from + length), Buffer.alloc(-length & 3)])
    const digest = Buffer.alloc(this.dataDigest ? 4 : 0)
    if (this.dataDigest) putDigest(digest, 0, crc32c(data))
    this.#tapped(Buffer.concat([header, data, digest]))
  }

  #tapped(pdu: Buffer): void {
    this.#tap!(pdu)
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(this.#run)
  }

  readonly #run = (): void => {
    this.#scheduled = false
    this.flush()
  }

  #written(flush: Flush): void {
    for (const slab of flush.slabs) {
      if (--slab.pending > 0 || slab === this.#slab) continue
      if (this.#free.length < 4) this.#free.push(slab)
    }
  }
}
