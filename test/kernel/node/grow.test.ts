import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until, within } from '../guest/wait.ts'
import type { Bed } from './bed.ts'
import { kernelVersion, kind, MIB, openBed } from './bed.ts'
import { fio, mount, tool } from './tools.ts'

// Linux's ublk driver can tell a new size from 6.16 on.
const nodeGrows = kind === 'nbd' || kernelVersion() >= 616

const filesystems = {
  ext4: { size: 64 * MIB, more: 128 * MIB, make: ['mkfs.ext4', '-q'], check: ['e2fsck', '-fn'] },
  xfs: { size: 320 * MIB, more: 448 * MIB, make: ['mkfs.xfs', '-q'], check: ['xfs_repair', '-n'] },
} as const

for (const [name, { size, more, make, check }] of Object.entries(filesystems)) {
  test(`pain: the volume grows: the node follows by itself, and ${name} on it, mounted and in use`, async (t) => {
    await using bed = await openBed({ array: { volumes: [{ size }] } })
    const [mkfs, ...options] = make
    await tool(mkfs, ...options, bed.node)
    {
      await using mounted = await mount(bed.node)
      const { folder } = mounted
      const load = fio(
        { directory: folder, verify: 'crc32c', size: '4m', bs: '16k', rw: 'randwrite', fsync: 16 },
        { load: {} },
      )
      if (!nodeGrows) {
        const failed = new Promise<Error>((resolve) => void bed.pair.events.on('resizeFailed', resolve))
        bed.array.grow(0, more)
        const { message } = await within('the pair says that the node keeps its size', failed)
        t.diagnostic(`not supported: ${message}`)
        assert.equal(await sizeOf(bed), size)
        await load.done
        return
      }
      const before = await freeIn(folder)
      bed.array.grow(0, more)
      await until('the node has the new size', async () => (await sizeOf(bed)) === more)
      await (name === 'ext4' ? tool('resize2fs', bed.node) : tool('xfs_growfs', folder))
      await load.done
      const after = await freeIn(folder)
      assert.ok(after - before > 0.8 * (more - size), `${before} bytes were free, ${after} are`)
      // A file that had no room before, and something at its end.
      const length = before + 8 * MIB
      await tool('fallocate', '-l', String(length), `${folder}/big`)
      const end = `seek=${Math.floor(length / MIB) - 1}`
      await tool('dd', 'if=/dev/zero', `of=${folder}/big`, 'bs=1M', 'count=1', end, 'conv=notrunc,fsync', 'status=none')
    }
    const [checker, ...flags] = check
    await tool(checker, ...flags, bed.node)
  })
}

async function sizeOf({ node }: Bed): Promise<number> {
  return Number(await tool('blockdev', '--getsize64', node))
}

async function freeIn(folder: string): Promise<number> {
  return Number((await tool('df', '-B1', '--output=avail', folder)).split('\n')[1])
}
