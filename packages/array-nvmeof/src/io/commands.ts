import type { Io, IoStatus } from '@blockbraid/core'
import { IoFlag, IoOp, NO_BUFFERS, OK } from '@blockbraid/core'
import { get32le, get64le } from '@blockbraid/wire'
import type { Attachment } from '../namespace/attachment.ts'
import { IoOpcode } from '../nvme/opcodes.ts'
import type { Status } from '../nvme/status.ts'
import { DNR, Sc } from '../nvme/status.ts'
import type { Request } from '../request/request.ts'
import { datasetManagement, flush, rangesLength, writeZeroes } from './changes.ts'
import type { CommandResult, IoEntry } from './entry.ts'
import { accessStatus, CUT, statusOf } from './outcome.ts'
import { compare, compareLength, verify } from './reading.ts'
import { acquire, register, release, report } from './reservation.ts'

const FUA = 0x4000_0000
// PRINFO: no protection information here; the lowest bits are for the second half of 64-bit tags.
const PROTECTION = 0x3c00_0000

const table: (IoEntry | undefined)[] = []
table[IoOpcode.flush] = { changes: true, run: flush }
table[IoOpcode.compare] = { need: compareLength, run: compare }
table[IoOpcode.writeZeroes] = { changes: true, run: writeZeroes }
table[IoOpcode.datasetManagement] = { changes: true, need: rangesLength, run: datasetManagement }
table[IoOpcode.verify] = { run: verify }
table[IoOpcode.reservationRegister] = { anyReservation: true, need: () => 16, run: register }
table[IoOpcode.reservationReport] = { anyReservation: true, run: report }
table[IoOpcode.reservationAcquire] = { anyReservation: true, need: () => 16, run: acquire }
table[IoOpcode.reservationRelease] = { anyReservation: true, need: () => 8, run: release }

/** Opcodes that I/O queues serve. */
export const ioOpcodes: readonly number[] = Object.values(IoOpcode)

/** Whether it is one of the plain reads and writes. */
export function isTransfer(opcode: number): boolean {
  return opcode === IoOpcode.read || opcode === IoOpcode.write
}

/** Reads the entry at `at`: what the command needs, or why it is refused whatever the state. */
export function prepare(request: Request, bytes: Uint8Array, at: number): Status {
  const { opcode, attachment } = request
  if (isTransfer(opcode)) {
    return attachment === null ? Sc.invalidNamespace | DNR : prepareTransfer(request, attachment, bytes, at)
  }
  const entry = table[opcode]
  if (entry === undefined) return Sc.invalidOpcode | DNR
  if (attachment === null) return Sc.invalidNamespace | DNR
  const need = entry.need?.(request.entry, attachment) ?? 0
  if (need > request.length) return Sc.dataLength | DNR
  request.take = need === 0 ? 0 : request.length
  return request.take > request.controller!.maxTransfer ? Sc.invalidField | DNR : 0
}

function prepareTransfer(request: Request, attachment: Attachment, bytes: Uint8Array, at: number): Status {
  const { io } = request
  const writes = request.opcode === IoOpcode.write
  const { blockSize, fua } = attachment.device.limits
  const control = get32le(bytes, at + 48)
  const length = ((control & 0xffff) + 1) * blockSize
  if ((control & PROTECTION) !== 0) return Sc.invalidField | DNR
  io.op = writes ? IoOp.Write : IoOp.Read
  io.flags = writes && fua && (control & FUA) !== 0 ? IoFlag.Fua : 0
  io.offset = get64le(bytes, at + 40) * blockSize
  io.length = length
  request.flushes = writes && !fua && (control & FUA) !== 0
  if (request.length !== length) return Sc.dataLength | DNR
  if (length > request.controller!.maxTransfer) return Sc.invalidField | DNR
  request.take = writes ? length : 0
  return 0
}

/** Whether a command may run now; called when its data is there. */
export function admit(request: Request): Status {
  const attachment = request.attachment!
  if (attachment.gone) return Sc.invalidNamespace | DNR
  const blocked = accessStatus(attachment)
  if (blocked !== 0) return blocked
  const transfer = isTransfer(request.opcode)
  const entry = transfer ? undefined : table[request.opcode]!
  const writes = transfer ? request.io.op === IoOp.Write : entry!.changes === true
  const { reservations } = attachment.mapping.volume
  if (reservations.held && entry?.anyReservation !== true && !reservations.allows(request.controller!.hostId, writes)) {
    return Sc.reservationConflict
  }
  const { limits } = attachment.device
  if (writes && limits.readOnly && request.opcode !== IoOpcode.flush) return Sc.writeProtected | DNR
  if (transfer && request.io.offset + request.io.length > limits.size) return Sc.outOfRange | DNR
  return 0
}

/** Runs a command whose data is there. */
export function run(request: Request): void {
  if (isTransfer(request.opcode)) return transfer(request)
  const attachment = request.attachment!
  const data = request.take === 0 ? Buffer.alloc(0) : Buffer.concat(request.views)
  const result = table[request.opcode]!.run(request, attachment, data)
  if (result instanceof Promise) void result.then((later) => finish(request, later))
  else finish(request, result)
}

function finish(request: Request, result: CommandResult): void {
  const queue = request.queue!
  if (typeof result !== 'number') queue.endWithData(request, [result], Math.min(result.length, request.length))
  else if (result === CUT) lostPath(request)
  else queue.end(request, result)
}

function transfer(request: Request): void {
  const { io } = request
  io.owner = request
  io.done = onDone
  io.buffers = io.op === IoOp.Write ? request.views : NO_BUFFERS
  request.attachment!.device.submit(io)
}

function onDone(io: Io, status: IoStatus): void {
  const request = io.owner as Request
  const queue = request.queue!
  if (status === OK) {
    if (io.op === IoOp.Read) queue.endWithData(request, io.buffers, io.length)
    else if (request.flushes) flushBehind(request)
    else queue.end(request, 0)
    return
  }
  const outcome = statusOf(status, request.attachment!, io.op)
  if (outcome === CUT) lostPath(request)
  else queue.end(request, outcome)
}

// The device does not know Fua: what was written is made durable behind it.
function flushBehind(request: Request): void {
  const { io } = request
  request.flushes = false
  io.op = IoOp.Flush
  io.offset = 0
  io.length = 0
  io.buffers = NO_BUFFERS
  request.attachment!.device.submit(io)
}

// The device failed as a path does. Why, it says only after its last Io: the namespace may have been taken away.
function lostPath(request: Request): void {
  const queue = request.queue!
  const controller = request.controller!
  const attachment = request.attachment!
  const settle = (): void => {
    // A device that was closed as its controller ends fails that way, too.
    if (!attachment.gone && !controller.over) controller.drop()
    queue.end(request, Sc.invalidNamespace | DNR)
  }
  if (queue.live && !attachment.gone) controller.later(settle)
  else settle()
}
