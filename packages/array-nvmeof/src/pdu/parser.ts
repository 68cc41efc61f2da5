import { crc32c, get32le } from '@blockbraid/wire'
import { COMMON_HEADER, Fes, headerLength, isIncoming, LONGEST_HEADER, PduFlag, PduType, pduName } from './types.ts'

const HEADER = 0
const PAD = 1
const DATA = 2
const DIGEST = 3
const DEAD = 4

const DIGEST_LENGTH = 4
/** PLEN of a TermReq at most: its header, and that of the PDU it is about. */
const LONGEST_TERM = 152

/** What a parser finds. */
export interface PduSink {
  /**
   * A header at `at`, valid until it returns. Says whether to go on; then its `length` bytes of data come in any number of
   * pieces, and `pduEnd`.
   */
  pduHeader(bytes: Buffer, at: number, length: number): boolean
  /** A piece of the data: it stays as it is until this returns, or for as long as its connection is told to hold it. */
  pduData(view: Buffer): void
  /** The PDU is complete. `intact`: its data digest is right. */
  pduEnd(intact: boolean): void
  /** The bytes make no sense any more; nothing is called after this. `header` is what there is of the PDU's. */
  broken(fes: number, info: number, reason: string, header: Buffer): void
}

/** Reads the PDUs of a host from chunks cut anywhere. */
export class PduParser {
  /** Whether headers are followed by a digest. */
  headerDigest = false
  /** Whether data is followed by a digest. */
  dataDigest = false
  /** Whether the ICReq has come. */
  initialized = false
  /** What data is aligned to, bytes. */
  alignment = 4
  /** Bytes of data in a command capsule, and in one H2CData. */
  maxInCapsule = 0
  maxH2CData = 0
  readonly #sink: PduSink
  readonly #scratch = Buffer.alloc(LONGEST_HEADER + DIGEST_LENGTH)
  #state = HEADER
  #gathered = 0
  /** Bytes of header and header digest. */
  #size = 0
  #left = 0
  /** Bytes between header and data. */
  #pad = 0
  #withDigest = false
  #crc = 0

  constructor(sink: PduSink) {
    this.#sink = sink
  }

  /** Takes the bytes of `chunk` from `start` to `end`; views of them are handed on. */
  push(chunk: Buffer, start: number, end: number): void {
    let at = start
    while (at < end) {
      if (this.#state === HEADER) {
        if (this.#gathered === 0 && end - at >= COMMON_HEADER) {
          if (!this.#common(chunk, at)) return
          if (end - at >= this.#size) {
            this.#header(chunk, at)
            at += this.#size
            continue
          }
        }
        at = this.#gather(chunk, at, end)
      } else if (this.#state === DATA) at = this.#data(chunk, at, end)
      else if (this.#state === PAD) at = this.#skip(at, end)
      else if (this.#state === DIGEST) at = this.#digest(chunk, at, end)
      else return
    }
  }

  /** Takes nothing more. */
  stop(): void {
    this.#state = DEAD
  }

  #gather(chunk: Buffer, at: number, end: number): number {
    const wanted = this.#gathered < COMMON_HEADER ? COMMON_HEADER : this.#size
    const count = Math.min(wanted - this.#gathered, end - at)
    chunk.copy(this.#scratch, this.#gathered, at, at + count)
    this.#gathered += count
    if (this.#gathered < wanted) return at + count
    if (wanted === COMMON_HEADER && !this.#common(this.#scratch, 0)) return end
    if (this.#gathered === this.#size) {
      this.#gathered = 0
      this.#header(this.#scratch, 0)
    }
    return at + count
  }

  /** Looks at a common header, and what follows from it; false where it makes no sense. */
  #common(bytes: Buffer, at: number): boolean {
    const type = bytes[at]!
    const hlen = headerLength(type)
    if (hlen === 0 || !isIncoming(type)) return this.#wrong(bytes, at, 0, `${pduName(type)}, which no host sends`)
    if (this.initialized === (type === PduType.icReq)) {
      const reason = this.initialized ? 'a second icReq' : `${pduName(type)} before the icReq`
      return this.#break(Fes.sequence, 0, reason, bytes, at)
    }
    if (bytes[at + 2] !== hlen) return this.#wrong(bytes, at, 2, `HLEN ${bytes[at + 2]}; it must be ${hlen}`)
    if (type === PduType.icReq || type === PduType.h2cTerm) return this.#plain(bytes, at, type, hlen)
    return this.#withData(bytes, at, type, hlen)
  }

  #plain(bytes: Buffer, at: number, type: number, hlen: number): boolean {
    const plen = get32le(bytes, at + 4)
    const most = type === PduType.icReq ? hlen : LONGEST_TERM
    if (plen < hlen || plen > most) return this.#wrong(bytes, at, 4, `PLEN ${plen}; it must be from ${hlen} to ${most}`)
    this.#size = hlen
    this.#pad = 0
    this.#left = plen - hlen
    this.#withDigest = false
    return true
  }

  #withData(bytes: Buffer, at: number, type: number, hlen: number): boolean {
    const flags = bytes[at + 1]!
    const plen = get32le(bytes, at + 4)
    const size = this.headerDigest ? hlen + DIGEST_LENGTH : hlen
    const hasData = plen !== size
    const digested = hasData && this.dataDigest
    if (((flags & PduFlag.headerDigest) !== 0) !== this.headerDigest) {
      return this.#wrong(bytes, at, 1, 'HDGSTF is not what was agreed on')
    }
    if (((flags & PduFlag.dataDigest) !== 0) !== digested) {
      return this.#wrong(bytes, at, 1, 'DDGSTF is not what was agreed on')
    }
    this.#size = size
    this.#pad = 0
    this.#left = 0
    this.#withDigest = digested
    if (!hasData) {
      if (type === PduType.command) return true
      return this.#wrong(bytes, at, 4, `PLEN ${plen}, without data`)
    }
    const pdo = bytes[at + 3]!
    const length = plen - pdo - (digested ? DIGEST_LENGTH : 0)
    if (plen < size) return this.#wrong(bytes, at, 4, `PLEN ${plen}, less than the header has`)
    if (pdo < size || pdo % this.alignment !== 0) {
      return this.#wrong(bytes, at, 3, `PDO ${pdo}; it must be a multiple of ${this.alignment} from ${size} on`)
    }
    if (length <= 0) return this.#wrong(bytes, at, 4, `PLEN ${plen}, with PDO ${pdo}`)
    const most = type === PduType.command ? this.maxInCapsule : this.maxH2CData
    if (length > most) return this.#break(Fes.limitExceeded, 0, `${length} bytes of data, more than ${most}`, bytes, at)
    this.#pad = pdo - size
    this.#left = length
    return true
  }

  #header(bytes: Buffer, at: number): void {
    if (this.headerDigest && bytes[at] !== PduType.h2cTerm) {
      const hlen = this.#size - DIGEST_LENGTH
      const digest = get32le(bytes, at + hlen)
      if (crc32c(bytes, 0, at, at + hlen) !== digest) {
        this.#break(Fes.headerDigest, digest, 'a header with a wrong digest', bytes, at, hlen)
        return
      }
    }
    this.#crc = 0
    if (!this.#sink.pduHeader(bytes, at, this.#left)) return this.stop()
    if (this.#state === DEAD) return
    if (this.#left === 0) this.#sink.pduEnd(true)
    else this.#state = this.#pad === 0 ? DATA : PAD
  }

  #skip(at: number, end: number): number {
    const count = Math.min(this.#pad, end - at)
    this.#pad -= count
    if (this.#pad === 0) this.#state = DATA
    return at + count
  }

  #data(chunk: Buffer, at: number, end: number): number {
    const count = Math.min(this.#left, end - at)
    const view = chunk.subarray(at, at + count)
    if (this.#withDigest) this.#crc = crc32c(view, this.#crc)
    this.#left -= count
    this.#sink.pduData(view)
    if (this.#left === 0 && this.#state === DATA) {
      if (this.#withDigest) this.#state = DIGEST
      else this.#end(true)
    }
    return at + count
  }

  #digest(chunk: Buffer, at: number, end: number): number {
    const count = Math.min(DIGEST_LENGTH - this.#gathered, end - at)
    chunk.copy(this.#scratch, this.#gathered, at, at + count)
    this.#gathered += count
    if (this.#gathered < DIGEST_LENGTH) return at + count
    this.#gathered = 0
    this.#end(get32le(this.#scratch, 0) === this.#crc)
    return at + count
  }

  #end(intact: boolean): void {
    this.#state = HEADER
    this.#sink.pduEnd(intact)
  }

  #wrong(bytes: Buffer, at: number, field: number, reason: string): false {
    return this.#break(Fes.invalidHeader, field, reason, bytes, at)
  }

  #break(fes: number, info: number, reason: string, bytes: Buffer, at: number, size = COMMON_HEADER): false {
    this.stop()
    this.#sink.broken(fes, info, reason, Buffer.from(bytes.subarray(at, at + size)))
    return false
  }
}
