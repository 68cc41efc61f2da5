import type { Outbox } from '@blockbraid/wire'
import { crc32c, put32le } from '@blockbraid/wire'
import { PduFlag, PduType } from './types.ts'

/** Data up to this is copied behind its header: one long view costs a socket less than many short ones. */
const COPY_LIMIT = 16 * 1024
/** Bytes that are copied at once; a slab has room for several. */
const PIECE = 64 * 1024
const DIGEST_LENGTH = 4

/** Sees every whole PDU before it goes out, and passes on what shall go. */
export type OutputTap = (pdu: Buffer) => void

/**
 * PDUs on their way to an outbox. `begin` gives a header to fill, `end` or `endWith` completes it; where there is a tap, or
 * everything is kept back, each is made as one piece of memory.
 */
export class Output {
  /** Where `begin` made room. */
  bytes: Buffer = Buffer.alloc(0)
  /** Whether headers get a digest. */
  headerDigest = false
  /** Whether data gets a digest. */
  dataDigest = false
  /** What data is aligned to, bytes. */
  alignment = 4
  readonly #outbox: Outbox
  #tap: OutputTap | undefined
  /** What waits while everything is kept back. */
  #held: Uint8Array[] | undefined
  /** Whether PDUs are made one by one. */
  #whole = false
  #hlen = 0
  #digests = false

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

  /** Makes room for a header of `hlen` bytes in `bytes`, zero but for its common part, and returns where it begins. */
  begin(type: number, flags: number, hlen: number): number {
    this.#hlen = hlen
    this.#digests = this.headerDigest && type !== PduType.icResp && type !== PduType.c2hTerm
    const size = this.#digests ? hlen + DIGEST_LENGTH : hlen
    let at = 0
    if (this.#whole) this.bytes = Buffer.alloc(size)
    else at = this.#reserve(size)
    const { bytes } = this
    bytes[at] = type
    bytes[at + 1] = this.#digests ? flags | PduFlag.headerDigest : flags
    bytes[at + 2] = hlen
    bytes[at + 3] = 0
    put32le(bytes, at + 4, size)
    if (!this.#whole) for (let byte = at + 8; byte < at + hlen; byte++) bytes[byte] = 0
    return at
  }

  /** The PDU that began at `at` is complete and has no data. */
  end(at: number): void {
    if (this.#digests) put32le(this.bytes, at + this.#hlen, crc32c(this.bytes, 0, at, at + this.#hlen))
    if (this.#whole) this.#pass(this.bytes)
  }

  /** The PDU that began at `at` has as its data `length` bytes of `views`, from byte `from` of them on. */
  endWith(at: number, views: readonly Uint8Array[], from: number, length: number): void {
    const { bytes } = this
    const size = this.#digests ? this.#hlen + DIGEST_LENGTH : this.#hlen
    const pad = (this.alignment - (size % this.alignment)) % this.alignment
    bytes[at + 3] = size + pad
    put32le(bytes, at + 4, size + pad + length + (this.dataDigest ? DIGEST_LENGTH : 0))
    if (this.dataDigest) bytes[at + 1] = bytes[at + 1]! | PduFlag.dataDigest
    if (this.#digests) put32le(bytes, at + this.#hlen, crc32c(bytes, 0, at, at + this.#hlen))
    if (this.#whole) return this.#endWhole(views, from, length, pad)
    if (pad > 0) this.#pad(pad)
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
    if (!this.dataDigest) return
    const digest = this.#reserve(DIGEST_LENGTH)
    put32le(this.bytes, digest, crc)
  }

  /** The PDU that began at `at` goes on with these bytes, whatever its alignment and digests. */
  endPlain(at: number, rest: Buffer): void {
    if (this.#whole) return this.#pass(Buffer.concat([this.bytes.subarray(at), rest]))
    const behind = this.#reserve(rest.length)
    this.bytes.set(rest, behind)
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

  #pad(size: number): void {
    const at = this.#reserve(size)
    this.bytes.fill(0, at, at + size)
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

  #endWhole(views: readonly Uint8Array[], from: number, length: number, pad: number): void {
    const data = Buffer.concat(views as Uint8Array[]).subarray(from, from + length)
    const digest = Buffer.alloc(this.dataDigest ? DIGEST_LENGTH : 0)
    if (this.dataDigest) put32le(digest, 0, crc32c(data))
    this.#pass(Buffer.concat([this.bytes, Buffer.alloc(pad), data, digest]))
  }

  #pass(pdu: Buffer): void {
    if (this.#tap !== undefined) this.#tap(pdu)
    else this.raw(pdu)
  }
}
