import type { Io, IoStatus } from '@blockbraid/core'
import { Errno, IoFlag, IoOp, OK } from '@blockbraid/core'
import type { NvmeRequest } from '../nvme/command.ts'
import type { NvmeRange } from '../nvme/io.ts'
import { deallocate, writeZeroes } from '../nvme/io.ts'
import type { Disk } from '../unit/disk.ts'

/** Sends one command of a trim or of a zeroing; resolves to how it ended. */
export type SendRequest = (request: NvmeRequest) => Promise<IoStatus>

/** Does a Trim or a WriteZeroes of any length, in as many commands as the limits of the namespace ask for. */
export async function runRange(io: Io, nsid: number, disk: Disk, send: SendRequest): Promise<IoStatus> {
  const { limits } = disk
  const trims = io.op === IoOp.Trim
  if (trims ? !limits.trim : !limits.writeZeroes) return Errno.EOPNOTSUPP
  for (const request of trims ? trimsOf(io, nsid, disk) : zeroingsOf(io, nsid, disk)) {
    const status = await send(request)
    if (status !== OK) return status
  }
  return OK
}

function* trimsOf(io: Io, nsid: number, { limits, ranges }: Disk): Generator<NvmeRequest> {
  const { maxRanges, maxRangeBlocks, maxTrimBlocks, granularity } = ranges
  let some: NvmeRange[] = []
  let sum = 0
  for (const range of piecesOf(io, limits.blockSize, Math.min(maxRangeBlocks, maxTrimBlocks), granularity)) {
    if (some.length === maxRanges || sum + range.blocks > maxTrimBlocks) {
      yield deallocate(nsid, some)
      some = []
      sum = 0
    }
    some.push(range)
    sum += range.blocks
  }
  if (some.length > 0) yield deallocate(nsid, some)
}

function* zeroingsOf(io: Io, nsid: number, { limits, ranges }: Disk): Generator<NvmeRequest> {
  const gives = ranges.zeroesDeallocate && (io.flags & IoFlag.NoUnmap) === 0
  const { maxZeroBlocks, granularity } = ranges
  for (const range of piecesOf(io, limits.blockSize, maxZeroBlocks, granularity)) {
    const fua = (io.flags & IoFlag.Fua) !== 0
    yield writeZeroes(nsid, range, gives, fua)
  }
}

/** Runs of blocks of at most `most`, cut where a granule ends. */
function* piecesOf({ offset, length }: Io, blockSize: number, most: number, granularity: number): Generator<NvmeRange> {
  const end = (offset + length) / blockSize
  for (let lba = offset / blockSize; lba < end; ) {
    let blocks = Math.min(end - lba, most)
    const cut = (lba + blocks) % granularity
    if (lba + blocks < end && cut < blocks) blocks -= cut
    yield { lba, blocks }
    lba += blocks
  }
}
