import assert from 'node:assert/strict'
import { open } from 'node:fs/promises'
import { test } from 'node:test'
import { Errno, IoOp } from '@blockbraid/core'
import type { LogEntry } from '@blockbraid/target-memory'
import { pattern, patternFault } from '@blockbraid/testkit'
import type { Bed } from './bed.ts'
import { KIB, kernelVersion, kind, MIB, openBed, sysfs } from './bed.ts'
import { imageOf } from './image.ts'
import { fio, readDirect, refused, tool, writeDirect } from './tools.ts'

// Linux's nbd driver sends them from 6.12 on.
const zeroesPassOn = kind === 'ublk' || kernelVersion() >= 612

test('mission 7: dd writes and reads it, past the page cache and through it', async () => {
  await using bed = await openBed()
  await tool('dd', 'if=/dev/urandom', 'of=/run/dd', 'bs=1M', 'count=9', 'status=none')
  await tool('dd', 'if=/run/dd', `of=${bed.node}`, 'bs=256k', 'oflag=direct', 'status=none')
  await tool('dd', 'if=/run/dd', `of=${bed.node}`, 'bs=12k', 'seek=1000', 'conv=fsync', 'status=none')
  await tool('cmp', '-n', String(9 * MIB), '/run/dd', bed.node)
  const image = await imageOf(bed.array)
  await tool('cmp', '-n', String(9 * MIB), '/run/dd', image)
  await tool('cmp', '-n', String(9 * MIB), '-i', `0:${1000 * 12 * KIB}`, '/run/dd', image)
})

for (const blockSize of [512, 4096] as const) {
  test(`mission 7: fio verifies many block sizes, direct, buffered and O_SYNC, on blocks of ${blockSize}`, async () => {
    await using bed = await openBed({ array: { volumes: [{ size: '64MiB', blockSize }] } })
    const shared = { filename: bed.node, verify: 'crc32c', rw: 'randwrite' }
    const many = { direct: 1, ioengine: 'libaio', iodepth: 16 }
    const cached = {
      buffered: { ...at(20, 2), bs: '4k', fsync: 64 },
      // The last one passes the end of its region.
      ragged: { ...at(23, 2), bs: '7k', rw: 'write', fsync: 32 },
      synced: { ...at(26, 1), bs: '16k', sync: 'sync' },
    }
    await fio(shared, {
      ...(blockSize === 512 && { sectors: { offset: '512k', size: '128k', bs: '512', ...many } }),
      small: { ...at(1, 1), bs: '4k', ...many },
      odd: { ...at(2, 1), bs: '12k', ...many },
      middle: { ...at(3, 3), bs: '64k', ...many },
      mixed: { ...at(6, 3), bssplit: '4k/50:20k/30:256k/20', direct: 1, ioengine: 'io_uring', iodepth: 8 },
      // More than the device takes at once.
      large: { ...at(9, 10), bs: '5m', direct: 1 },
      ...cached,
    }).done
    // Again, from the array and not from the page cache.
    await tool('blockdev', '--flushbufs', bed.node)
    await fio({ ...shared, verify_only: 1 }, cached).done
  })
}

test('fio trims and writes, and every block is verified', async () => {
  await using bed = await openBed({ array: { log: true } })
  const job = { bs: '64k', rw: 'randtrimwrite', direct: 1, ioengine: 'libaio', iodepth: 4, ...at(0, 8) }
  await fio({ filename: bed.node, verify: 'crc32c' }, { trimmed: job }).done
  assert.ok(
    bed.array.log.some(({ op }) => op === IoOp.Trim),
    'no trim has reached the array',
  )
})

test('mission 12: discard, zero-out, flush, forced unit access and size arrive as such', async () => {
  await using bed = await openBed({ array: { log: true } })
  const { array, node } = bed
  await fio({ filename: node }, { fill: { rw: 'write', bs: '1m', direct: 1, ...at(0, 16) } }).done
  const during = async (work: () => Promise<unknown>): Promise<readonly LogEntry[]> => {
    const from = array.log.length
    await work()
    return array.log.slice(from)
  }
  const discarded = await during(() => tool('blkdiscard', '-o', String(MIB), '-l', String(2 * MIB), node))
  assert.deepEqual(covered(discarded, IoOp.Trim), [MIB, 3 * MIB])
  const zeroed = await during(() => tool('blkdiscard', '-z', '-o', String(4 * MIB), '-l', String(2 * MIB), node))
  if (zeroesPassOn) {
    assert.deepEqual(covered(zeroed, IoOp.WriteZeroes), [4 * MIB, 6 * MIB])
    const punched = await during(() => tool('fallocate', '-p', '-o', String(8 * MIB), '-l', String(MIB), node))
    assert.deepEqual(covered(punched, IoOp.WriteZeroes), [8 * MIB, 9 * MIB])
  }
  assert.ok(isZero(array.peek(0, 4 * MIB, 2 * MIB)))
  const synced = await during(() => tool('dd', 'if=/dev/zero', `of=${node}`, 'bs=4k', 'count=1', 'conv=notrunc,fsync'))
  assert.ok(synced.at(-1)?.op === IoOp.Flush, 'no flush at the end')
  const forced = await during(() =>
    tool('dd', 'if=/dev/zero', `of=${node}`, 'bs=4k', 'count=1', 'conv=notrunc', 'oflag=direct,dsync'),
  )
  assert.ok(forced.some(({ op, fua }) => op === IoOp.Write && fua) || forced.at(-1)?.op === IoOp.Flush)
  assert.equal(await tool('blockdev', '--getsize64', node), `${array.volumes[0]!.size}\n`)
})

test('mission 12: SCSI commands have no way through the node, and it says so', async () => {
  await using bed = await openBed()
  const { ioctl, LinuxError } = await import('@blockbraid/linux')
  const file = await open(bed.node, 'r')
  try {
    const SG_IO = 0x2285
    await assert.rejects(ioctl(file.fd, SG_IO, new Uint8Array(88)), (error) => LinuxError.is(error))
  } finally {
    await file.close()
  }
})

const volumes = {
  'of 512-byte blocks': { blockSize: 512 },
  'of 4096-byte blocks': { blockSize: 4096 },
  'without a write cache': { writeCache: false },
  'that is read-only': { readOnly: true },
} as const

for (const [what, volume] of Object.entries(volumes)) {
  test(`the kernel has the limits of a volume ${what}`, async () => {
    await using bed = await openBed({ array: { volumes: [{ size: 40 * MIB + 4096, ...volume }] } })
    const { limits } = bed.pair.user
    const number = (file: string): number => Number(sysfs(bed.name, file))
    assert.equal(number('size') * 512, limits.size)
    assert.equal(await tool('blockdev', '--getsize64', bed.node), `${limits.size}\n`)
    assert.equal(number('queue/logical_block_size'), limits.blockSize)
    assert.ok(number('queue/physical_block_size') >= limits.blockSize)
    assert.ok(number('queue/max_sectors_kb') * KIB <= limits.maxTransfer)
    assert.equal(sysfs(bed.name, 'queue/write_cache'), limits.writeCache ? 'write back' : 'write through')
    assert.equal(number('queue/fua'), limits.writeCache && limits.fua ? 1 : 0)
    assert.equal(number('queue/rotational'), 0)
    assert.equal(number('ro'), limits.readOnly ? 1 : 0)
    if (!limits.readOnly) assert.equal(number('queue/discard_max_bytes') > 0, limits.trim)
    if (!limits.readOnly && zeroesPassOn) {
      assert.equal(number('queue/write_zeroes_max_bytes') > 0, limits.writeZeroes)
    }
    if (limits.readOnly) {
      await refused('dd', 'if=/dev/zero', `of=${bed.node}`, 'bs=4k', 'count=1', 'conv=notrunc,fsync')
      await refused('blkdiscard', bed.node)
    }
  })
}

// What the kernel makes of the array's error: nbd has one for all.
const words = (own: string): string => (kind === 'ublk' ? own : 'Input/output error')

test('mission 11: right bytes back, right errno at the application', async () => {
  await using bed = await openBed()
  const { array, node, pair } = bed
  const stamp = { seed: 11, offset: MIB, generation: 1 }
  await pair.user.write(MIB, pattern(MIB, stamp))
  assert.equal(patternFault(await bytesOf(bed, MIB, MIB), stamp), undefined)
  const bad = { volume: 0, offset: 8 * MIB, length: 4096 } as const
  const errors = {
    [Errno.ENODATA]: words('No data available'),
    [Errno.EIO]: 'Input/output error',
    [Errno.ENOSPC]: words('No space left on device'),
  }
  for (const [errno, said] of Object.entries(errors)) {
    const heal = array.fail({ ...bad, status: Number(errno) })
    assert.equal(await readDirect(node, 8 * MIB, 4096), said)
    assert.equal(await writeDirect(node, 8 * MIB, 4096), said)
    assert.equal(await readDirect(node, 9 * MIB, 4096), 'done')
    heal()
    assert.equal(await readDirect(node, 8 * MIB, 4096), 'done')
  }
  // Through the page cache an error of a write comes with fsync.
  array.fail({ ...bad, ops: [IoOp.Write], status: Errno.EIO })
  const said = await refused('dd', 'if=/dev/zero', `of=${node}`, 'bs=4k', 'seek=2048', 'count=1', 'conv=notrunc,fsync')
  assert.match(said, /Input\/output error/)
  array.heal()
})

/** What a node has, past the page cache. */
async function bytesOf({ node }: Bed, offset: number, length: number): Promise<Buffer> {
  await tool(
    'dd',
    `if=${node}`,
    'of=/run/bytes',
    'iflag=direct',
    'bs=4k',
    `skip=${offset / 4096}`,
    `count=${length / 4096}`,
  )
  const file = await open('/run/bytes')
  try {
    return await file.readFile()
  } finally {
    await file.close()
  }
}

/** First byte and end of what commands of one kind cover, which must be one range. */
function covered(log: readonly LogEntry[], op: IoOp): [number, number] {
  const parts = log.filter((entry) => entry.op === op).toSorted((a, b) => a.offset - b.offset)
  assert.ok(parts.length > 0, 'none has reached the array')
  for (const [at, part] of parts.slice(1).entries()) assert.equal(part.offset, parts[at]!.offset + parts[at]!.length)
  const last = parts.at(-1)!
  return [parts[0]!.offset, last.offset + last.length]
}

function isZero(data: Uint8Array): boolean {
  return Buffer.alloc(data.length).equals(data)
}

/** A region of the node for a job of fio, in MiB. */
function at(offset: number, size: number): { offset: string; size: string } {
  return { offset: `${offset}m`, size: `${size}m` }
}
