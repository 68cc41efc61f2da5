import { Allocation, Chunk, Command, errnoFromWire, Magic, uint32, uint64 } from './protocol.ts'
import type { NbdRequest } from './request.ts'

const HEADER = 0
const OFFSET = 1
const DATA = 2
const PAYLOAD = 3
const POISONED = 4

const HEADER_SIZE = 32
// Block status of a whole export in one chunk; errors and holes are far shorter.
const MAX_PAYLOAD = 4 * 1024 * 1024

/** What a parser finds. */
export interface ReplySink {
  /** The request with that cookie, if it is in flight. */
  find(slot: number, generation: number): NbdRequest | undefined
  /** Its reply is complete. */
  ended(request: NbdRequest): void
  /** The server broke the protocol; nothing is called after this. */
  broken(reason: string): void
}

/** Reads the replies of an NBD server, in every style, from chunks cut anywhere. */
export class ReplyParser {
  readonly #sink: ReplySink
  readonly #chunked: boolean
  readonly #allocation: number
  readonly #scratch = Buffer.alloc(HEADER_SIZE)
  #state = HEADER
  #gathered = 0
  /** Bytes of data or payload that are still to come. */
  #left = 0
  #request: NbdRequest | undefined
  #type = 0
  #last = false
  #payload: Buffer = Buffer.alloc(0)

  /** `chunked`: structured or extended replies were agreed on; `allocation`: number of base:allocation, or -1. */
  constructor(sink: ReplySink, chunked: boolean, allocation = -1) {
    this.#sink = sink
    this.#chunked = chunked
    this.#allocation = allocation
  }

  /** Takes what came from the socket. */
  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      switch (this.#state) {
        case HEADER:
          at = this.#gatherHeader(chunk, at)
          break
        case OFFSET:
          at = this.#gatherOffset(chunk, at)
          break
        case DATA:
          at = this.#takeData(chunk, at)
          break
        case PAYLOAD:
          at = this.#gatherPayload(chunk, at)
          break
        default:
          return
      }
    }
  }

  #break(reason: string): void {
    this.#state = POISONED
    this.#sink.broken(reason)
  }

  #gatherHeader(chunk: Buffer, at: number): number {
    const here = chunk.length - at
    if (this.#gathered === 0 && here >= 4) {
      const size = headerSize(uint32(chunk, at))
      if (here >= size) {
        this.#readHeader(chunk, at)
        return at + size
      }
    }
    // The header is split: its magic tells how long it is.
    const wanted = this.#gathered < 4 ? 4 : headerSize(uint32(this.#scratch, 0))
    const count = Math.min(wanted - this.#gathered, here)
    chunk.copy(this.#scratch, this.#gathered, at, at + count)
    this.#gathered += count
    if (this.#gathered >= 4 && this.#gathered === headerSize(uint32(this.#scratch, 0))) {
      this.#gathered = 0
      this.#readHeader(this.#scratch, 0)
    }
    return at + count
  }

  #readHeader(bytes: Buffer, at: number): void {
    const magic = uint32(bytes, at)
    if (magic === Magic.simpleReply) return this.#simpleReply(bytes, at)
    if (!this.#chunked || (magic !== Magic.structuredReply && magic !== Magic.extendedReply)) {
      return this.#break(`a reply begins with 0x${magic.toString(16)}`)
    }
    const extended = magic === Magic.extendedReply
    const flags = (bytes[at + 4]! << 8) | bytes[at + 5]!
    const type = (bytes[at + 6]! << 8) | bytes[at + 7]!
    const request = this.#sink.find(uint32(bytes, at + 12), uint32(bytes, at + 8))
    if (request === undefined) return this.#break('a reply to a request that is not in flight')
    this.#request = request
    this.#type = type
    this.#last = (flags & Chunk.done) !== 0
    this.#beginChunk(extended ? uint64(bytes, at + 24) : uint32(bytes, at + 16))
  }

  #simpleReply(bytes: Buffer, at: number): void {
    const request = this.#sink.find(uint32(bytes, at + 12), uint32(bytes, at + 8))
    if (request === undefined) return this.#break('a reply to a request that is not in flight')
    const error = uint32(bytes, at + 4)
    if (error !== 0) request.errno = errnoFromWire(error)
    this.#last = true
    this.#request = request
    if (request.command !== Command.read || error !== 0 || request.length === 0) return this.#endChunk()
    if (this.#chunked) return this.#break('a simple reply to a read, where chunks were agreed on')
    this.#left = request.length
    this.#state = DATA
  }

  #beginChunk(length: number): void {
    const request = this.#request!
    if (this.#type === Chunk.offsetData) {
      // Eight bytes of offset, then at least one byte of data.
      if (request.command !== Command.read || length <= 8 || length - 8 > request.length) {
        return this.#break(`a data chunk of ${length} bytes for ${request.length}`)
      }
      this.#left = length - 8
      this.#state = OFFSET
      return
    }
    if (length > MAX_PAYLOAD) return this.#break(`a chunk of type ${this.#type} with ${length} bytes`)
    if (length === 0) return this.#readPayload(Buffer.alloc(0))
    this.#payload = Buffer.allocUnsafe(length)
    this.#left = length
    this.#state = PAYLOAD
  }

  #gatherOffset(chunk: Buffer, at: number): number {
    const count = Math.min(8 - this.#gathered, chunk.length - at)
    chunk.copy(this.#scratch, this.#gathered, at, at + count)
    this.#gathered += count
    if (this.#gathered < 8) return at + count
    this.#gathered = 0
    const request = this.#request!
    const position = uint64(this.#scratch, 0) - request.offset
    if (position < 0 || position + this.#left > request.length) {
      this.#break('a data chunk outside of what was asked for')
      return chunk.length
    }
    request.seek(position)
    this.#state = DATA
    return at + count
  }

  #takeData(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#left)
    this.#request!.take(chunk, at, end)
    this.#left -= end - at
    if (this.#left === 0) this.#endChunk()
    return end
  }

  #gatherPayload(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#left)
    chunk.copy(this.#payload, this.#payload.length - this.#left, at, end)
    this.#left -= end - at
    if (this.#left === 0) this.#readPayload(this.#payload)
    return end
  }

  #readPayload(payload: Buffer): void {
    const request = this.#request!
    const complaint =
      this.#type >= Chunk.errors ? readError(request, payload) : this.#readChunk(request, this.#type, payload)
    if (complaint !== '') return this.#break(complaint)
    this.#endChunk()
  }

  #readChunk(request: NbdRequest, type: number, payload: Buffer): string {
    switch (type) {
      case Chunk.none:
        return payload.length === 0 && this.#last ? '' : 'a chunk without type that has bytes, or is not the last'
      case Chunk.offsetHole:
        return readHole(request, payload)
      case Chunk.blockStatus:
      case Chunk.blockStatusExtended:
        return readStatus(request, payload, type === Chunk.blockStatusExtended, this.#allocation)
      default:
        return `a chunk of type ${type}`
    }
  }

  #endChunk(): void {
    const request = this.#request!
    this.#state = HEADER
    this.#request = undefined
    if (!this.#last) return
    if (request.errno === 0 && request.command === Command.read && request.received !== request.length) {
      return this.#break(`a read of ${request.length} bytes ended with ${request.received}`)
    }
    this.#sink.ended(request)
  }
}

function headerSize(magic: number): number {
  if (magic === Magic.structuredReply) return 20
  return magic === Magic.extendedReply ? HEADER_SIZE : 16
}

function readError(request: NbdRequest, payload: Buffer): string {
  if (payload.length < 6) return `an error chunk of ${payload.length} bytes`
  const errno = errnoFromWire(uint32(payload, 0))
  if (request.errno === 0) request.errno = errno
  return ''
}

function readHole(request: NbdRequest, payload: Buffer): string {
  if (payload.length !== 12 || request.command !== Command.read) return 'a malformed hole'
  const position = uint64(payload, 0) - request.offset
  const length = uint32(payload, 8)
  if (length === 0 || position < 0 || position + length > request.length) return 'a hole outside of what was asked for'
  request.seek(position)
  request.zero(length)
  return ''
}

function readStatus(request: NbdRequest, payload: Buffer, wide: boolean, allocation: number): string {
  const [start, step] = wide ? [8, 16] : [4, 8]
  const misfit = payload.length < start + step || (payload.length - start) % step !== 0
  if (request.command !== Command.blockStatus || misfit) return 'a malformed block status'
  if (wide && uint32(payload, 4) !== (payload.length - start) / step) return 'a block status with a wrong count'
  if (uint32(payload, 0) !== allocation) return 'a block status of a context that was not agreed on'
  for (let at = start; at < payload.length; at += step) {
    const length = wide ? uint64(payload, at) : uint32(payload, at)
    const flags = wide ? uint64(payload, at + 8) : uint32(payload, at + 4)
    if (length === 0) return 'a block status of no bytes'
    request.extents.push({ length, hole: flags % 2 === Allocation.hole, zero: (flags & Allocation.zero) !== 0 })
  }
  return ''
}
