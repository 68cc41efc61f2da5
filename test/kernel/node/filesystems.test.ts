import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { until } from '../guest/wait.ts'
import { MIB, openBed } from './bed.ts'
import { imageOf } from './image.ts'
import { mount, start, tool } from './tools.ts'

const sources = join(import.meta.dirname, '../../../packages/core/src')

const filesystems = {
  ext4: { size: 64 * MIB, make: ['mkfs.ext4', '-q'], check: ['e2fsck', '-fn'], readOnly: 'ro,noload' },
  xfs: { size: 320 * MIB, make: ['mkfs.xfs', '-q'], check: ['xfs_repair', '-n'], readOnly: 'ro,norecovery,nouuid' },
} as const

for (const [name, { size, make, check, readOnly }] of Object.entries(filesystems)) {
  test(`mission 13: ${name} is made, mounted, filled, unmounted, found clean, and stands in the array's memory`, async () => {
    await using bed = await openBed({ array: { name: `array-${name}`, volumes: [{ size }] } })
    const [mkfs, ...options] = make
    await tool(mkfs, ...options, bed.node)
    const big = '/run/big'
    await tool('dd', 'if=/dev/urandom', `of=${big}`, 'bs=1M', 'count=8', 'status=none')
    {
      await using mounted = await mount(bed.node)
      const { folder } = mounted
      await tool('cp', '-a', sources, `${folder}/tree`)
      await tool('cp', big, `${folder}/big`)
      // Names, links, holes and files that go again.
      const script = `cd ${folder} && mkdir -p deep/er && ln big deep/hard && ln -s ../big deep/soft && \
        truncate -s 1G deep/er/hole && for n in 0 1 2 3 4 5 6 7 8 9; do echo $n >deep/er/$n; done && \
        mv deep/er/3 deep/er/three && rm deep/er/4 && sync -f .`
      await tool('sh', '-c', script)
    }
    const [checker, ...flags] = check
    await tool(checker, ...flags, bed.node)
    await using copy = await mount(await imageOf(bed.array), '-o', `loop,${readOnly}`)
    await tool('diff', '-r', sources, `${copy.folder}/tree`)
    await tool('cmp', big, `${copy.folder}/deep/hard`)
    assert.equal(await tool('ls', `${copy.folder}/deep/er`), '0\n1\n2\n5\n6\n7\n8\n9\nhole\nthree\n')
  })
}

test('mission 7: sqlite keeps a database on it, with a journal and with a log, and finds it whole', async () => {
  await using bed = await openBed()
  await tool('mkfs.ext4', '-q', bed.node)
  await using mounted = await mount(bed.node)
  for (const journal of ['delete', 'wal']) {
    const file = `${mounted.folder}/${journal}.db`
    const script = `pragma journal_mode=${journal}; pragma synchronous=full;
      create table t (id integer primary key, a text, b blob); create index i on t (a);
      ${'begin; insert into t (a, b) select hex(randomblob(8)), randomblob(900) from generate_series(1, 100); commit;\n'.repeat(4)}
      begin; delete from t where id % 3 = 0; update t set b = zeroblob(500) where id % 5 = 0; commit;
      begin; delete from t; rollback;`
    const { code, stderr } = await start('sqlite3', ['-bail', file], script).ended
    assert.equal(code, 0, stderr)
    // Read from the node, not from memory.
    await tool('sh', '-c', `sync -f ${mounted.folder} && echo 3 >/proc/sys/vm/drop_caches`)
    assert.equal(await tool('sqlite3', file, 'pragma integrity_check; select count(*) from t;'), 'ok\n267\n')
  }
})

test('partitions are made, seen, and there at once when the node comes again', async () => {
  await using bed = await openBed({ transport: { partitions: true } })
  const table = 'label: gpt\nsize=16MiB\nsize=32MiB\n'
  assert.equal((await start('sfdisk', ['-q', bed.node], table).ended).code, 0)
  const part = (node: string, number: number): string => `${node}p${number}`
  const sizes = (node: string): Promise<string[]> =>
    Promise.all([1, 2].map((number) => tool('blockdev', '--getsize64', part(node, number))))
  await until('both are there', () =>
    sizes(bed.node).then(
      () => true,
      () => false,
    ),
  )
  assert.deepEqual(await sizes(bed.node), [`${16 * MIB}\n`, `${32 * MIB}\n`])
  await tool('mkfs.ext4', '-q', part(bed.node, 2))
  await bed.pair.close()
  const again = await bed.pairOf(bed.array.volumes[0]!.id, 'again')
  assert.deepEqual(await sizes(again.kernel.node), [`${16 * MIB}\n`, `${32 * MIB}\n`])
  await tool('e2fsck', '-fn', part(again.kernel.node, 2))
})

test('LVM: a logical volume over two nodes, grown with its filesystem', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: '48MiB' }, { size: '48MiB' }] } })
  const other = await bed.pairOf(bed.array.volumes[1]!.id, 'other')
  const nodes = [bed.node, other.kernel.node]
  const lvm = lvmOn(nodes)
  await lvm('vgcreate', '-qq', 'group', ...nodes)
  try {
    await lvm('lvcreate', '-qq', '-y', '-L', '40m', '-n', 'logical', 'group')
    const node = '/dev/mapper/group-logical'
    await tool('mkfs.ext4', '-q', node)
    {
      await using mounted = await mount(node)
      await tool('cp', '-a', sources, `${mounted.folder}/tree`)
      assert.equal(readdirSync(`/sys/block/${bed.name}/holders`).length, 1)
      await lvm('lvextend', '-qq', '-L', '80m', 'group/logical')
      await tool('resize2fs', node)
      await tool('diff', '-r', sources, `${mounted.folder}/tree`)
    }
    assert.equal(await tool('blockdev', '--getsize64', node), `${80 * MIB}\n`)
    await tool('e2fsck', '-fn', node)
  } finally {
    await lvm('vgchange', '-qq', '-an', 'group')
  }
})

/** Runs LVM without udev and without files in /etc, on these nodes alone. */
function lvmOn(nodes: readonly string[]): (...args: readonly string[]) => Promise<string> {
  const filter = nodes.map((node) => `"a|^${node}$|"`).join(',')
  const config = `devices { global_filter=[${filter},"r|.*|"] use_devicesfile=0 external_device_info_source="none" }
    activation { udev_sync=0 udev_rules=0 monitoring=0 } backup { backup=0 archive=0 }`
  return (command, ...args) => tool('lvm', command, '--config', config, ...args)
}
