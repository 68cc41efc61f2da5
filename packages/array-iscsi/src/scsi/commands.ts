import type { Io, IoStatus } from '@blockbraid/core'
import { IoFlag, IoOp, NO_BUFFERS, OK } from '@blockbraid/core'
import { get16, get32, get64 } from '@blockbraid/wire'
import { reportTargetPortGroups, setTargetPortGroups } from './alua.ts'
import { getLbaStatus, readCapacity10, readCapacity16 } from './capacity.ts'
import { syncCache, unmap, writeSame } from './changes.ts'
import type { CommandEntry, CommandResult } from './entry.ts'
import { inquiry, reportLuns } from './inquiry.ts'
import { modeSense, requestSense } from './mode.ts'
import type { Nexus } from './nexus.ts'
import type { Outcome } from './outcome.ts'
import { Check, GOOD, Status, statusOnly } from './outcome.ts'
import { persistentIn, persistentOut } from './persistent.ts'
import { CUT, outcomeOf } from './status.ts'
import { reportSupportedOpcodes } from './supported.ts'
import type { Task } from './task.ts'

/** Opcodes that are looked at by name elsewhere. */
const Opcode = { read10: 0x28, write10: 0x2a, read16: 0x88, write16: 0x8a } as const

/** Bytes of parameter data that any command may have. */
const MAX_PARAMETERS = 65_536

const table: (CommandEntry | undefined)[] = []
table[0x00] = { anyAccess: false, anyReservation: true, run: () => GOOD }
table[0x03] = { attentive: false, anyAccess: true, anyReservation: true, noUnit: true, run: requestSense }
table[0x12] = { attentive: false, anyAccess: true, anyReservation: true, noUnit: true, run: inquiry }
table[0x1a] = { anyAccess: true, run: modeSense }
table[0x5a] = { anyAccess: true, run: modeSense }
table[0x25] = { anyReservation: true, run: readCapacity10 }
table[0x35] = { changes: true, run: syncCache }
table[0x91] = { changes: true, run: syncCache }
table[0x41] = { changes: true, need: (_cdb, nexus) => blockOf(nexus), run: writeSame }
table[0x93] = { changes: true, need: (cdb, nexus) => ((cdb[1]! & 1) === 0 ? blockOf(nexus) : 0), run: writeSame }
table[0x42] = { changes: true, need: (cdb) => get16(cdb, 7), run: unmap }
table[0x5e] = { anyAccess: true, anyReservation: true, run: persistentIn }
table[0x5f] = { anyAccess: true, anyReservation: true, need: (cdb) => get32(cdb, 5), run: persistentOut }
table[0xa0] = { attentive: false, anyAccess: true, anyReservation: true, noUnit: true, run: reportLuns }

const capacityAction: (CommandEntry | undefined)[] = []
capacityAction[0x10] = { anyReservation: true, run: readCapacity16 }
capacityAction[0x12] = { run: getLbaStatus }

const maintenanceIn: (CommandEntry | undefined)[] = []
maintenanceIn[0x0a] = { anyAccess: true, anyReservation: true, run: reportTargetPortGroups }
maintenanceIn[0x0c] = { anyAccess: true, anyReservation: true, run: ({ cdb }) => reportSupportedOpcodes(cdb, serves) }

const maintenanceOut: (CommandEntry | undefined)[] = []
maintenanceOut[0x0a] = { anyAccess: true, need: (cdb) => get32(cdb, 6), run: setTargetPortGroups }

function blockOf(nexus: Nexus | null): number {
  return nexus?.limits.blockSize ?? 0
}

/** What serves an opcode and its service action. */
export function entryOf(opcode: number, action: number): CommandEntry | undefined {
  if (opcode === 0x9e) return capacityAction[action]
  if (opcode === 0xa3) return maintenanceIn[action]
  if (opcode === 0xa4) return maintenanceOut[action]
  return table[opcode]
}

function serves(opcode: number, action: number): boolean {
  return isTransfer(opcode) || (action < 32 && entryOf(opcode, action) !== undefined)
}

/** Whether it is one of the plain reads and writes. */
export function isTransfer(opcode: number): boolean {
  return opcode === Opcode.read10 || opcode === Opcode.write10 || opcode === Opcode.read16 || opcode === Opcode.write16
}

/** Reads the CDB at `at`: what the command needs, or why it is refused whatever the state. */
export function prepare(task: Task, bytes: Uint8Array, at: number): Outcome {
  const { opcode, nexus } = task
  if (isTransfer(opcode)) return nexus === null ? Check.noSuchUnit : prepareTransfer(task, nexus, bytes, at)
  const entry = entryOf(opcode, bytes[at + 1]! & 0x1f)
  if (nexus === null && entry?.noUnit !== true) return Check.noSuchUnit
  if (entry === undefined) return Check.invalidOpcode
  task.need = entry.need?.(task.cdb, nexus) ?? 0
  if (task.need > MAX_PARAMETERS) return Check.parameterListLength
  task.take = task.writes ? Math.min(task.need, task.expected) : 0
  return GOOD
}

function prepareTransfer(task: Task, nexus: Nexus, bytes: Uint8Array, at: number): Outcome {
  const { io, opcode } = task
  const { blockSize } = nexus.device.limits
  const writes = opcode === Opcode.write10 || opcode === Opcode.write16
  const wide = opcode >= 0x80
  const flags = bytes[at + 1]!
  const lba = wide ? get64(bytes, at + 2) : get32(bytes, at + 2)
  const length = (wide ? get32(bytes, at + 10) : get16(bytes, at + 7)) * blockSize
  // RDPROTECT and WRPROTECT: no protection information here.
  if ((flags & 0xe0) !== 0) return Check.invalidField
  io.op = writes ? IoOp.Write : IoOp.Read
  io.flags = writes && (flags & 0x08) !== 0 ? IoFlag.Fua : 0
  io.offset = lba * blockSize
  io.length = length
  task.need = length
  if (!writes) return GOOD
  const sent = task.writes ? task.expected : 0
  if (sent < length) io.length = sent - (sent % blockSize)
  task.take = sent < length ? sent : length
  return GOOD
}

/** Whether a command may run now; called when its turn has come. */
export function admit(task: Task): Outcome {
  const nexus = task.nexus!
  const { opcode } = task
  const transfer = isTransfer(opcode)
  const entry = transfer ? undefined : entryOf(opcode, task.cdb[1]! & 0x1f)
  if (nexus.attentive && entry?.attentive !== false) return nexus.tell()
  const { access } = nexus
  if (access !== 'optimized' && access !== 'non-optimized' && entry?.anyAccess !== true) {
    if (access === 'standby') return Check.standby
    return access === 'unavailable' ? Check.unavailable : Check.transitioning
  }
  const { unit } = nexus.mapping
  const writes = transfer ? task.io.op === IoOp.Write : entry!.changes === true
  if (unit.reservations.held && entry?.anyReservation !== true && !unit.reservations.allows(nexus.name, writes)) {
    return statusOnly(Status.reservationConflict)
  }
  if (writes && nexus.limits.readOnly) return Check.writeProtected
  return transfer ? admitTransfer(task, nexus) : GOOD
}

function admitTransfer(task: Task, nexus: Nexus): Outcome {
  const { io } = task
  const { size, maxTransfer, fua } = nexus.device.limits
  if (io.offset + task.need > size) return Check.outOfRange
  if (task.need > maxTransfer || (io.flags !== 0 && !fua)) return Check.invalidField
  return GOOD
}

/** Runs a command whose data is there. */
export function run(task: Task): void {
  if (isTransfer(task.opcode)) return transfer(task)
  const entry = entryOf(task.opcode, task.cdb[1]! & 0x1f)!
  const data = task.take === 0 ? Buffer.alloc(0) : Buffer.concat(task.views).subarray(0, task.take)
  const result = entry.run(task, data)
  if (result instanceof Promise) void result.then((later) => finish(task, later))
  else finish(task, result)
}

function finish(task: Task, result: CommandResult): void {
  const session = task.session!
  if (typeof result !== 'number') session.endWithData(task, [result], result.length)
  else if (result === CUT) lostPath(task)
  else session.end(task, result)
}

function transfer(task: Task): void {
  const { io } = task
  if (io.length === 0) return task.session!.end(task, GOOD)
  io.owner = task
  io.done = onDone
  if (io.op === IoOp.Write) io.buffers = task.received === io.length ? task.views : cutTo(task.views, io.length)
  else io.buffers = NO_BUFFERS
  task.nexus!.device.submit(io)
}

function cutTo(views: readonly Uint8Array[], length: number): Uint8Array[] {
  return [Buffer.concat(views as Uint8Array[]).subarray(0, length)]
}

function onDone(io: Io, status: IoStatus): void {
  const task = io.owner as Task
  const session = task.session!
  if (status === OK) {
    if (io.op === IoOp.Read) session.endWithData(task, io.buffers, io.length)
    else session.end(task, GOOD)
    return
  }
  const outcome = outcomeOf(status, task.nexus!, io.op)
  if (outcome === CUT) lostPath(task)
  else session.end(task, outcome)
}

// The device failed as a path does. Why, it says only after its last Io: the unit may have been taken away.
function lostPath(task: Task): void {
  const session = task.session!
  const nexus = task.nexus!
  const settle = (): void => {
    if (!nexus.gone) session.drop()
    session.end(task, Check.noSuchUnit)
  }
  if (session.live && !nexus.gone) session.host.later(settle)
  else settle()
}
