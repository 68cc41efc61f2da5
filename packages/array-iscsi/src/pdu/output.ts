import type { Outbox } from '@blockbraid/wire'
import { crc32c, put24, put32le } from '@blockbraid/wire'
import { BHS } from './opcodes.ts'

/** Data up to this is copied behind its header: one long view costs a socket less than many short ones. */
const COPY_LIMIT = 16 * 1024
/** Bytes that are copied at once; a slab has room for several. */
const PIECE = 64 * 1024

/** Sees every whole PDU before it goes out, and passes on what shall go. */
export type OutputTap = (pdu: Buffer) => void

/**
 * PDUs on their way to an outbox. `begin` gives a zeroed header to fill, `end` or `endWith` completes it; where there is
 * a tap, or everything is kept back, each is made as one piece of memory.
 */
export class Output {
  /** Where `begin` made room. */
  bytes: Buffer = Buffer.alloc(0)
  /** Whether headers get a digest. */
  headerDigest = false
  /** Whether data segments get a digest. */
  dataDigest = false
  readonly #outbox: Outbox
  #tap: OutputTap | undefined
  /** What waits while everything is kept back. */
  #held: Uint8Array[] | undefined
  /** Whether PDUs are made one by one. */
  #whole = false

  constructor(outbox: Outbox) {
    this.#outbox = outbox
  }

  /** Puts a tap in, or takes it out; call it between PDUs. */
  setTap(tap: OutputTap | undefined): void {
    this.#tap = tap
    this.#whole = tap !== undefined || this.#held !== undefined
  }

  /** Keeps everything back from now on, or lets it go; call it between PDUs. */
  setHeld(held: boolean): void {
    const waiting = this.#held ?? []
    this.#held = held ? waiting : undefined
    this.#whole = held || this.#tap !== undefined
    if (!held) for (const pdu of waiting) this.#outbox.attach(pdu)
  }

  /** Makes room for a header in `bytes`, all zero, and returns where it begins. */
  begin(): number {
    const size = this.headerDigest ? BHS + 4 : BHS
    if (this.#whole) {
      this.bytes = Buffer.alloc(size)
      return 0
    }
    const at = this.#reserve(size)
    this.bytes.fill(0, at, at + BHS)
    return at
  }

  /** The PDU that began at `at` is complete and has no data. */
  end(at: number): void {
    if (this.headerDigest) put32le(this.bytes, at + BHS, crc32c(this.bytes, 0, at, at + BHS))
    if (this.#whole) this.#pass(this.bytes)
  }

  /** The PDU that began at `at` has as its data `length` bytes of `views`, from byte `from` of them on. */
  endWith(at: number, views: readonly Uint8Array[], from: number, length: number): void {
    if (length === 0) return this.end(at)
    const { bytes } = this
    put24(bytes, at + 5, length)
    if (this.headerDigest) put32le(bytes, at + BHS, crc32c(bytes, 0, at, at + BHS))
    if (this.#whole) return this.#endWhole(views, from, length)
    // What a digest was computed of must not change before it is sent.
    const copied = length <= COPY_LIMIT || this.dataDigest
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
      const part = here === view.length ? view : view.subarray(skip, skip + here)
      if (copied) crc = this.#copy(part, crc)
      else this.#outbox.attach(part)
      left -= here
      skip = 0
    }
    this.#trail(-length & 3, crc)
  }

  /** Queues a whole PDU as it is. */
  raw(pdu: Uint8Array): void {
    if (pdu.length === 0) return
    if (this.#held !== undefined) this.#held.push(pdu)
    else this.#outbox.attach(pdu)
  }

  /** Hands everything that is not kept back to the socket. */
  flush(): void {
    this.#outbox.flush()
  }

  #reserve(size: number): number {
    const at = this.#outbox.reserve(size)
    this.bytes = this.#outbox.bytes
    return at
  }

  #copy(view: Uint8Array, crc: number): number {
    for (let start = 0; start < view.length; start += PIECE) {
      const size = Math.min(view.length - start, PIECE)
      const at = this.#reserve(size)
      this.bytes.set(size === view.length ? view : view.subarray(start, start + size), at)
      if (this.dataDigest) crc = crc32c(this.bytes, crc, at, at + size)
    }
    return crc
  }

  // Padding to four bytes, and the digest of the data, of which `crc` is without the padding.
  #trail(padding: number, crc: number): void {
    const size = padding + (this.dataDigest ? 4 : 0)
    if (size === 0) return
    const at = this.#reserve(size)
    this.bytes.fill(0, at, at + padding)
    if (this.dataDigest) put32le(this.bytes, at + padding, crc32c(this.bytes, crc, at, at + padding))
  }

  #endWhole(views: readonly Uint8Array[], from: number, length: number): void {
    const all = Buffer.concat(views as Uint8Array[])
    const data = Buffer.concat([all.subarray(from, from + length), Buffer.alloc(-length & 3)])
    const digest = Buffer.alloc(this.dataDigest ? 4 : 0)
    if (this.dataDigest) put32le(digest, 0, crc32c(data))
    this.#pass(Buffer.concat([this.bytes, data, digest]))
  }

  #pass(pdu: Buffer): void {
    if (this.#tap !== undefined) this.#tap(pdu)
    else this.raw(pdu)
  }
}
