import { Errno, errnoOf } from '@blockbraid/core'
import type { Outbox } from '@blockbraid/wire'
import { put16, put32 } from '@blockbraid/wire'
import { Magic, ReplyFlag, ReplyStyle, ReplyType } from '../protocol.ts'
import type { Request } from './request.ts'

const SIMPLE_HEADER = 16
const STRUCTURED_HEADER = 20
const EXTENDED_HEADER = 32
const OFFSET_FIELD = 8
const ERROR_BODY = 6

/** Read payloads up to this are copied behind their header: no dearer than views of their own; measured up to 64 KiB. */
export const COPY_LIMIT = 32 * 1024

/** The NBD error for a status of core; the protocol knows eight. */
export function nbdError(status: number, fastZero = false): number {
  switch (errnoOf(status)) {
    case 0:
      return 0
    case Errno.EPERM:
    case Errno.EACCES:
    case Errno.EROFS:
      return Errno.EPERM
    case Errno.ENOMEM:
    case Errno.EINVAL:
    case Errno.ENOSPC:
    case Errno.ESHUTDOWN:
      return errnoOf(status)
    case Errno.EOPNOTSUPP:
      // The protocol knows it as the answer to FAST_ZERO alone.
      return fastZero ? Errno.EOPNOTSUPP : Errno.EINVAL
    default:
      return Errno.EIO
  }
}

/** Room for one chunk with `body` bytes, header written; returns where the body begins. */
function chunk(out: Outbox, style: ReplyStyle, request: Request, type: number, room: number, payload: number): number {
  const header = style === ReplyStyle.Extended ? EXTENDED_HEADER : STRUCTURED_HEADER
  const at = out.reserve(header + room)
  const bytes = out.bytes
  put32(bytes, at, style === ReplyStyle.Extended ? Magic.ExtendedReply : Magic.StructuredReply)
  put16(bytes, at + 4, ReplyFlag.Done)
  put16(bytes, at + 6, type)
  put32(bytes, at + 8, request.cookieHigh)
  put32(bytes, at + 12, request.cookieLow)
  if (style === ReplyStyle.Extended) {
    put32(bytes, at + 16, request.offsetHigh)
    put32(bytes, at + 20, request.offsetLow)
    put32(bytes, at + 24, 0)
    put32(bytes, at + 28, payload)
  } else {
    put32(bytes, at + 16, payload)
  }
  return at + header
}

function simple(out: Outbox, request: Request, error: number, room: number): number {
  const at = out.reserve(SIMPLE_HEADER + room)
  const bytes = out.bytes
  put32(bytes, at, Magic.SimpleReply)
  put32(bytes, at + 4, error)
  put32(bytes, at + 8, request.cookieHigh)
  put32(bytes, at + 12, request.cookieLow)
  return at + SIMPLE_HEADER
}

/** Success without payload. */
export function replyDone(out: Outbox, style: ReplyStyle, request: Request): void {
  // The shorter simple reply is allowed beside structured ones where there is no payload.
  if (style === ReplyStyle.Extended) chunk(out, style, request, ReplyType.None, 0, 0)
  else simple(out, request, 0, 0)
}

/** Failure with an NBD error. */
export function replyError(out: Outbox, style: ReplyStyle, request: Request, error: number): void {
  if (style === ReplyStyle.Simple) {
    simple(out, request, error, 0)
    return
  }
  const at = chunk(out, style, request, ReplyType.Error, ERROR_BODY, ERROR_BODY)
  put32(out.bytes, at, error)
  put16(out.bytes, at + 4, 0)
}

/** Success of a read; `views` add up to `length`. */
export function replyData(
  out: Outbox,
  style: ReplyStyle,
  request: Request,
  views: readonly Uint8Array[],
  length: number,
): void {
  const inline = length <= COPY_LIMIT ? length : 0
  let at: number
  if (style === ReplyStyle.Simple) {
    at = simple(out, request, 0, inline)
  } else {
    at = chunk(out, style, request, ReplyType.OffsetData, OFFSET_FIELD + inline, OFFSET_FIELD + length)
    put32(out.bytes, at, request.offsetHigh)
    put32(out.bytes, at + 4, request.offsetLow)
    at += OFFSET_FIELD
  }
  const bytes = out.bytes
  for (let i = 0; i < views.length; i++) {
    const view = views[i]!
    if (inline === 0) {
      out.attach(view)
    } else {
      bytes.set(view, at)
      at += view.length
    }
  }
}

/** Success of a block status; `body` begins with the context id. */
export function replyBlockStatus(out: Outbox, style: ReplyStyle, request: Request, body: Buffer): void {
  const type = style === ReplyStyle.Extended ? ReplyType.BlockStatusExtended : ReplyType.BlockStatus
  chunk(out, style, request, type, 0, body.length)
  out.attach(body)
}
