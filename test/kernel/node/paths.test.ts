import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BlockDevicePair } from '@blockbraid/core'
import { roundRobin } from '@blockbraid/policy-round-robin'
import { pattern, patternFault } from '@blockbraid/testkit'
import { until, within } from '../guest/wait.ts'
import { MIB, nodeName, nodesInUse, openBed } from './bed.ts'
import type { Running } from './tools.ts'
import { fio, mount, readDirect, start, tool, writeDirect } from './tools.ts'

const patient = { reconnectDelay: 50, reconnectDelayMax: 500 }

test('mission 6: one volume over four paths is one node; a second volume is one more', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: '64MiB' }, { size: '32MiB' }] } })
  assert.equal(bed.pair.paths.length, 4)
  assert.deepEqual(nodesInUse(), [bed.name])
  const other = await bed.pairOf(bed.array.volumes[1]!.id, 'other')
  assert.equal(nodesInUse().length, 2)
  await other.close()
  assert.deepEqual(nodesInUse(), [bed.name])
})

test('mission 8: the node is one of the transport under test, and no other device of the kernel is the volume', async () => {
  await using bed = await openBed()
  assert.match(bed.name, nodeName)
  // mission 10: neither SCSI disks, nor a multipath map, nor NVMe namespaces.
  const strange = readdirSync('/sys/class/block').filter((name) => /^(sd|dm-|nvme)/.test(name))
  assert.deepEqual(strange, [])
})

test('mission 14, 15: an application in this process and those of the kernel see the same bytes after a flush', async () => {
  await using bed = await openBed()
  await using direct = await bed.agent.open(bed.array.volumes[0]!.id)
  const stamp = { seed: 14, offset: MIB, generation: 1 }
  await direct.write(MIB, pattern(4 * MIB, stamp))
  await direct.flush()
  await tool('dd', `if=${bed.node}`, 'of=/run/seen', 'bs=1M', 'skip=1', 'count=4', 'status=none')
  await tool('sh', '-c', `dd if=/run/seen of=${bed.node} bs=1M seek=20 conv=notrunc,fsync status=none`)
  assert.equal(patternFault(await direct.read(20 * MIB, 4 * MIB), stamp), undefined)
})

test('mission 16: a policy spreads the I/O of the node over every path', async () => {
  await using bed = await openBed({ selector: () => roundRobin() })
  await load(bed.node, { size: '4m' }).done
  const shares = bed.pair.paths.map(({ ios }) => ios)
  const sum = shares.reduce((all, ios) => all + ios, 0)
  for (const ios of shares) assert.ok(ios > sum / 8, `of ${sum} I/Os the paths had ${shares.join(', ')}`)
})

for (const filesystem of ['ext4', 'xfs'] as const) {
  test(`mission 17: paths are killed and restored under fio verify on ${filesystem}, and no application sees it`, async () => {
    const size = filesystem === 'ext4' ? 64 * MIB : 320 * MIB
    await using bed = await openBed({
      array: { volumes: [{ size }], latency: { base: 300, jitter: 300 } },
      multipath: patient,
      selector: () => roundRobin(),
    })
    await tool(`mkfs.${filesystem}`, '-q', bed.node)
    {
      await using mounted = await mount(bed.node)
      const work = filesOf(mounted.folder)
      let port = 0
      while (!(await isOver(work))) {
        // Always one at least is left.
        const down = [port, (port + 1) % 4, (port + 2) % 4]
        for (const each of down) bed.array.portDown(each)
        await sleep(300)
        for (const each of down) bed.array.portUp(each)
        await until('they are back', () => allUp(bed.pair))
        port = (port + 1) % 4
      }
      await work.done
    }
    assert.ok(
      bed.pair.paths.every(({ failures }) => failures >= 2),
      'a path was hardly killed',
    )
    await (filesystem === 'ext4' ? tool('e2fsck', '-fn', bed.node) : tool('xfs_repair', '-n', bed.node))
  })
}

test('mission 17: a port that hangs is left for another, and what it held does no harm', async () => {
  await using bed = await openBed({ multipath: { ...patient, ioTimeout: 1000 }, selector: () => roundRobin() })
  const work = load(bed.node, { size: '4m' })
  await until('it has begun', () => bed.pair.paths.some(({ ios }) => ios > 20))
  bed.array.hang(1)
  await until('the path has failed', () => bed.pair.paths.some(({ failures }) => failures > 0))
  bed.array.release(1)
  await work.done
})

test('all paths are down for ten seconds: a pause, and no error', async () => {
  await using bed = await openBed({ multipath: patient })
  await tool('mkfs.ext4', '-q', bed.node)
  await using mounted = await mount(bed.node)
  const work = filesOf(mounted.folder)
  await until('it has begun', () => bed.pair.paths.some(({ ios }) => ios > 200))
  for (let port = 0; port < 4; port++) bed.array.portDown(port)
  await until('it waits', () => bed.pair.state === 'stalled' && bed.pair.parked > 0)
  await sleep(10_000)
  assert.equal(await isOver(work), false)
  for (let port = 0; port < 4; port++) bed.array.portUp(port)
  await work.done
  assert.ok(bed.pair.paths.some(({ state }) => state === 'up'))
})

for (const [filesystem, reaction] of [
  ['ext4', /Read-only file system|Input\/output error/],
  ['xfs', /Input\/output error/],
] as const) {
  test(`pain: all paths stay down: after the limit the application gets EIO, ${filesystem} reacts, the node can be forced away`, async () => {
    const size = filesystem === 'ext4' ? 64 * MIB : 320 * MIB
    await using bed = await openBed({ array: { volumes: [{ size }] }, multipath: { ...patient, noPathTimeout: 2000 } })
    await tool(`mkfs.${filesystem}`, '-q', bed.node)
    const mounted = await mount(bed.node)
    await tool('dd', 'if=/dev/zero', `of=${mounted.folder}/file`, 'bs=1M', 'count=4', 'conv=fsync', 'status=none')
    for (let port = 0; port < 4; port++) bed.array.portDown(port)
    assert.equal(await readDirect(bed.node, 0, 4096), 'Input/output error')
    assert.equal(await writeDirect(bed.node, size - MIB, 4096), 'Input/output error')
    const write = (file: string): string[] => [
      'if=/dev/zero',
      `of=${mounted.folder}/${file}`,
      'bs=64k',
      'count=16',
      'conv=fsync',
    ]
    const first = await start('dd', write('file2')).ended
    assert.notEqual(first.code, 0, first.stderr)
    // A filesystem that has lost its journal takes nothing any more.
    const second = await start('sh', ['-c', `touch ${mounted.folder}/file3 && sync -f ${mounted.folder}`]).ended
    assert.notEqual(second.code, 0)
    assert.match(`${first.stderr}${second.stderr}`, reaction)
    await assert.rejects(bed.pair.close(), { code: 'IN_USE' })
    // The device cannot be flushed any more, and the node goes all the same.
    await assert.rejects(within('the node is forced away', bed.pair.close({ mode: 'force' })), { code: 'IO_FAILED' })
    // nbd's has its size as long as it is mounted.
    await tool('umount', mounted.folder)
    await until('the kernel has no such node', () => !nodesInUse().includes(bed.name))
  })
}

test('mission 18: paths come and go by news and by rescan, and the node stays', async () => {
  await using bed = await openBed({ multipath: patient })
  const { array, pair, agent } = bed
  const work = load(bed.node, { size: '4m' })
  array.unmap(0, 3)
  array.unmap(0, 2)
  await until('two paths are left', () => pair.paths.length === 2)
  array.map(0, 3)
  await until('there are three', () => pair.paths.length === 3 && allUp(pair))
  array.map(0, 2)
  await agent.rescan()
  await until('there are four', () => pair.paths.length === 4 && allUp(pair))
  await work.done
  assert.deepEqual(nodesInUse(), [bed.name])
})

test('mission 21: a single native device has a node too, without a policy', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: '64MiB' }, { size: '32MiB' }] } })
  const path = bed.agent.devices().find(({ id }) => id.includes('port2/lun1'))!
  const native = await bed.pairOf(path.id, 'native')
  assert.equal(native.paths.length, 1)
  await load(native.kernel.node, { size: '4m' }).done
  assert.equal(nodesInUse().length, 2)
  await native.close()
})

test('pain: a LUN number that is used again: the node gives errors and never the other volume', async () => {
  await using bed = await openBed({
    array: { volumes: [{ size: '64MiB' }, { size: '64MiB' }] },
    multipath: { ...patient, noPathTimeout: 1000 },
  })
  const { array, node } = bed
  const mine = array.checksum(0)
  const other = await bed.agent.open(array.volumes[1]!.id)
  const stamp = { seed: 7, offset: 0, generation: 1 }
  await other.write(0, pattern(MIB, stamp))
  await other.close()
  const before = array.checksum(1)
  for (let port = 0; port < 4; port++) array.reuseLun(port, 0, 1)
  assert.equal(await readDirect(node, 0, 4096), 'Input/output error')
  assert.equal(await writeDirect(node, 0, 4096), 'Input/output error')
  assert.equal(array.checksum(1), before)
  assert.equal(array.checksum(0), mine)
  for (let port = 0; port < 4; port++) array.reuseLun(port, 0, 0)
  await until('the volume is back', () => allUp(bed.pair))
  assert.equal(await readDirect(node, 0, 4096), 'done')
})

function allUp(pair: BlockDevicePair): boolean {
  return pair.paths.every(({ state }) => state === 'up')
}

/** Writes and verifies a part of the node. */
function load(node: string, options: Readonly<Record<string, string | number>>): Running {
  const job = { rw: 'randwrite', bs: '4k', direct: 1, ioengine: 'libaio', iodepth: 16 }
  return fio({ filename: node, verify: 'crc32c', ...job, ...options }, { load: {} })
}

/** Writes and verifies files, direct and buffered. */
function filesOf(directory: string): Running {
  const shared = { directory, verify: 'crc32c', rw: 'randwrite', size: '3m' }
  return fio(shared, {
    direct: { bs: '4k', direct: 1, ioengine: 'libaio', iodepth: 8 },
    buffered: { bs: '16k', fsync: 8 },
  })
}

async function isOver(work: Running): Promise<boolean> {
  return await Promise.race([work.ended.then(() => true), sleep(100, false)])
}
