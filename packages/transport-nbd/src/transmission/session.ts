import type { Socket } from 'node:net'
import type { Host, Timer } from '@blockbraid/core'
import { BlockError, Errno, IoFlag, IoOp, IoSource, NO_BUFFERS } from '@blockbraid/core'
import type { Wakeful } from '@blockbraid/wire'
import type { Export, ExportUser } from '../export.ts'
import { Command, CommandFlag, MAX_PAYLOAD, ReplyStyle } from '../protocol.ts'
import { Backlog } from './backlog.ts'
import { blockStatus, MAX_STATUS_REPLY, statusPayloadLength } from './block-status.ts'
import type { Negotiated } from './commands.ts'
import { allowedFlags, changesData, hasPayload, headerError, opOf, rangeError } from './commands.ts'
import type { Input } from './input.ts'
import type { MemoryShare, MemoryUser, ServerMemory } from './memory.ts'
import type { SlabPool } from './output.ts'
import { Output } from './output.ts'
import { nbdError, replyBlockStatus, replyData, replyDone, replyError } from './replies.ts'
import type { Request, RequestOwner, RequestPool } from './request.ts'
import type { RequestSink } from './request-parser.ts'
import { Payload, RequestParser } from './request-parser.ts'

/** µs. A client that keeps one request in flight and is quick comes back well within this. */
export const QUICK_CLIENT = 50

/** What the connections of one server share. */
export interface SessionContext {
  readonly host: Host
  readonly requests: RequestPool
  readonly slabs: SlabPool
  readonly wakeful: Wakeful
  readonly maxRequests: number
  readonly maxInflightBytes: number
  /** Left out where clients are trusted with memory: the kernel. */
  readonly memory?: ServerMemory
}

// How long a client may take to fetch its last replies once the server wants to close, ms.
const LINGER = 5000

// A client that has gone shows only behind all that it sent: ms between looks at a socket that is not read otherwise, and
// how many chunks, of 64 KiB at most, may wait for room because of them.
const LOOK = 100
const MAX_BACKLOG = 64
const CHUNK = 65536

const IO_FLAGS = Array.from(
  { length: 32 },
  (_, flags) =>
    ((flags & CommandFlag.Fua) !== 0 ? IoFlag.Fua : 0) |
    ((flags & CommandFlag.NoHole) !== 0 ? IoFlag.NoUnmap : 0) |
    ((flags & CommandFlag.FastZero) !== 0 ? IoFlag.FastZero : 0),
)

/** Bytes that a request needs while it is worked on, or for its reply. */
function bytesFor(command: number, payload: boolean, length: number): number {
  if (command === Command.BlockStatus) return MAX_STATUS_REPLY
  return payload || command === Command.Read ? length : 0
}

function totalLength(views: readonly Uint8Array[]): number {
  let total = 0
  for (let i = 0; i < views.length; i++) total += views[i]!.length
  return total
}

/** The transmission phase of one connection: requests in, Ios to the device, replies out. */
export class Session implements RequestSink, RequestOwner, ExportUser, MemoryUser {
  /** Whether the client has said goodbye. */
  left = false
  readonly #context: SessionContext
  readonly #socket: Socket
  readonly #target: Export
  readonly #style: ReplyStyle
  readonly #allowed: Int32Array
  readonly #parser: RequestParser
  readonly #input: Input | null
  readonly #out: Output
  readonly #onBroken: (reason: string) => void
  /** What the device knows this client by. */
  readonly #source: IoSource
  readonly #share: MemoryShare | null
  #received: number
  #abandoned = false
  /** The request whose payload is coming in. */
  #incoming: Request | null = null
  #inflight = 0
  #inflightBytes = 0
  /** What waits until the session is no longer stalled. */
  readonly #backlog = new Backlog()
  #paused = false
  #nextLook: Timer | undefined
  #tickScheduled = false
  /** Requests answered since the last chunk came. */
  #answers = 0
  /** The client sends no more, and what it sent before is still in the backlog. */
  #ended = false
  /** No more requests are taken; the connection ends after the last reply. */
  #ending = false
  #closed = false
  #linger: Timer | undefined
  #abort: AbortController | undefined

  /**
   * `broken` is called when the client broke the protocol; the session is over then. Where the socket is read
   * into `input`, payload is kept there until it is no longer needed.
   */
  constructor(
    context: SessionContext,
    socket: Socket,
    target: Export,
    negotiated: Negotiated,
    broken: (reason: string) => void,
    input: Input | null = null,
  ) {
    this.#context = context
    this.#socket = socket
    this.#target = target
    this.#style = negotiated.style
    this.#allowed = allowedFlags(negotiated)
    this.#parser = new RequestParser(this, negotiated.style === ReplyStyle.Extended, input === null)
    this.#input = input
    this.#out = new Output(socket, context.slabs, this.#sent)
    this.#onBroken = broken
    this.#source = new IoSource(context.host.clock.now())
    this.#share = context.memory?.share(this) ?? null
    // Started as a double: it passes 2 ** 31.
    this.#received = 0.5
    this.#received = 0
    target.users.add(this)
  }

  /** Takes bytes of the client. */
  data(chunk: Buffer): void {
    if (this.#ending || this.#closed) return
    this.#answers = 0
    this.#received += chunk.length
    this.#context.wakeful.heard()
    if (this.#backlog.length > 0) {
      this.#backlog.push(chunk)
      this.#share?.holds(this.#held())
      return
    }
    const end = this.#parser.parse(chunk, 0)
    if (this.#closed || (end === chunk.length && !this.#parser.waiting)) return
    this.#backlog.push(chunk, end)
    this.#share?.holds(this.#held())
    this.#paused = true
    this.#socket.pause()
    // What is read into slabs is overwritten by the next read.
    if (this.#input === null) this.#nextLook ??= this.#context.host.clock.after(LOOK, this.#look)
  }

  /** The client sends no more; what it asked for is still answered. Without DISC it is taken for dead. */
  end(): void {
    if (!this.left && !this.#backlog.saysGoodbye(this.#parser, this.#style)) this.#abandon()
    // A socket that is paused ends all the same where nothing is left in its buffer.
    if (this.#backlog.length > 0) this.#ended = true
    else this.#finish()
  }

  /** What the handshake sent was taken: the socket that it paused is read again, unless the session paused it too. */
  drained(): void {
    if (!this.#paused && !this.#closed) this.#socket.resume()
  }

  shutdown(): void {
    if (this.#atRest()) this.#finish()
  }

  /** Looks at no more requests, without a word to the client; answers those in flight, then closes. */
  finish(): void {
    this.#finish()
  }

  destroy(reason: string): void {
    this.#onBroken(reason)
  }

  /** The socket is closed: what is in flight completes into nothing. */
  closed(): void {
    if (this.#closed) return
    this.#closed = true
    this.#parser.stop()
    this.#backlog.clear()
    this.#share?.leave()
    this.#linger?.cancel()
    this.#nextLook?.cancel()
    this.#abort?.abort()
    if (this.#incoming !== null) this.#dropIncoming(this.#incoming)
    this.#abandon()
    this.#out.drop()
    this.#share?.holds(this.#held())
    this.#target.users.delete(this)
    this.#target.settled()
  }

  // MemoryUser: called by the memory of the server.

  get moved(): number {
    return this.#received + this.#out.sent
  }

  get awaitsClient(): boolean {
    return this.#incoming !== null || this.#out.unsent > 0
  }

  get unsent(): number {
    return this.#out.unsent
  }

  retry(): void {
    this.#resume()
  }

  evict(reason: string): void {
    this.#onBroken(reason)
  }

  // RequestSink: called by the parser.

  stalled(): boolean {
    return (
      this.#inflight >= this.#context.maxRequests ||
      this.#inflightBytes + this.#out.unsent >= this.#context.maxInflightBytes
    )
  }

  header(parser: RequestParser): Payload {
    const { command, flags, length } = parser
    if (command === Command.Disconnect) {
      this.left = true
      this.#finish()
      return Payload.Stop
    }
    const payload = hasPayload(command, flags)
    if (payload && command !== Command.Write && this.#style !== ReplyStyle.Extended) {
      // Compact headers do not know the flag: whether such a client sends a payload, nobody can tell.
      this.broken(`payload for command ${command} without extended headers`)
      return Payload.Stop
    }
    if (payload && length > MAX_PAYLOAD) {
      // Above what we advertised: skipping it would be work without end, so the client is dropped.
      this.broken(`payload of ${length} bytes`)
      return Payload.Stop
    }
    let refused = headerError(parser, this.#target, this.#style, this.#allowed)
    // It waited while its client went, who may have sent it again elsewhere and written more since.
    if (refused === 0 && this.#abandoned && changesData(command)) refused = Errno.ESHUTDOWN
    const held = refused === 0 ? bytesFor(command, payload, length) : 0
    if (this.#share !== null) {
      if (held === 0) this.#share.forgo()
      else if (!this.#share.takes(this.#held() + held)) return Payload.Wait
    }
    const request = this.#context.requests.take()
    request.session = this
    request.command = command
    request.flags = flags
    request.cookieHigh = parser.cookieHigh
    request.cookieLow = parser.cookieLow
    request.offsetHigh = parser.offsetHigh
    request.offsetLow = parser.offsetLow
    request.io.length = length
    request.refused = refused
    request.held = held
    this.#inflight++
    this.#inflightBytes += held
    if (payload && length > 0) {
      this.#incoming = request
      return request.refused === 0 ? Payload.Keep : Payload.Skip
    }
    this.#start(request)
    return Payload.None
  }

  payload(view: Uint8Array): void {
    if (this.#input === null) this.#incoming!.addView(view)
    else this.#incoming!.addReceived(view, this.#input)
  }

  payloadEnd(): void {
    const request = this.#incoming!
    this.#incoming = null
    this.#start(request)
  }

  broken(reason: string): void {
    this.#onBroken(reason)
  }

  // A request is complete and goes to the device, or is answered at once.

  #start(request: Request): void {
    if (request.refused !== 0) {
      this.#fail(request, request.refused)
      return
    }
    const op = opOf(request.command)
    if (op === -1) {
      this.#startOther(request)
      return
    }
    const io = request.io
    io.op = op
    io.flags = op === IoOp.Read || op === IoOp.Flush ? 0 : IO_FLAGS[request.flags & 31]!
    io.offset = request.offsetHigh * 2 ** 32 + request.offsetLow
    io.source = this.#source
    if (op === IoOp.Write) {
      request.sealViews()
      io.buffers = request.views
    } else {
      io.buffers = NO_BUFFERS
    }
    this.#target.inflight++
    this.#target.device.submit(io)
  }

  #startOther(request: Request): void {
    const offset = request.offsetHigh * 2 ** 32 + request.offsetLow
    let length = request.io.length
    if (request.viewCount > 0) {
      request.sealViews()
      const effect = statusPayloadLength(request.views)
      if (effect === undefined || effect === 0) {
        this.#fail(request, Errno.EINVAL)
        return
      }
      length = effect
    }
    const error = rangeError(this.#target, offset, length)
    if (error !== 0) this.#fail(request, error)
    else if (request.command === Command.Cache) this.#succeed(request)
    else void this.#blockStatus(request, offset, length)
  }

  async #blockStatus(request: Request, offset: number, length: number): Promise<void> {
    const one = (request.flags & CommandFlag.ReqOne) !== 0
    this.#abort ??= new AbortController()
    let body: Buffer | undefined
    let error: number = Errno.EIO
    this.#target.inflight++
    try {
      const extended = this.#style === ReplyStyle.Extended
      body = await blockStatus(this.#target.device, offset, length, one, extended, this.#abort.signal)
    } catch (cause) {
      if (BlockError.is(cause)) error = nbdError(cause.errno)
    }
    this.#target.inflight--
    if (this.#closed) this.#release(request)
    else if (body === undefined) this.#fail(request, error)
    else {
      replyBlockStatus(this.#out, this.#style, request, body)
      this.#answered(request)
    }
    if (this.#target.detaching) this.#target.settled()
  }

  /** RequestOwner: the device is done with the request's Io. */
  ioDone(request: Request, status: number): void {
    const target = this.#target
    target.inflight--
    if (this.#closed) this.#release(request)
    else if (status !== 0) this.#fail(request, nbdError(status, (request.flags & CommandFlag.FastZero) !== 0))
    else if (request.command === Command.Read) this.#readDone(request)
    else {
      if (request.command === Command.Write) target.writtenBytes += request.io.length
      this.#succeed(request)
    }
    if (target.detaching) target.settled()
  }

  #readDone(request: Request): void {
    const { buffers, length } = request.io
    if (totalLength(buffers) !== length) {
      // A device that breaks rule 3 must not make us break the stream.
      this.#fail(request, Errno.EIO)
      return
    }
    this.#target.readBytes += length
    replyData(this.#out, this.#style, request, buffers, length)
    this.#answered(request)
  }

  #succeed(request: Request): void {
    replyDone(this.#out, this.#style, request)
    this.#answered(request)
  }

  #fail(request: Request, error: number): void {
    this.#target.errors++
    replyError(this.#out, this.#style, request, error)
    this.#answered(request)
  }

  #answered(request: Request): void {
    this.#target.requests++
    this.#answers++
    this.#release(request)
    if (this.#tickScheduled) return
    this.#tickScheduled = true
    process.nextTick(this.#tick)
  }

  #release(request: Request): void {
    this.#inflight--
    this.#inflightBytes -= request.held
    this.#context.requests.give(request)
    this.#share?.holds(this.#held())
  }

  /** Bytes of payloads, replies and requests that are here because of this client. */
  #held(): number {
    return this.#inflightBytes + this.#out.unsent + this.#backlog.bytes
  }

  // Once per turn of the event loop in which something was answered.
  readonly #tick = (): void => {
    this.#tickScheduled = false
    if (this.#closed) return
    this.#out.flush()
    if (this.#answers === 1 && this.#inflight === 0) this.#context.wakeful.waiting()
    if ((this.#ending || this.#target.detaching) && this.#atRest()) this.#finish()
    this.#resume()
  }

  readonly #sent = (): void => {
    this.#share?.holds(this.#held())
    if (this.#paused && !this.#closed) this.#resume()
  }

  readonly #look = (): void => {
    this.#nextLook = undefined
    if (!this.#paused || this.#ended || this.#ending) return
    // Each chunk comes in through `data`, and the end behind the last through `end`.
    while (this.#backlog.length < MAX_BACKLOG && this.#mayLook() && this.#socket.read() !== null);
    this.#nextLook = this.#context.host.clock.after(LOOK, this.#look)
  }

  // What the socket has buffered is read in chunks of this size at most.
  #mayLook(): boolean {
    return this.#share?.fits(this.#held() + CHUNK) ?? true
  }

  #resume(): void {
    if (!this.#paused || this.#ending) return
    while (this.#backlog.length > 0) {
      const used = this.#backlog.feed(this.#parser)
      if (this.#closed || this.#ending || !used) return
    }
    if (this.#ended) {
      this.#finish()
      return
    }
    if (this.stalled()) return
    this.#paused = false
    this.#socket.resume()
  }

  /** Nothing in flight; a request that is not complete does not count. */
  #atRest(): boolean {
    return this.#inflight === (this.#incoming === null ? 0 : 1)
  }

  /** Takes no more requests; closes after the last reply, and soon even if the client does not fetch it. */
  #finish(): void {
    if (!this.#ending) {
      this.#ending = true
      this.#parser.stop()
      this.#backlog.clear()
      this.#share?.leave()
      if (this.#incoming !== null) this.#dropIncoming(this.#incoming)
      // Read on, into nothing: a socket that is not read does not notice that its client has gone.
      this.#socket.resume()
    }
    if (this.#inflight > 0 || this.#linger !== undefined || this.#closed) return
    this.#out.flush()
    this.#linger = this.#context.host.clock.after(LINGER, () => this.#onBroken('replies not fetched in time'))
    this.#socket.destroySoon()
  }

  #abandon(): void {
    if (this.#abandoned) return
    this.#abandoned = true
    this.#target.device.abandon?.(this.#source)
  }

  #dropIncoming(request: Request): void {
    this.#incoming = null
    this.#release(request)
  }
}
