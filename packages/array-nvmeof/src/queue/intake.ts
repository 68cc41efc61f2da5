import { get16le, get32le } from '@blockbraid/wire'
import { prepareAdmin } from '../controller/admin.ts'
import { isTransfer, prepare } from '../io/commands.ts'
import { FABRICS, FabricsType, Sgl, SQE } from '../nvme/opcodes.ts'
import type { Status } from '../nvme/status.ts'
import { DNR, Sc } from '../nvme/status.ts'
import type { Request } from '../request/request.ts'
import { takeRequest } from '../request/request.ts'
import type { Queue } from './queue.ts'
import { sendR2T } from './replies.ts'

/** Bytes of the data of Connect. */
export const CONNECT_DATA = 1024
const PSDT = 0xc0
const SGL = 0x40
const FUSED = 0x03

/** Makes a request of the entry at `at`, whose capsule has `length` bytes of data (NVMe Base 2.1 §4.1.1). */
export function readCommand(queue: Queue, bytes: Buffer, at: number, length: number): Request {
  const request = takeRequest()
  const { controller } = queue
  request.queue = queue
  request.controller = controller
  request.opcode = bytes[at]!
  request.cid = get16le(bytes, at + 2)
  request.nsid = get32le(bytes, at + 4)
  request.length = get32le(bytes, at + 32)
  request.inCapsule = length
  if (queue.id !== 0 && request.opcode !== FABRICS) {
    request.attachment = controller!.attachments.get(request.nsid) ?? null
  }
  if (!isTransfer(request.opcode) || queue.id === 0 || queue.host.settings.log) {
    request.entry = Buffer.from(bytes.subarray(at, at + SQE))
  }
  request.refused = sglFault(request, bytes, at, length)
  if (request.refused === 0) request.refused = prepareAny(queue, request, bytes, at)
  if (request.refused === 0 && length > 0 && request.take === 0) request.refused = Sc.dataLength | DNR
  return request
}

function prepareAny(queue: Queue, request: Request, bytes: Buffer, at: number): Status {
  const { controller } = queue
  if (request.opcode === FABRICS) {
    const type = bytes[at + 4]!
    const sends = type === FabricsType.connect || type === FabricsType.authSend
    request.take = sends ? request.length : 0
    if (type === FabricsType.connect && request.length !== CONNECT_DATA) return Sc.dataLength | DNR
    return request.take > MOST_FABRICS ? Sc.dataLength | DNR : 0
  }
  if (controller === null) return Sc.sequenceError | DNR
  return queue.id === 0 ? prepareAdmin(controller, request) : prepare(request, bytes, at)
}

const MOST_FABRICS = 64 * 1024

/** What is wrong with the data pointer of a command. */
function sglFault(request: Request, bytes: Buffer, at: number, length: number): Status {
  const flags = bytes[at + 1]!
  if ((flags & FUSED) !== 0 || (flags & PSDT) !== SGL) return Sc.invalidField | DNR
  const type = bytes[at + 39]!
  if (type === Sgl.inCapsule) {
    if (get32le(bytes, at + 24) !== 0 || get32le(bytes, at + 28) !== 0) return Sc.invalidSglOffset | DNR
    return request.length === length ? 0 : Sc.dataLength | DNR
  }
  if (type !== Sgl.transport) return Sc.invalidSglType | DNR
  return length === 0 ? 0 : Sc.dataLength | DNR
}

/** The capsule of a command is there: it runs, or its data is asked for. */
export function arrived(queue: Queue, request: Request): void {
  if (request.refused === 0 && request.received < request.take) {
    const rule = queue.host.hooks.command?.(queue.host.port, request, true)
    if (rule !== undefined && queue.follow(request, rule)) return
    solicit(queue, request)
    return
  }
  queue.begin(request)
}

/** Asks for as much as may be asked for at once. */
export function solicit(queue: Queue, request: Request): void {
  const { settings } = queue.host
  const most = Math.min(queue.maxR2ts, settings.r2tsAtOnce)
  while (request.openR2ts < most && request.solicited < request.take) {
    const place = request.openR2ts++
    if (request.r2ts.length === place) request.r2ts.push({ tag: 0, offset: 0, length: 0, received: 0 })
    const r2t = request.r2ts[place]!
    r2t.tag = queue.nextTag()
    r2t.offset = request.solicited
    r2t.length = Math.min(request.take - request.solicited, settings.r2tSize)
    r2t.received = 0
    request.solicited += r2t.length
    sendR2T(queue, request, r2t)
  }
}

/** Data of an R2T has come to its end: it is open no more. */
export function closeR2T(request: Request): void {
  const { r2ts } = request
  const [first] = r2ts
  for (let place = 1; place < request.openR2ts; place++) r2ts[place - 1] = r2ts[place]!
  request.openR2ts--
  r2ts[request.openR2ts] = first!
}
