import type { Outbox } from '@blockbraid/wire'
import { attachViews, crc32c, put32le } from '@blockbraid/wire'
import type { Agreed } from './agreed.ts'
import { digestFlags, putCommon } from './encode.ts'
import { DIGEST_LENGTH } from './opcode.ts'

/** Puts PDUs into an outbox, with padding and digests (NVMe/TCP Transport 1.1 §3.6.1). */
export class PduWriter {
  readonly outbox: Outbox
  #headerDigest = false
  #dataDigest = false
  #align = 4

  constructor(outbox: Outbox) {
    this.outbox = outbox
  }

  /** Holds from the next PDU on. */
  use({ headerDigest, dataDigest, align }: Agreed): void {
    this.#headerDigest = headerDigest
    this.#dataDigest = dataDigest
    this.#align = align
  }

  /** Where `begin` lets the next header be written. */
  get bytes(): Buffer {
    return this.outbox.bytes
  }

  /**
   * Begins a PDU with a header of `headerLength` bytes and `length` bytes of data; returns where in `bytes` it stands. All
   * behind the common header must be written, and `end` or `endWith` follow.
   */
  begin(type: number, flags: number, headerLength: number, length: number): number {
    const behind = headerLength + (this.#headerDigest ? DIGEST_LENGTH : 0)
    const { outbox } = this
    if (length === 0) {
      const at = outbox.reserve(behind)
      putCommon(outbox.bytes, at, type, flags | digestFlags(this.#headerDigest, false), headerLength, 0, behind)
      return at
    }
    const offset = this.#align === 4 ? behind : Math.ceil(behind / this.#align) * this.#align
    const at = outbox.reserve(offset)
    const all = offset + length + (this.#dataDigest ? DIGEST_LENGTH : 0)
    const { bytes } = outbox
    if (offset > behind) bytes.fill(0, at + behind, at + offset)
    putCommon(bytes, at, type, flags | digestFlags(this.#headerDigest, this.#dataDigest), headerLength, offset, all)
    return at
  }

  /** Ends one without data, and the header of one with data. */
  end(at: number): void {
    if (!this.#headerDigest) return
    const { bytes } = this.outbox
    const end = at + (bytes[at + 2] as number)
    put32le(bytes, end, crc32c(bytes, 0, at, end))
  }

  /** Ends one with `length` bytes of `views`, from byte `offset` of them on. */
  endWith(at: number, views: readonly Uint8Array[], offset: number, length: number): void {
    this.end(at)
    const { outbox } = this
    const crc = attachViews(outbox, views, offset, length, this.#dataDigest)
    if (!this.#dataDigest) return
    const digest = outbox.reserve(DIGEST_LENGTH)
    put32le(outbox.bytes, digest, crc)
  }
}
