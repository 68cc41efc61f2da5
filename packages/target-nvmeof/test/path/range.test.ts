import type { Io as IoType } from '@blockbraid/core'
import { Errno, Io, IoFlag, IoOp, OK } from '@blockbraid/core'
import { get32le, get64le } from '@blockbraid/wire'
import { describe, expect, test } from 'vitest'
import type { NvmeRequest } from '../../src/nvme/command.ts'
import { runRange } from '../../src/path/range.ts'
import type { Disk, RangeLimits } from '../../src/unit/disk.ts'
import { untoldDisk } from '../../src/unit/disk.ts'

function diskWith(ranges: Partial<RangeLimits>): Disk {
  const plain = untoldDisk({ size: 2 ** 40, blockSize: 512 }, { queueDepth: 1, maxTransfer: 4096 })
  const most = { maxRanges: 256, maxRangeBlocks: 0xffff_ffff, maxTrimBlocks: 0x40_0000, maxZeroBlocks: 0x1_0000 }
  return {
    ...plain,
    limits: { ...plain.limits, trim: true, writeZeroes: true },
    ranges: { ...plain.ranges, ...most, ...ranges },
  }
}

function io(op: IoType['op'], lba: number, blocks: number, flags = 0): Io {
  const made = new Io()
  Object.assign(made, { op, offset: lba * 512, length: blocks * 512, flags })
  return made
}

async function sent(request: Io, ranges: Partial<RangeLimits>): Promise<NvmeRequest[]> {
  const all: NvmeRequest[] = []
  const send = async (one: NvmeRequest): Promise<number> => {
    all.push(one)
    return OK
  }
  expect(await runRange(request, 1, diskWith(ranges), send)).toBe(OK)
  return all
}

const trimsOf = (requests: readonly NvmeRequest[]): number[][][] =>
  requests.map(({ data }) => {
    const bytes = data as Uint8Array
    return Array.from({ length: bytes.length / 16 }, (_, at) => [
      get64le(bytes, at * 16 + 8),
      get32le(bytes, at * 16 + 4),
    ])
  })

const zeroesOf = (requests: readonly NvmeRequest[]): number[][] =>
  requests.map(({ command: { cdw10 = 0, cdw11 = 0, cdw12 = 0 } }) => [cdw11 * 2 ** 32 + cdw10, (cdw12 & 0xffff) + 1])

describe('a trim', () => {
  test('is one range where the limits allow it', async () => {
    expect(trimsOf(await sent(io(IoOp.Trim, 5, 1000), {}))).toEqual([[[5, 1000]]])
  })

  test('has as many ranges as a command takes, and as many commands as it needs', async () => {
    const made = await sent(io(IoOp.Trim, 0, 25), { maxRanges: 2, maxRangeBlocks: 10 })
    expect(trimsOf(made)).toEqual([
      [
        [0, 10],
        [10, 10],
      ],
      [[20, 5]],
    ])
  })

  test('has not more blocks in a command than it may have', async () => {
    const made = await sent(io(IoOp.Trim, 0, 25), { maxRangeBlocks: 10, maxTrimBlocks: 15 })
    expect(trimsOf(made)).toEqual([
      [[0, 10]],
      [
        [10, 10],
        [20, 5],
      ],
    ])
  })

  test('is cut where a granule ends', async () => {
    const made = await sent(io(IoOp.Trim, 3, 30), { maxRangeBlocks: 10, granularity: 8 })
    expect(trimsOf(made).flat()).toEqual([
      [3, 5],
      [8, 8],
      [16, 8],
      [24, 9],
    ])
  })

  test('ends with the first error', async () => {
    let count = 0
    const send = async (): Promise<number> => (++count === 2 ? Errno.EIO : OK)
    const ranges = { maxRanges: 1, maxRangeBlocks: 1 }
    expect(await runRange(io(IoOp.Trim, 0, 5), 1, diskWith(ranges), send)).toBe(Errno.EIO)
    expect(count).toBe(2)
  })
})

describe('a zeroing', () => {
  test('is cut at the most that a command takes, also beyond 2 ** 32 blocks', async () => {
    const lba = 2 ** 32 - 4
    expect(zeroesOf(await sent(io(IoOp.WriteZeroes, lba, 20), { maxZeroBlocks: 8 }))).toEqual([
      [lba, 8],
      [lba + 8, 8],
      [lba + 16, 4],
    ])
  })

  test.each<[string, number, boolean, number]>([
    ['deallocates where that reads as zeroes', 0, true, 0x0200_0000],
    ['keeps blocks allocated where it is asked to', IoFlag.NoUnmap, true, 0],
    ['keeps them where they would not read as zeroes', 0, false, 0],
    ['is durable where it is asked to be', IoFlag.Fua | IoFlag.NoUnmap, true, 0x4000_0000],
  ])('%s', async (_what, flags, zeroesDeallocate, bits) => {
    const [one] = await sent(io(IoOp.WriteZeroes, 0, 1, flags), { zeroesDeallocate })
    expect(one!.command.cdw12).toBe(bits)
  })
})

test('what the controller does not have is not sent', async () => {
  const disk = untoldDisk({ size: 2 ** 20, blockSize: 512 }, { queueDepth: 1, maxTransfer: 4096 })
  const send = (): never => {
    throw new Error('sent')
  }
  for (const op of [IoOp.Trim, IoOp.WriteZeroes]) {
    expect(await runRange(io(op, 0, 8), 1, disk, send)).toBe(Errno.EOPNOTSUPP)
  }
})
