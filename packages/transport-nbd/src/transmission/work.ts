import type { IoSource } from '@blockbraid/core'
import { BlockError, Errno, IoFlag, IoOp, NO_BUFFERS } from '@blockbraid/core'
import type { Outbox } from '@blockbraid/wire'
import type { Export } from '../export.ts'
import type { ReplyStyle } from '../protocol.ts'
import { Command, CommandFlag, ReplyStyle as Style } from '../protocol.ts'
import { blockStatus, statusPayloadLength } from './block-status.ts'
import { opOf, rangeError } from './commands.ts'
import { nbdError, replyBlockStatus, replyData, replyDone, replyError } from './replies.ts'
import type { Request, RequestOwner } from './request.ts'

/** Gets requests back. */
export interface WorkOwner {
  /** Its reply is in the outbox, or it has none: `done` is false where the connection had gone. */
  worked(request: Request, done: boolean): void
}

const IO_FLAGS = Array.from(
  { length: 32 },
  (_, flags) =>
    ((flags & CommandFlag.Fua) !== 0 ? IoFlag.Fua : 0) |
    ((flags & CommandFlag.NoHole) !== 0 ? IoFlag.NoUnmap : 0) |
    ((flags & CommandFlag.FastZero) !== 0 ? IoFlag.FastZero : 0),
)

function totalLength(views: readonly Uint8Array[]): number {
  let total = 0
  for (let i = 0; i < views.length; i++) total += views[i]!.length
  return total
}

/** Requests of one connection that are complete: to the device, and their replies into the outbox. */
export class Work implements RequestOwner {
  readonly #target: Export
  readonly #style: ReplyStyle
  readonly #out: Outbox
  readonly #source: IoSource
  readonly #owner: WorkOwner
  #abort: AbortController | undefined
  #closed = false

  /** `source` is what the device knows the client by. */
  constructor(target: Export, style: ReplyStyle, out: Outbox, source: IoSource, owner: WorkOwner) {
    this.#target = target
    this.#style = style
    this.#out = out
    this.#source = source
    this.#owner = owner
  }

  /** The connection has gone: what is at the device completes into nothing. */
  close(): void {
    this.#closed = true
    this.#abort?.abort()
  }

  /** Takes a request, and gives it back when it is answered. */
  start(request: Request): void {
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
      const extended = this.#style === Style.Extended
      body = await blockStatus(this.#target.device, offset, length, one, extended, this.#abort.signal)
    } catch (cause) {
      if (BlockError.is(cause)) error = nbdError(cause.errno)
    }
    this.#target.inflight--
    if (this.#closed) this.#owner.worked(request, false)
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
    if (this.#closed) this.#owner.worked(request, false)
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
    this.#owner.worked(request, true)
  }
}
