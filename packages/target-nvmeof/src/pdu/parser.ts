import { crc32c, get16le, get32le } from '@blockbraid/wire'
import type { Agreed } from './agreed.ts'
import type { Fault } from './fault.ts'
import { Fes, fault, pduName } from './fault.ts'
import { COMMON_LENGTH, DIGEST_LENGTH, HeaderLength, PduFlag, PduType } from './opcode.ts'

/** Takes what a {@link PduParser} finds. Headers are right in themselves, and stand at `bytes[at]` during the call only. */
export interface PduSink {
  /** ICResp: what is sent and parsed from now on is for the sink to say, by `use`. */
  icResp(bytes: Buffer, at: number): void
  /** CapsuleResp. */
  response(bytes: Buffer, at: number): void
  /** R2T. */
  readyToTransfer(bytes: Buffer, at: number): void
  /** The header of C2HData with `length` bytes, which follow. */
  dataHeader(bytes: Buffer, at: number, length: number): void
  /** A piece of them. */
  data(bytes: Buffer, start: number, end: number): void
  /** All of them have come; whether their digest is right, where there is one. */
  dataEnd(right: boolean): void
  /** C2HTermReq. */
  termReq(fes: number, fei: number): void
  /** The stream makes no sense any more; nothing else will be said. `header` is what of the PDU in error is at hand. */
  broken(fault: Fault, header: Buffer): void
}

const State = { Header: 0, Pad: 1, Data: 2, Digest: 3, Stopped: 4 } as const
type State = (typeof State)[keyof typeof State]

// The longest header, and the longest termination request.
const LONGEST = 160
const MAX_TERM_REQ = HeaderLength.TermReq + 128

/** Cuts a controller's byte stream into PDUs (NVMe/TCP Transport 1.1 §3.6), whatever the pieces it comes in. */
export class PduParser {
  /** Bytes of data; a C2HData with more breaks the stream. */
  maxData = 0
  readonly #sink: PduSink
  /** Where the controller's data begins: a multiple of so many bytes (HPDA). */
  readonly #align: number
  #agreed = false
  #headerDigest = false
  #dataDigest = false
  /** Bytes of a header with its digest, and where data begins behind it. */
  #headLength: number = HeaderLength.Data
  #dataAt: number = HeaderLength.Data
  #state: State = State.Header
  // A header or a digest that came in pieces.
  readonly #carry = Buffer.alloc(LONGEST)
  #have = 0
  #left = 0.5
  #pad = 0
  #crc = 0.5

  constructor(sink: PduSink, align: number) {
    this.#sink = sink
    this.#align = align
    // Declared as doubles: V8 then keeps one representation when they pass 2 ** 31.
    this.#left = 0
    this.#crc = 0
  }

  /** Holds from the next header on; an ICResp is none any more. */
  use({ headerDigest, dataDigest }: Agreed): void {
    this.#agreed = true
    this.#headerDigest = headerDigest
    this.#dataDigest = dataDigest
    this.#headLength = HeaderLength.Data + (headerDigest ? DIGEST_LENGTH : 0)
    this.#dataAt = Math.ceil(this.#headLength / this.#align) * this.#align
  }

  /** Nothing more is parsed or said, also not of the bytes at hand. */
  stop(): void {
    this.#state = State.Stopped
  }

  /** Whether a PDU has begun and not ended. */
  get inside(): boolean {
    return this.#have > 0 || (this.#state !== State.Header && this.#state !== State.Stopped)
  }

  /** Takes the bytes of `chunk` from `at` to `end`. */
  push(chunk: Buffer, at: number, end: number): void {
    while (at < end) {
      switch (this.#state) {
        case State.Header:
          at = this.#takeHeader(chunk, at, end)
          break
        case State.Data:
          at = this.#takeData(chunk, at, end)
          break
        case State.Pad:
          at = this.#takePad(at, end)
          break
        case State.Digest:
          at = this.#takeDigest(chunk, at, end)
          break
        default:
          return
      }
    }
  }

  #takeHeader(chunk: Buffer, at: number, end: number): number {
    if (this.#have === 0 && end - at >= COMMON_LENGTH) {
      const need = this.#headerLength(chunk, at)
      if (need === 0) return end
      if (end - at >= need) {
        this.#startPdu(chunk, at, need)
        return at + need
      }
    }
    at = this.#gather(chunk, at, end, COMMON_LENGTH)
    if (this.#have < COMMON_LENGTH) return at
    const need = this.#headerLength(this.#carry, 0)
    if (need === 0) return end
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

  /** What of a PDU is needed before anything is said of it: its header with the digest. 0: its common header is wrong. */
  #headerLength(bytes: Buffer, at: number): number {
    const type = bytes[at] as number
    const length = get32le(bytes, at + 4)
    if (this.#agreed && bytes[at + 2] === HeaderLength.Data) {
      const flags = (bytes[at + 1] as number) & (PduFlag.HeaderDigest | PduFlag.DataDigest)
      const headerFlag = this.#headerDigest ? PduFlag.HeaderDigest : 0
      if (type === PduType.C2hData) {
        const flag = headerFlag | (this.#dataDigest ? PduFlag.DataDigest : 0)
        const most = this.#dataAt + this.maxData + (this.#dataDigest ? DIGEST_LENGTH : 0)
        if (flags === flag && bytes[at + 3] === this.#dataAt && length <= most) return this.#headLength
      } else if (type === PduType.CapsuleResp || type === PduType.ReadyToTransfer) {
        if ((flags & PduFlag.HeaderDigest) === headerFlag && length === this.#headLength) return this.#headLength
      }
    }
    return this.#rareLength(bytes, at, type, length)
  }

  /** As `#headerLength`, of those that come once, and of what is wrong. */
  #rareLength(bytes: Buffer, at: number, type: number, length: number): number {
    const headerLength = bytes[at + 2] as number
    if (type === PduType.C2hTermReq) {
      if (headerLength !== HeaderLength.TermReq)
        return this.#wrong(bytes, at, 2, `a C2HTermReq with HLEN ${headerLength}`)
      if (length >= HeaderLength.TermReq && length <= MAX_TERM_REQ) return length
      return this.#wrong(bytes, at, 4, `a C2HTermReq with PLEN ${length}`)
    }
    if (type === PduType.IcResp && !this.#agreed) {
      if (headerLength !== HeaderLength.Connection)
        return this.#wrong(bytes, at, 2, `an ICResp with HLEN ${headerLength}`)
      if (length === HeaderLength.Connection) return length
      return this.#wrong(bytes, at, 4, `an ICResp with PLEN ${length}`)
    }
    const isKnown = type === PduType.C2hData || type === PduType.CapsuleResp || type === PduType.ReadyToTransfer
    if (isKnown && this.#agreed) return this.#whatIsWrong(bytes, at, type, length)
    const name = pduName(type)
    if (!isKnown && type !== PduType.IcResp) return this.#wrong(bytes, at, 0, `a ${name}, which no controller sends`)
    const when = this.#agreed ? 'after the connection was agreed on' : 'in place of ICResp'
    return this.#break(fault(Fes.Sequence, 0, `${name} ${when}`), bytes, at, COMMON_LENGTH)
  }

  #whatIsWrong(bytes: Buffer, at: number, type: number, length: number): number {
    const name = pduName(type)
    const flags = bytes[at + 1] as number
    if (bytes[at + 2] !== HeaderLength.Data) return this.#wrong(bytes, at, 2, `${name} with HLEN ${bytes[at + 2]}`)
    if (((flags & PduFlag.HeaderDigest) !== 0) !== this.#headerDigest) {
      const is = this.#headerDigest ? 'without the header digest that was agreed on' : 'with a header digest'
      return this.#wrong(bytes, at, 1, `${name} ${is}`)
    }
    if (type !== PduType.C2hData) return this.#wrong(bytes, at, 4, `${name} with PLEN ${length}`)
    if (((flags & PduFlag.DataDigest) !== 0) !== this.#dataDigest) {
      const is = this.#dataDigest ? 'without the data digest that was agreed on' : 'with a data digest'
      return this.#wrong(bytes, at, 1, `${name} ${is}`)
    }
    if (bytes[at + 3] !== this.#dataAt) {
      return this.#wrong(bytes, at, 3, `${name} with PDO ${bytes[at + 3]}, and not ${this.#dataAt}`)
    }
    return this.#wrong(bytes, at, 4, `${name} with PLEN ${length}; no command has more than ${this.maxData} bytes`)
  }

  #startPdu(bytes: Buffer, at: number, length: number): void {
    const type = bytes[at] as number
    if (type === PduType.IcResp) return this.#sink.icResp(bytes, at)
    if (type === PduType.C2hTermReq) {
      this.stop()
      return this.#sink.termReq(get16le(bytes, at + 8), get32le(bytes, at + 10))
    }
    if (this.#headerDigest) {
      const covered = at + length - DIGEST_LENGTH
      const digest = get32le(bytes, covered)
      if (crc32c(bytes, 0, at, covered) !== digest) {
        return void this.#break(
          fault(Fes.HeaderDigest, digest, `${pduName(type)} with a wrong header digest`),
          bytes,
          at,
          length,
        )
      }
    }
    if (type === PduType.CapsuleResp) this.#sink.response(bytes, at)
    else if (type === PduType.ReadyToTransfer) this.#sink.readyToTransfer(bytes, at)
    else this.#startData(bytes, at, length)
  }

  #startData(bytes: Buffer, at: number, length: number): void {
    const dataLength = get32le(bytes, at + 16)
    const all = get32le(bytes, at + 4)
    const behind = this.#dataAt + dataLength + (this.#dataDigest ? DIGEST_LENGTH : 0)
    if (dataLength === 0 || all !== behind) {
      return void this.#wrong(bytes, at, 4, `C2HData of ${dataLength} bytes with PLEN ${all}`, length)
    }
    this.#left = dataLength
    this.#pad = this.#dataAt - length
    this.#crc = 0
    this.#state = this.#pad > 0 ? State.Pad : State.Data
    this.#sink.dataHeader(bytes, at, dataLength)
  }

  #takePad(at: number, end: number): number {
    const count = Math.min(end - at, this.#pad)
    this.#pad -= count
    if (this.#pad === 0) this.#state = State.Data
    return at + count
  }

  #takeData(chunk: Buffer, at: number, end: number): number {
    const next = Math.min(end, at + this.#left)
    if (this.#dataDigest) this.#crc = crc32c(chunk, this.#crc, at, next)
    this.#left -= next - at
    this.#sink.data(chunk, at, next)
    if (this.#left > 0 || this.#state === State.Stopped) return next
    if (this.#dataDigest) this.#state = State.Digest
    else {
      this.#state = State.Header
      this.#sink.dataEnd(true)
    }
    return next
  }

  #takeDigest(chunk: Buffer, at: number, end: number): number {
    at = this.#gather(chunk, at, end, DIGEST_LENGTH)
    if (this.#have < DIGEST_LENGTH) return at
    this.#have = 0
    this.#state = State.Header
    this.#sink.dataEnd(get32le(this.#carry, 0) === this.#crc)
    return at
  }

  #wrong(bytes: Buffer, at: number, field: number, reason: string, length: number = COMMON_LENGTH): number {
    return this.#break(fault(Fes.InvalidField, field, reason), bytes, at, length)
  }

  /** Returns 0, as a header that is wrong has no length. */
  #break(what: Fault, bytes: Buffer, at: number, length: number): number {
    this.stop()
    this.#sink.broken(what, bytes.subarray(at, at + length))
    return 0
  }
}
