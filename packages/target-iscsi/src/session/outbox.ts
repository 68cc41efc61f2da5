import type { Socket } from 'node:net'
import type { Clock } from '@blockbraid/core'
import { crc32c } from '@blockbraid/wire'
import { HEADER_LENGTH, padding } from '../pdu/opcode.ts'

/** What is needed of a socket. */
export type OutboxSocket = Pick<Socket, 'cork' | 'uncork' | 'write' | 'writableLength' | 'destroyed'>

const SLAB = 64 * 1024
// What a login and a few questions need.
const FIRST_SLAB = 4 * 1024
const LARGEST = HEADER_LENGTH + 8
const MAX_HEADS = 256
const ZEROES = Buffer.alloc(3)

/**
 * What goes to the target: headers are written one after the other into a slab, payload is passed as
 * views, and all of one turn goes to the socket together.
 */
export class Outbox {
  /** Where `begin` lets the next header be written. */
  slab: Buffer = Buffer.allocUnsafeSlow(FIRST_SLAB)
  #at = 0
  /** First byte of the slab that no piece covers. */
  #start = 0
  // Views of the first headers of a fresh slab, by their number: what most turns send.
  #heads: Uint8Array[] = []
  // The first `#count` are to be sent; the array is never cut, which would give its memory back.
  readonly #pieces: Uint8Array[] = []
  #count = 0
  #pieceBytes = 0
  #given = 0
  #scheduled = false
  #headerDigest = false
  #dataDigest = false
  readonly #socket: OutboxSocket
  readonly #clock: Clock

  constructor(socket: OutboxSocket, clock: Clock) {
    this.#socket = socket
    this.#clock = clock
  }

  /** Digests hold from the next PDU on. */
  useDigests(header: boolean, data: boolean): void {
    this.#headerDigest = header
    this.#dataDigest = data
  }

  /** Bytes ever put here. */
  get position(): number {
    return this.#given + this.#pieceBytes + this.#at - this.#start
  }

  /** Bytes ever put here that no buffer of this process holds any more. */
  get flushed(): number {
    return this.#given - this.#socket.writableLength
  }

  /** Makes room for a header and returns where in the slab it begins; all of its 48 bytes must be written. */
  begin(): number {
    if (this.#at + LARGEST > this.slab.length) this.#renew()
    const at = this.#at
    this.#at = at + HEADER_LENGTH
    if (!this.#scheduled) {
      this.#scheduled = true
      this.#clock.defer(this.#flush)
    }
    return at
  }

  /** Ends a header without data. */
  end(at: number): void {
    if (this.#headerDigest) this.#digest(crc32c(this.slab.subarray(at, at + HEADER_LENGTH)))
  }

  /** Ends a header that is followed by `length` bytes of `views`, from byte `offset` of them on. */
  endWith(at: number, views: readonly Uint8Array[], offset: number, length: number): void {
    this.end(at)
    this.#cover()
    let crc = 0
    let skip = offset
    let left = length
    for (let index = 0; left > 0; index++) {
      const view = views[index] as Uint8Array
      if (skip >= view.length) {
        skip -= view.length
        continue
      }
      const take = Math.min(left, view.length - skip)
      const piece = take === view.length ? view : view.subarray(skip, skip + take)
      this.#push(piece)
      if (this.#dataDigest) crc = crc32c(piece, crc)
      skip = 0
      left -= take
    }
    const pad = padding(length)
    if (pad > 0) {
      const piece = ZEROES.subarray(0, pad)
      this.#push(piece)
      if (this.#dataDigest) crc = crc32c(piece, crc)
    }
    if (this.#dataDigest) this.#digest(crc)
  }

  /** Sends a PDU that was made elsewhere, digests and all. */
  raw(pdu: Uint8Array): void {
    this.#cover()
    this.#push(pdu)
    if (!this.#scheduled) {
      this.#scheduled = true
      this.#clock.defer(this.#flush)
    }
  }

  #push(piece: Uint8Array): void {
    this.#pieces[this.#count++] = piece
    this.#pieceBytes += piece.length
  }

  #digest(crc: number): void {
    if (this.#at + 4 > this.slab.length) this.#renew()
    this.slab.writeUInt32LE(crc, this.#at)
    this.#at += 4
  }

  /** Makes a piece of the headers that stand in the slab since the last one. */
  #cover(): void {
    const start = this.#start
    if (this.#at === start) return
    this.#push(start === 0 ? this.#head(this.#at) : this.slab.subarray(start, this.#at))
    this.#start = this.#at
  }

  #head(length: number): Uint8Array {
    if (length % HEADER_LENGTH !== 0 || length > MAX_HEADS * HEADER_LENGTH) return this.slab.subarray(0, length)
    const count = length / HEADER_LENGTH
    const known = this.#heads[count]
    if (known !== undefined) return known
    const view = this.slab.subarray(0, length)
    this.#heads[count] = view
    return view
  }

  #renew(): void {
    this.#cover()
    this.#heads = []
    this.slab = Buffer.allocUnsafeSlow(SLAB)
    this.#at = 0
    this.#start = 0
  }

  readonly #flush = (): void => {
    this.#scheduled = false
    this.#cover()
    const socket = this.#socket
    const count = this.#count
    this.#count = 0
    this.#given += this.#pieceBytes
    this.#pieceBytes = 0
    if (count > 1) socket.cork()
    for (let index = 0; index < count; index++) {
      if (!socket.destroyed) socket.write(this.#pieces[index] as Uint8Array)
      this.#pieces[index] = ZEROES
    }
    if (count > 1) socket.uncork()
    // All of the slab has left: it can be filled again.
    if (socket.writableLength === 0) {
      this.#at = 0
      this.#start = 0
    }
  }
}
