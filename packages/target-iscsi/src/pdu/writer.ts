import type { Outbox } from '@blockbraid/wire'
import { attachViews, crc32c, put32le } from '@blockbraid/wire'
import { HEADER_LENGTH, padding } from './opcode.ts'

const DIGEST_LENGTH = 4

/** Puts PDUs into an outbox, with padding and digests (RFC 7143 §11.2). */
export class PduWriter {
  readonly outbox: Outbox
  #headerDigest = false
  #dataDigest = false
  #headLength = HEADER_LENGTH

  constructor(outbox: Outbox) {
    this.outbox = outbox
  }

  /** Digests hold from the next PDU on. */
  useDigests(header: boolean, data: boolean): void {
    this.#headerDigest = header
    this.#dataDigest = data
    this.#headLength = header ? HEADER_LENGTH + DIGEST_LENGTH : HEADER_LENGTH
  }

  /** Where `begin` lets the next header be written. */
  get bytes(): Buffer {
    return this.outbox.bytes
  }

  /** Makes room for a header and returns where in `bytes` it begins; all of its 48 bytes must be written. */
  begin(): number {
    return this.outbox.reserve(this.#headLength)
  }

  /** Ends a header without data. */
  end(at: number): void {
    if (!this.#headerDigest) return
    const { bytes } = this.outbox
    const end = at + HEADER_LENGTH
    put32le(bytes, end, crc32c(bytes, 0, at, end))
  }

  /** Ends a header that is followed by `length` bytes of `views`, from byte `offset` of them on. */
  endWith(at: number, views: readonly Uint8Array[], offset: number, length: number): void {
    this.end(at)
    const crc = attachViews(this.outbox, views, offset, length, this.#dataDigest)
    this.#endData(padding(length), crc)
  }

  #endData(pad: number, crc: number): void {
    const size = pad + (this.#dataDigest ? DIGEST_LENGTH : 0)
    if (size === 0) return
    const { outbox } = this
    const at = outbox.reserve(size)
    const { bytes } = outbox
    const end = at + pad
    bytes.fill(0, at, end)
    if (this.#dataDigest) put32le(bytes, end, crc32c(bytes, crc, at, end))
  }
}
