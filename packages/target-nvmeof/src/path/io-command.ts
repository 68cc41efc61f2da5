import type { Io } from '@blockbraid/core'
import { IoFlag, IoOp, NO_BUFFERS } from '@blockbraid/core'
import { putFlush, putRange, RangeFlag } from '../nvme/io.ts'
import { IoOpcode } from '../nvme/opcode.ts'
import type { Command } from '../queue/command.ts'
import { Direction } from '../queue/command.ts'

/** Makes a command that of a read, a write or a flush of a namespace. */
export function fillCommand(command: Command, io: Io, nsid: number, blockSize: number): void {
  const { op, length } = io
  command.io = io
  command.changes = op !== IoOp.Read
  if (op === IoOp.Flush) {
    putFlush(command.sqe, nsid)
    command.direction = Direction.None
    command.length = 0
    return
  }
  const reads = op === IoOp.Read
  const flags = (io.flags & IoFlag.Fua) !== 0 && !reads ? RangeFlag.Fua : 0
  const opcode = reads ? IoOpcode.Read : IoOpcode.Write
  putRange(command.sqe, opcode, nsid, io.offset / blockSize, length / blockSize, flags)
  command.direction = reads ? Direction.Read : Direction.Write
  command.length = length
  command.lends = reads && io.buffers === NO_BUFFERS
  command.buffers = io.buffers
}
