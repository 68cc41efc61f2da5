import { crc32c } from '@blockbraid/wire'
import { HEADER_LENGTH, padding } from './opcode.ts'

/** What becomes of a PDU's data segment. */
export const DataMode = {
  /** Given to `data` in pieces, as they come, then `end`. */
  Stream: 0,
  /** Given to `whole` at once, with the header. */
  Collect: 1,
} as const
/** One of the values of {@link DataMode}. */
export type DataMode = (typeof DataMode)[keyof typeof DataMode]

/** Takes what a {@link PduParser} finds. */
export interface PduSink {
  /** A header has come, its digest is right; it stands at `bytes[at]` during this call only. */
  header(bytes: Buffer, at: number, dataLength: number): DataMode
  /** A piece of a streamed data segment. */
  data(bytes: Buffer, start: number, end: number): void
  /** A streamed PDU has ended, its data digest is right. */
  end(): void
  /** A collected PDU; the sink may keep both. */
  whole(header: Buffer, data: Buffer): void
  /** The stream makes no sense any more; nothing else will be said. */
  broken(reason: string): void
}

const State = { Header: 0, Data: 1, Tail: 2, Stopped: 3 } as const
type State = (typeof State)[keyof typeof State]

const MAX_AHS = 255 * 4
const NOTHING = Buffer.alloc(0)

/** Cuts a target's byte stream into PDUs (RFC 7143 §11.2), whatever the pieces it comes in. */
export class PduParser {
  /** Bytes; a longer data segment breaks the stream. */
  maxData: number
  /** Who is told; may be exchanged from inside of a call. */
  sink: PduSink
  #headerDigest = false
  #dataDigest = false
  #state: State = State.Header
  // A header or a tail that came in pieces.
  readonly #carry = Buffer.alloc(HEADER_LENGTH + MAX_AHS + 4)
  #have = 0
  #mode: DataMode = DataMode.Stream
  #left = 0
  #tail = 0
  #pad = 0
  #crc = 0
  #header: Buffer = NOTHING
  #collected: Buffer = NOTHING

  constructor(sink: PduSink, maxData: number) {
    this.sink = sink
    this.maxData = maxData
  }

  /** Digests hold from the next header on. */
  useDigests(header: boolean, data: boolean): void {
    this.#headerDigest = header
    this.#dataDigest = data
  }

  /** Nothing more is parsed or said, also not of the bytes at hand. */
  stop(): void {
    this.#state = State.Stopped
    this.#collected = NOTHING
  }

  /** Whether a PDU has begun and not ended. */
  get inside(): boolean {
    return this.#have > 0 || this.#state === State.Data || this.#state === State.Tail
  }

  /** Takes the bytes of `chunk` from `at` to `end`. */
  push(chunk: Buffer, at: number, end: number): void {
    while (at < end) {
      if (this.#state === State.Header) at = this.#takeHeader(chunk, at, end)
      else if (this.#state === State.Data) at = this.#takeData(chunk, at, end)
      else if (this.#state === State.Tail) at = this.#takeTail(chunk, at, end)
      else return
    }
  }

  #takeHeader(chunk: Buffer, at: number, end: number): number {
    if (this.#have === 0 && end - at >= HEADER_LENGTH) {
      const need = this.#headerLength(chunk, at)
      if (end - at >= need) {
        this.#startPdu(chunk, at, need)
        return at + need
      }
    }
    at = this.#gather(chunk, at, end, HEADER_LENGTH)
    if (this.#have < HEADER_LENGTH) return at
    const need = this.#headerLength(this.#carry, 0)
    at = this.#gather(chunk, at, end, need)
    if (this.#have < need) return at
    this.#have = 0
    this.#startPdu(this.#carry, 0, need)
    return at
  }

  /** Copies into the carry until it has `need` bytes; returns where the chunk goes on. */
  #gather(chunk: Buffer, at: number, end: number, need: number): number {
    if (this.#have >= need) return at
    const next = Math.min(end, at + need - this.#have)
    this.#have += chunk.copy(this.#carry, this.#have, at, next)
    return next
  }

  #headerLength(bytes: Buffer, at: number): number {
    return HEADER_LENGTH + (bytes[at + 4] as number) * 4 + (this.#headerDigest ? 4 : 0)
  }

  #startPdu(bytes: Buffer, at: number, length: number): void {
    if (this.#headerDigest) {
      const covered = length - 4
      if (crc32c(bytes.subarray(at, at + covered)) !== bytes.readUInt32LE(at + covered)) {
        return this.#break('a header digest is wrong')
      }
    }
    const dataLength = bytes.readUInt32BE(at + 4) & 0xff_ffff
    if (dataLength > this.maxData) {
      return this.#break(`a data segment of ${dataLength} bytes; ${this.maxData} are the limit`)
    }
    this.#mode = this.sink.header(bytes, at, dataLength)
    if (this.#state === State.Stopped) return
    const collects = this.#mode === DataMode.Collect
    if (collects) {
      this.#header = Buffer.from(bytes.subarray(at, at + HEADER_LENGTH))
      this.#collected = dataLength === 0 ? NOTHING : Buffer.allocUnsafe(dataLength)
    }
    if (dataLength === 0) return this.#endPdu()
    this.#left = dataLength
    this.#pad = padding(dataLength)
    this.#tail = this.#pad + (this.#dataDigest ? 4 : 0)
    this.#crc = 0
    this.#state = State.Data
  }

  #takeData(chunk: Buffer, at: number, end: number): number {
    const next = Math.min(end, at + this.#left)
    if (this.#dataDigest) this.#crc = crc32c(chunk.subarray(at, next), this.#crc)
    if (this.#mode === DataMode.Stream) this.sink.data(chunk, at, next)
    else chunk.copy(this.#collected, this.#collected.length - this.#left, at, next)
    this.#left -= next - at
    if (this.#left === 0 && this.#state === State.Data) {
      if (this.#tail === 0) this.#endPdu()
      else this.#state = State.Tail
    }
    return next
  }

  #takeTail(chunk: Buffer, at: number, end: number): number {
    at = this.#gather(chunk, at, end, this.#tail)
    if (this.#have < this.#tail) return at
    this.#have = 0
    if (this.#dataDigest) {
      const crc = this.#pad === 0 ? this.#crc : crc32c(this.#carry.subarray(0, this.#pad), this.#crc)
      if (crc !== this.#carry.readUInt32LE(this.#pad)) {
        this.#break('a data digest is wrong')
        return end
      }
    }
    this.#endPdu()
    return at
  }

  #endPdu(): void {
    this.#state = State.Header
    if (this.#mode === DataMode.Stream) return this.sink.end()
    const data = this.#collected
    this.#collected = NOTHING
    this.sink.whole(this.#header, data)
  }

  #break(reason: string): void {
    this.stop()
    this.sink.broken(reason)
  }
}
