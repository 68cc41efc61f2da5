import type { Timer } from '@blockbraid/core'
import { Errno, IoSource } from '@blockbraid/core'
import type { Wire } from '@blockbraid/wire'
import type { Export, ExportUser } from '../export.ts'
import { Command, MAX_PAYLOAD, ReplyStyle } from '../protocol.ts'
import { MAX_STATUS_REPLY } from './block-status.ts'
import type { Negotiated } from './commands.ts'
import { allowedFlags, changesData, hasPayload, headerError } from './commands.ts'
import type { SessionContext } from './context.ts'
import type { IntakeOwner } from './intake.ts'
import { Intake } from './intake.ts'
import type { MemoryShare, MemoryUser } from './memory.ts'
import type { Request } from './request.ts'
import type { RequestSink } from './request-parser.ts'
import { Payload, RequestParser } from './request-parser.ts'
import type { WorkOwner } from './work.ts'
import { Work } from './work.ts'

// How long a client may take to fetch its last replies once the server wants to close, ms.
const LINGER = 5000

/**
 * Slabs that the payloads of a server's clients may hold: a small view keeps a whole slab, so that what comes when there are
 * as many is copied. Beside what the server's memory counts they are 64 MiB at most.
 */
const MAX_HELD_SLABS = 64

/** Bytes that a request needs while it is worked on, or for its reply. */
function bytesFor(command: number, payload: boolean, length: number): number {
  if (command === Command.BlockStatus) return MAX_STATUS_REPLY
  return payload || command === Command.Read ? length : 0
}

/** The transmission phase of one connection: requests in, Ios to the device, replies out. */
export class Session implements RequestSink, IntakeOwner, WorkOwner, ExportUser, MemoryUser {
  /** Whether the client has said goodbye. */
  left = false
  readonly #context: SessionContext
  readonly #wire: Wire
  readonly #target: Export
  readonly #style: ReplyStyle
  readonly #allowed: Int32Array
  readonly #intake: Intake
  readonly #work: Work
  readonly #onBroken: (reason: string) => void
  /** What the device knows this client by. */
  readonly #source: IoSource
  readonly #share: MemoryShare | null
  #received = 0.5
  /** Memory of the bytes at hand, where the wire owns it. */
  #atHand: ArrayBufferLike | null = null
  #abandoned = false
  /** The request whose payload is coming in. */
  #incoming: Request | null = null
  #inflight = 0
  #inflightBytes = 0
  #tickScheduled = false
  /** Requests answered since the last chunk came. */
  #answers = 0
  /** No more requests are taken; the connection ends after the last reply. */
  #ending = false
  #closed = false
  #linger: Timer | undefined

  /** `broken` is called when the client broke the protocol; the session is over then. `gather`: its payload may come in crumbs. */
  constructor(
    context: SessionContext,
    wire: Wire,
    target: Export,
    negotiated: Negotiated,
    broken: (reason: string) => void,
    gather = true,
  ) {
    const { style } = negotiated
    this.#context = context
    this.#wire = wire
    this.#target = target
    this.#style = style
    this.#allowed = allowedFlags(negotiated)
    const parser = new RequestParser(this, style === ReplyStyle.Extended, gather)
    this.#intake = new Intake(wire, parser, context.host.clock, this)
    this.#source = new IoSource(context.host.clock.now())
    this.#work = new Work(target, style, wire.outbox, this.#source, this)
    this.#onBroken = broken
    this.#share = context.memory?.share(this) ?? null
    // Declared as a double: it passes 2 ** 31.
    this.#received = 0
    wire.outbox.onLeft = this.#sent
    target.users.add(this)
  }

  /** Takes bytes of the client. */
  bytes(chunk: Buffer, start: number, end: number): void {
    if (this.over) return
    this.#answers = 0
    this.#received += end - start
    this.#context.wakeful.heard()
    this.#atHand = chunk.buffer
    this.#intake.bytes(chunk, start, end)
    this.#atHand = null
  }

  /** The client sends no more; what it asked for is still answered. Without DISC it is taken for dead. */
  end(): void {
    if (!this.left && !this.#intake.saysGoodbye(this.#style)) this.#abandon()
    this.#intake.finished()
  }

  shutdown(): void {
    if (this.#atRest()) this.finish()
  }

  destroy(reason: string): void {
    this.#onBroken(reason)
  }

  /** The wire is over: what is in flight completes into nothing. */
  closed(): void {
    if (this.#closed) return
    this.#closed = true
    this.#intake.stop()
    this.#share?.leave()
    this.#linger?.cancel()
    this.#work.close()
    if (this.#incoming !== null) this.#dropIncoming(this.#incoming)
    this.#abandon()
    this.#share?.holds(this.#held())
    this.#target.users.delete(this)
    this.#target.settled()
  }

  // MemoryUser: called by the memory of the server.

  get moved(): number {
    return this.#received + this.#wire.outbox.left
  }

  get awaitsClient(): boolean {
    return this.#incoming !== null || this.unsent > 0
  }

  /** Bytes of replies that the client has not taken. */
  get unsent(): number {
    const { outbox } = this.#wire
    return outbox.position - outbox.left
  }

  retry(): void {
    this.#intake.resume()
  }

  evict(reason: string): void {
    this.#onBroken(reason)
  }

  // IntakeOwner

  get over(): boolean {
    return this.#ending || this.#closed
  }

  stalled(): boolean {
    return (
      this.#inflight >= this.#context.maxRequests || this.#inflightBytes + this.unsent >= this.#context.maxInflightBytes
    )
  }

  mayWait(bytes: number): boolean {
    return this.#share?.fits(this.#held() + bytes) ?? true
  }

  waits(): void {
    this.#share?.holds(this.#held())
  }

  drained(): void {
    this.finish()
  }

  // RequestSink: called by the parser.

  header(parser: RequestParser): Payload {
    const { command, flags, length } = parser
    if (command === Command.Disconnect) {
      this.left = true
      this.finish()
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
    request.session = this.#work
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
    this.#work.start(request)
    return Payload.None
  }

  payload(view: Uint8Array): void {
    const request = this.#incoming!
    if (view.buffer !== this.#atHand) request.addView(view)
    else if (this.#mayHold()) request.addReceived(view, this.#wire)
    else request.addView(new Uint8Array(view))
  }

  payloadEnd(): void {
    const request = this.#incoming!
    this.#incoming = null
    this.#work.start(request)
  }

  broken(reason: string): void {
    this.#onBroken(reason)
  }

  #mayHold(): boolean {
    return this.#share === null || this.#context.inputs.outstanding <= MAX_HELD_SLABS
  }

  // WorkOwner

  worked(request: Request, done: boolean): void {
    this.#release(request)
    if (!done) return
    this.#answers++
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
    return this.#inflightBytes + this.unsent + this.#intake.waiting
  }

  // Once per turn of the event loop in which something was answered.
  readonly #tick = (): void => {
    this.#tickScheduled = false
    if (this.#closed) return
    this.#wire.outbox.flush()
    this.#share?.holds(this.#held())
    if (this.#answers === 1 && this.#inflight === 0) this.#context.wakeful.waiting()
    if ((this.#ending || this.#target.detaching) && this.#atRest()) this.finish()
    this.#intake.resume()
  }

  // Replies that had to wait have left; perhaps also what the handshake sent, which stopped to read then.
  readonly #sent = (): void => {
    this.#share?.holds(this.#held())
    if (this.#closed) return
    if (this.#intake.paused) this.#intake.resume()
    else if (this.unsent === 0) this.#wire.resume()
  }

  /** Nothing in flight; a request that is not complete does not count. */
  #atRest(): boolean {
    return this.#inflight === (this.#incoming === null ? 0 : 1)
  }

  /** Looks at no more requests, without a word to the client; closes after the last reply, and soon even if it is not fetched. */
  finish(): void {
    if (!this.#ending) {
      this.#ending = true
      this.#intake.stop()
      this.#share?.leave()
      if (this.#incoming !== null) this.#dropIncoming(this.#incoming)
      // Read on, into nothing: a socket that is not read does not notice that its client has gone.
      this.#wire.resume()
    }
    if (this.#inflight > 0 || this.#linger !== undefined || this.#closed) return
    this.#linger = this.#context.host.clock.after(LINGER, () => this.#onBroken('replies not fetched in time'))
    this.#wire.end()
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
