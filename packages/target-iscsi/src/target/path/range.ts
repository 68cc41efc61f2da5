import type { Io, IoStatus } from '@blockbraid/core'
import { Errno, IoFlag, IoOp, OK } from '@blockbraid/core'
import type { ScsiCommand } from '../../scsi/cdb.ts'
import {
  MAX_LONG_BLOCKS,
  MAX_SHORT_BLOCKS,
  make,
  putWriteSame,
  syncCache,
  unmap,
  WriteSameFlag,
} from '../../scsi/cdb.ts'
import type { Disk } from '../unit/disk.ts'

/** Sends one command of a trim or of a zeroing; resolves to how it ended. */
export type SendCommand = (command: ScsiCommand) => Promise<IoStatus>

/** Does a Trim or a WriteZeroes of any length, in as many commands as the limits of the disk ask for. */
export async function runRange(io: Io, now: { readonly disk: Disk }, send: SendCommand): Promise<IoStatus> {
  const { disk } = now
  const { ranges, limits } = disk
  const trims = io.op === IoOp.Trim
  if (trims ? !limits.trim : !limits.writeZeroes) return Errno.EOPNOTSUPP
  // A trim has nothing to be durable; WRITE SAME has no bit for it.
  const flushes = !trims && (io.flags & IoFlag.Fua) !== 0
  if (flushes && !limits.fua) return Errno.EOPNOTSUPP
  const unmaps = unmapsBlocks(disk, trims, io.flags)
  const form = unmaps ? ranges.writeSameUnmap : ranges.writeSame
  const sameMost = Math.min(ranges.maxWriteSameBlocks, form === 'long' ? MAX_LONG_BLOCKS : MAX_SHORT_BLOCKS)
  const most = trims && ranges.unmap ? ranges.maxUnmapBlocks : sameMost
  const end = (io.offset + io.length) / limits.blockSize
  for (let lba = io.offset / limits.blockSize; lba < end; ) {
    const blocks = pieceOf(lba, end, most, ranges.granularity)
    const command =
      trims && ranges.unmap
        ? unmap([{ lba, blocks }])
        : writeSame(limits.blockSize, form === 'long', unmaps, lba, blocks)
    const status = await send(command)
    if (status !== OK) return status
    lba += blocks
  }
  // A cache that was switched on or off meanwhile may hold some of it.
  return flushes && (limits.writeCache || now.disk.limits.writeCache) ? send(syncCache(disk.long)) : OK
}

/** As many blocks as one command takes, cut where a granule ends. */
function pieceOf(lba: number, end: number, most: number, granularity: number): number {
  if (end - lba <= most) return end - lba
  const cut = lba + most - ((lba + most) % granularity)
  return cut > lba ? cut - lba : most
}

/** Whether WRITE SAME may give the blocks back. */
function unmapsBlocks({ ranges }: Disk, trims: boolean, flags: number): boolean {
  if (ranges.writeSameUnmap === 'none') return false
  return trims || (ranges.unmapZeroes && (flags & IoFlag.NoUnmap) === 0)
}

function writeSame(blockSize: number, long: boolean, unmaps: boolean, lba: number, blocks: number): ScsiCommand {
  return make(long ? 16 : 10, Buffer.alloc(blockSize), (cdb) =>
    putWriteSame(cdb, 0, long, unmaps ? WriteSameFlag.Unmap : 0, lba, blocks),
  )
}
