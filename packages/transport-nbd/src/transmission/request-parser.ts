import { get16, get32 } from '@blockbraid/wire'
import { Magic } from '../protocol.ts'

/** What the sink wants done after a header. */
export const Payload = { None: 0, Keep: 1, Skip: 2, Stop: 3, Wait: 4 } as const
export type Payload = (typeof Payload)[keyof typeof Payload]

/** Takes what a {@link RequestParser} finds. */
export interface RequestSink {
  /** Whether the next header must wait. */
  stalled(): boolean
  /** A header is in the parser's fields. Stop: nothing after it is looked at. Wait: the next `parse` asks again. */
  header(parser: RequestParser): Payload
  /** A view of payload to keep; several add up to `length`. */
  payload(view: Uint8Array): void
  /** The payload, kept or skipped, is complete. */
  payloadEnd(): void
  /** The stream is not NBD; nothing after it is looked at. */
  broken(reason: string): void
}

const State = { Header: 0, Keep: 1, Skip: 2, Stopped: 3, Waiting: 4 } as const

const COMPACT_HEADER = 28
const EXTENDED_HEADER = 32

// Pieces below this are gathered: a client that sends single bytes must not cost a view for each.
const SMALL_PIECE = 2048
const GATHER_SIZE = 65536

/** Requests out of a stream of chunks. Payload is given as views of them, or of memory of its own where small pieces were gathered. */
export class RequestParser {
  flags = 0
  command = 0
  // Doubles: unsigned 32-bit values do not fit V8's small integers.
  cookieHigh = 0.5
  cookieLow = 0.5
  offsetHigh = 0.5
  offsetLow = 0.5
  /** Bytes, of payload or of effect; above 2 ** 53 it is not exact. */
  length = 0.5

  readonly #sink: RequestSink
  /** Smaller pieces are gathered. */
  readonly #smallest: number
  readonly #magic: number
  readonly #headerSize: number
  readonly #scratch = Buffer.alloc(EXTENDED_HEADER)
  #state: number = State.Header
  /** Bytes of a header in `#scratch`. */
  #have = 0
  /** Bytes of payload still to come. */
  #remaining = 0
  #gather: Buffer | null = null
  #gathered = 0

  /** `gather`: joins small pieces of payload; without it each is a view. */
  constructor(sink: RequestSink, extended: boolean, gather = true) {
    this.#sink = sink
    this.#smallest = gather ? SMALL_PIECE : 0
    this.#magic = extended ? Magic.ExtendedRequest : Magic.Request
    this.#headerSize = extended ? EXTENDED_HEADER : COMPACT_HEADER
  }

  /** Whether part of a request is here and the rest is not. */
  get midRequest(): boolean {
    return this.#have > 0 || (this.#state !== State.Header && this.#state !== State.Stopped)
  }

  /** Whether the sink wanted the last header to wait. */
  get waiting(): boolean {
    return this.#state === State.Waiting
  }

  /** Takes bytes from `start` to `end` and returns where it stopped: at the end, or where the sink stalled or has it wait. */
  parse(chunk: Buffer, start: number, end: number): number {
    if (this.#state === State.Waiting) this.#ask()
    let at = start
    while (at < end) {
      switch (this.#state) {
        case State.Header:
          if (this.#have === 0) {
            if (this.#sink.stalled()) return at
            if (end - at >= this.#headerSize) {
              this.#header(chunk, at)
              at += this.#headerSize
              break
            }
          }
          at += this.#splitHeader(chunk, at, end)
          break
        case State.Waiting:
          return at
        case State.Keep:
        case State.Skip:
          at += this.#payload(chunk, at, end)
          break
        default:
          return end
      }
    }
    return at
  }

  /** Looks at nothing any more, and drops what it has gathered. */
  stop(): void {
    this.#state = State.Stopped
    this.#have = 0
    this.#gather = null
  }

  #splitHeader(chunk: Buffer, at: number, end: number): number {
    const size = Math.min(this.#headerSize - this.#have, end - at)
    for (let i = 0; i < size; i++) this.#scratch[this.#have + i] = chunk[at + i]!
    this.#have += size
    if (this.#have === this.#headerSize) {
      this.#have = 0
      this.#header(this.#scratch, 0)
    }
    return size
  }

  #header(bytes: Buffer, at: number): void {
    if (get32(bytes, at) !== this.#magic) {
      this.stop()
      this.#sink.broken('bad magic number in a request')
      return
    }
    this.flags = get16(bytes, at + 4)
    this.command = get16(bytes, at + 6)
    this.cookieHigh = get32(bytes, at + 8)
    this.cookieLow = get32(bytes, at + 12)
    this.offsetHigh = get32(bytes, at + 16)
    this.offsetLow = get32(bytes, at + 20)
    this.length =
      this.#headerSize === COMPACT_HEADER
        ? get32(bytes, at + 24)
        : get32(bytes, at + 24) * 2 ** 32 + get32(bytes, at + 28)
    this.#ask()
  }

  #ask(): void {
    const next = this.#sink.header(this)
    if (this.#state === State.Stopped) return
    if (next === Payload.Stop) this.stop()
    else if (next === Payload.None) this.#state = State.Header
    else if (next === Payload.Wait) this.#state = State.Waiting
    else {
      this.#state = next === Payload.Keep ? State.Keep : State.Skip
      this.#remaining = this.length
    }
  }

  #payload(chunk: Buffer, at: number, end: number): number {
    const size = Math.min(this.#remaining, end - at)
    if (this.#state === State.Keep) this.#keep(chunk, at, size)
    this.#remaining -= size
    if (this.#remaining === 0) {
      if (this.#gather !== null) this.#endGather()
      this.#state = State.Header
      this.#sink.payloadEnd()
    }
    return size
  }

  #keep(chunk: Buffer, at: number, size: number): void {
    const last = size === this.#remaining
    if (size >= this.#smallest || (last && this.#gather === null)) {
      if (this.#gather !== null) this.#endGather()
      this.#sink.payload(chunk.subarray(at, at + size))
      return
    }
    let done = 0
    while (done < size) {
      if (this.#gather === null) {
        this.#gather = Buffer.allocUnsafeSlow(Math.min(GATHER_SIZE, this.#remaining - done))
        this.#gathered = 0
      }
      const part = Math.min(size - done, this.#gather.length - this.#gathered)
      chunk.copy(this.#gather, this.#gathered, at + done, at + done + part)
      this.#gathered += part
      done += part
      if (this.#gathered === this.#gather.length) this.#endGather()
    }
  }

  #endGather(): void {
    const gather = this.#gather!
    this.#gather = null
    const used = gather.subarray(0, this.#gathered)
    // A view of a few bytes would keep all of it: a client that mixes small and large pieces must not cost 32 times its payload.
    this.#sink.payload(used.length * 2 > gather.length ? used : new Uint8Array(used))
  }
}
