import { Errno } from '@blockbraid/core'
import { connectNbd } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import { openBed } from './support/bed.ts'
import { run, succeed } from './support/tools.ts'

interface Listing {
  protocol: string
  structured: boolean
  exports: Record<string, unknown>[]
}

const MiB = 2 ** 20

async function listing(...args: string[]): Promise<Listing> {
  return JSON.parse(await succeed('nbdinfo', ['--json', ...args])) as Listing
}

it('nbdinfo --json tells what the export is and can', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: '64MiB' }] } })
  const { protocol, structured, exports } = await listing(bed.uri)
  expect(protocol).toBe('newstyle-fixed')
  expect(structured).toBe(true)
  expect(exports).toEqual([
    expect.objectContaining({
      'export-name': 'vol-0',
      description: 'volume 0',
      'export-size': 64 * MiB,
      contexts: ['base:allocation'],
      is_read_only: false,
      is_rotational: false,
      can_cache: true,
      can_df: true,
      can_fast_zero: true,
      can_flush: true,
      can_fua: true,
      can_multi_conn: true,
      can_trim: true,
      can_zero: true,
    }),
  ])
})

it.each([512, 4096] as const)('a volume with blocks of %i bytes advertises them', async (blockSize) => {
  await using bed = await openBed({ array: { volumes: [{ size: '8MiB', blockSize }] } })
  const [found] = (await listing(bed.uri)).exports
  expect(found).toMatchObject({ block_size_minimum: blockSize, block_size_maximum: 32 * MiB })
  expect(found!['block_size_preferred']).toBe(bed.pair.user.limits.preferredBlockSize)
  // Half a block is refused, as the minimum says.
  await using client = await connectNbd(bed.uri)
  await expect(client.read(0, blockSize / 2)).rejects.toMatchObject({ errno: Errno.EINVAL })
  await expect(client.write(blockSize / 2, Buffer.alloc(blockSize))).rejects.toMatchObject({ errno: Errno.EINVAL })
})

it('nbdinfo --list lists every export once', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: '8MiB' }, { size: '16MiB', blockSize: 512 }] } })
  const { exports } = await listing('--list', bed.uri)
  expect(exports.map((found) => [found['export-name'], found['description'], found['export-size']])).toEqual([
    ['vol-0', 'volume 0', 8 * MiB],
    ['vol-1', 'volume 1', 16 * MiB],
  ])
})

it('a read-only volume says so', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: '8MiB', readOnly: true }] } })
  const [found] = (await listing(bed.uri)).exports
  expect(found).toMatchObject({ is_read_only: true, can_trim: false, can_zero: false })
  expect((await run('nbdinfo', ['--is', 'read-only', bed.uri])).code).toBe(0)
})

it('a volume that is read-only for a while says so to whoever connects then', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: '8MiB' }] } })
  const seen = async (): Promise<unknown> => (await listing(bed.uri)).exports[0]
  expect(await seen()).toMatchObject({ is_read_only: false, can_trim: true, can_zero: true })
  bed.array.change(0, { readOnly: true })
  expect(await seen()).toMatchObject({ is_read_only: true, can_trim: false, can_zero: false })
  bed.array.change(0, { readOnly: false })
  expect(await seen()).toMatchObject({ is_read_only: false, can_trim: true, can_zero: true })
})

it('nbdinfo --size follows a volume that grows', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: '8MiB' }] } })
  expect(await succeed('nbdinfo', ['--size', bed.uri])).toBe(`${8 * MiB}\n`)
  bed.array.grow(0, '24MiB')
  await expect.poll(() => succeed('nbdinfo', ['--size', bed.uri]), { timeout: 20_000 }).toBe(`${24 * MiB}\n`)
})

interface MapEntry {
  offset: number
  length: number
  type: number
}

it('nbdinfo --map shows holes and data as writes, trims and zeroes leave them', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: '8MiB' }] } })
  const map = async (): Promise<string[]> => {
    const entries = JSON.parse(await succeed('nbdinfo', ['--map', '--json', bed.uri])) as MapEntry[]
    return entries.map(({ offset, length, type }) => `${offset / MiB}+${length / MiB} ${type === 0 ? 'data' : type}`)
  }
  expect(await map()).toEqual(['0+8 3'])
  const data = Buffer.alloc(2 * MiB, 'x')
  await bed.pair.user.write(MiB, data)
  expect(await map()).toEqual(['0+1 3', '1+2 data', '3+5 3'])
  await bed.pair.user.trim(2 * MiB, MiB / 2)
  expect(await map()).toEqual(['0+1 3', '1+1 data', '2+0.5 3', '2.5+0.5 data', '3+5 3'])
  await bed.pair.user.writeZeroes(MiB, MiB)
  expect(await map()).toEqual(['0+2.5 3', '2.5+0.5 data', '3+5 3'])
  // Allocated zeroes are no hole, and are not hidden data either.
  await bed.pair.user.writeZeroes(4 * MiB, MiB, { noUnmap: true })
  const kept = await bed.pair.user.extents!(4 * MiB, MiB)
  expect(kept[0]).toMatchObject({ hole: false })
  expect(await map()).toContain(kept[0]!.zero ? '4+1 2' : '4+1 data')
})
