import type { Io } from '@blockbraid/core'
import { IoFlag, IoOp, NO_BUFFERS } from '@blockbraid/core'
import { putReadWrite, putSyncCache, READ, WRITE } from '../../scsi/cdb.ts'
import type { Lun } from '../../scsi/lun.ts'
import type { Task } from '../../session/task.ts'
import { Direction } from '../../session/task.ts'
import type { Disk } from '../unit/disk.ts'

/** Makes a task the command of a read, a write or a flush. */
export function fillTask(task: Task, io: Io, lun: Lun, { long, limits }: Disk): void {
  const { op } = io
  task.io = io
  task.lunHigh = lun.high
  task.lunLow = lun.low
  task.changes = op !== IoOp.Read
  if (op === IoOp.Flush) {
    putSyncCache(task.cdb, 0, long)
    task.direction = Direction.None
    task.length = 0
    return
  }
  // Where the cache has gone meanwhile, FUA may be refused with it, and every write is durable.
  const fua = (io.flags & IoFlag.Fua) !== 0 && (limits.fua || limits.writeCache)
  const blocks = io.length / limits.blockSize
  const reads = op === IoOp.Read
  putReadWrite(task.cdb, 0, reads ? READ : WRITE, long || blocks > 0xffff, fua, io.offset / limits.blockSize, blocks)
  task.direction = reads ? Direction.Read : Direction.Write
  task.length = io.length
  task.lends = reads && io.buffers === NO_BUFFERS
  task.buffers = io.buffers
}
