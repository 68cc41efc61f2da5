import type { Io, IoStatus } from '@blockbraid/core'
import { Errno, IoFlag, IoOp, OK } from '@blockbraid/core'
import type { ScsiCommand } from '../scsi/cdb.ts'
import { make, putWriteSame, unmap, WriteSameFlag } from '../scsi/cdb.ts'
import type { Disk } from './disk.ts'

/** Sends one command of a trim or of a zeroing; resolves to how it ended. */
export type SendCommand = (command: ScsiCommand) => Promise<IoStatus>

/** Does a Trim or a WriteZeroes of any length, in as many commands as the limits of the device ask for. */
export async function runRange(io: Io, disk: Disk, send: SendCommand): Promise<IoStatus> {
  const { ranges, limits } = disk
  const trims = io.op === IoOp.Trim
  if (trims ? !limits.trim : !limits.writeZeroes) return Errno.EOPNOTSUPP
  if (!trims && (io.flags & IoFlag.Fua) !== 0) return Errno.EOPNOTSUPP
  const most = trims && ranges.unmap ? ranges.maxUnmapBlocks : ranges.maxWriteSameBlocks
  const end = (io.offset + io.length) / limits.blockSize
  for (let lba = io.offset / limits.blockSize; lba < end; ) {
    const blocks = pieceOf(lba, end, most, ranges.granularity)
    const command = trims && ranges.unmap ? unmap([{ lba, blocks }]) : writeSame(disk, lba, blocks, trims, io.flags)
    const status = await send(command)
    if (status !== OK) return status
    lba += blocks
  }
  return OK
}

/** As many blocks as one command takes, cut where a granule ends. */
function pieceOf(lba: number, end: number, most: number, granularity: number): number {
  if (end - lba <= most) return end - lba
  const cut = lba + most - ((lba + most) % granularity)
  return cut > lba ? cut - lba : most
}

function writeSame(disk: Disk, lba: number, blocks: number, trims: boolean, flags: number): ScsiCommand {
  const { ranges, limits } = disk
  const keeps = (flags & IoFlag.NoUnmap) !== 0 || !ranges.unmapZeroes
  const unmaps = ranges.writeSameUnmap !== 'none' && (trims || !keeps)
  const form = unmaps ? ranges.writeSameUnmap : ranges.writeSame
  const long = form === 'long'
  return make(long ? 16 : 10, Buffer.alloc(limits.blockSize), (cdb) =>
    putWriteSame(cdb, 0, long, unmaps ? WriteSameFlag.Unmap : 0, lba, blocks),
  )
}
