import { crc32c, get24, get32le } from '@blockbraid/wire'
import { BHS } from './opcodes.ts'

const HEADER = 0
const DATA = 1
const PADDING = 2
const DEAD = 3

/** A header, 255 words of additional headers, a digest. */
const LONGEST_HEADER = BHS + 255 * 4 + 4

/** What a parser finds. */
export interface PduSink {
  /**
   * A header: 48 bytes at `at`, valid until it returns. Says whether to go on; then its data segment of
   * `length` bytes comes in any number of pieces, and `pduEnd`.
   */
  pduHeader(bytes: Buffer, at: number, length: number): boolean
  /** A piece of the data segment: it stays as it is until this returns, or for as long as its connection is told to hold it. */
  pduData(view: Buffer): void
  /** The PDU is complete. `intact`: its data digest is right. */
  pduEnd(intact: boolean): void
  /** The bytes make no sense any more; nothing is called after this. */
  broken(reason: string): void
}

/** Reads the PDUs of an initiator from chunks cut anywhere. */
export class PduParser {
  /** Whether headers are followed by a digest. */
  headerDigest = false
  /** Whether data segments are followed by a digest. */
  dataDigest = false
  /** Bytes of a data segment that may come in one PDU. */
  maxData: number
  /** Who gets what is found. */
  sink: PduSink
  readonly #scratch = Buffer.alloc(LONGEST_HEADER)
  #state = HEADER
  #gathered = 0
  /** Bytes of data still to come. */
  #left = 0
  #padding = 0
  #crc = 0

  constructor(sink: PduSink, maxData: number) {
    this.sink = sink
    this.maxData = maxData
  }

  /** Takes the bytes of `chunk` from `start` to `end`; views of them are handed on. */
  push(chunk: Buffer, start: number, end: number): void {
    let at = start
    while (at < end) {
      if (this.#state === HEADER) {
        if (this.#gathered === 0 && end - at >= BHS) {
          const size = this.#headerSize(chunk, at)
          if (end - at >= size) {
            this.#header(chunk, at, size)
            at += size
            continue
          }
        }
        at = this.#gather(chunk, at, end)
      } else if (this.#state === DATA) at = this.#data(chunk, at, end)
      else if (this.#state === PADDING) at = this.#trailer(chunk, at, end)
      else return
    }
  }

  /** Takes nothing more. */
  stop(): void {
    this.#state = DEAD
  }

  #headerSize(bytes: Buffer, at: number): number {
    return BHS + bytes[at + 4]! * 4 + (this.headerDigest ? 4 : 0)
  }

  #gather(chunk: Buffer, at: number, end: number): number {
    const wanted = this.#gathered < BHS ? BHS : this.#headerSize(this.#scratch, 0)
    const count = Math.min(wanted - this.#gathered, end - at)
    chunk.copy(this.#scratch, this.#gathered, at, at + count)
    this.#gathered += count
    if (this.#gathered >= BHS) {
      const size = this.#headerSize(this.#scratch, 0)
      if (this.#gathered === size) {
        this.#gathered = 0
        this.#header(this.#scratch, 0, size)
      }
    }
    return at + count
  }

  #header(bytes: Buffer, at: number, size: number): void {
    if (this.headerDigest && crc32c(bytes, 0, at, at + size - 4) !== get32le(bytes, at + size - 4)) {
      return this.#break('a header with a wrong digest')
    }
    const length = get24(bytes, at + 5)
    if (length > this.maxData) return this.#break(`a data segment of ${length} bytes, more than ${this.maxData}`)
    this.#left = length
    this.#crc = 0
    if (!this.sink.pduHeader(bytes, at, length)) return this.stop()
    if (this.#state === DEAD) return
    if (length > 0) {
      this.#padding = (-length & 3) + (this.dataDigest ? 4 : 0)
      this.#state = DATA
    } else this.sink.pduEnd(true)
  }

  #data(chunk: Buffer, at: number, end: number): number {
    const count = Math.min(this.#left, end - at)
    const view = chunk.subarray(at, at + count)
    if (this.dataDigest) this.#crc = crc32c(view, this.#crc)
    this.#left -= count
    this.sink.pduData(view)
    if (this.#left === 0 && this.#state === DATA) {
      if (this.#padding === 0) this.#end(true)
      else this.#state = PADDING
    }
    return at + count
  }

  #trailer(chunk: Buffer, at: number, end: number): number {
    const count = Math.min(this.#padding - this.#gathered, end - at)
    chunk.copy(this.#scratch, this.#gathered, at, at + count)
    this.#gathered += count
    if (this.#gathered < this.#padding) return at + count
    this.#gathered = 0
    if (!this.dataDigest) this.#end(true)
    else {
      const pad = this.#padding - 4
      this.#end(crc32c(this.#scratch, this.#crc, 0, pad) === get32le(this.#scratch, pad))
    }
    return at + count
  }

  #end(intact: boolean): void {
    this.#state = HEADER
    this.sink.pduEnd(intact)
  }

  #break(reason: string): void {
    this.stop()
    this.sink.broken(reason)
  }
}
