import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { until } from '../guest/wait.ts'
import { load } from '../judges/load.ts'
import { judge } from '../judges/root.ts'
import { startUdev } from '../judges/udev.ts'
import { start, tool } from '../node/tools.ts'
import { MIB, openBed, PORTALS } from './bed.ts'
import { nvme, nvmeJson } from './nvme-cli.ts'

test('writes, discards and zeroes arrive; after fsync a power loss takes nothing', async () => {
  await using bed = await openBed({ storage: { log: true } })
  const node = bed.node()
  await tool('sh', '-c', `head -c ${4 * MIB} /dev/urandom >/run/random`)
  const random = readFileSync('/run/random')
  await tool('dd', 'if=/run/random', `of=${node}`, 'bs=1M', 'seek=60', 'conv=notrunc,fsync', 'status=none')
  assert.ok(random.equals(bed.storage.peek(0, 60 * MIB, 4 * MIB)))
  assert.equal(bed.storage.crashImage(0, () => 1).checksum(), bed.storage.checksum(0))
  await tool('blkdiscard', '-o', String(60 * MIB), '-l', String(MIB), node)
  await tool('blkdiscard', '-z', '-o', String(62 * MIB), '-l', String(MIB), node)
  for (const at of [60, 62]) assert.ok(bed.storage.peek(0, at * MIB, MIB).every((byte) => byte === 0))
  assert.ok(random.subarray(MIB, 2 * MIB).equals(bed.storage.peek(0, 61 * MIB, MIB)))
  assert.deepEqual(bed.array.violations, [])
})

test('nvme-cli writes, reads, compares, verifies, flushes, zeroes and deallocates', async () => {
  await using bed = await openBed()
  const node = bed.node()
  const blocks = ['--start-block=16', '--block-count=3']
  await tool('sh', '-c', 'head -c 16384 /dev/urandom >/run/data; head -c 16384 /dev/urandom >/run/other')
  const io = (command: string, file: string): string[] => [
    command,
    node,
    ...blocks,
    '--data-size=16384',
    `--data=${file}`,
  ]
  await nvme(...io('write', '/run/data'), '--force-unit-access')
  await nvme(...io('read', '/run/back'))
  assert.ok(readFileSync('/run/back').equals(readFileSync('/run/data')))
  const supports = Number((await nvmeJson('id-ctrl', `/dev/${bed.controller(PORTALS[0]).name}`))['oncs'])
  if (supports & 1) {
    await nvme(...io('compare', '/run/data'))
    await assert.rejects(nvme(...io('compare', '/run/other')), /compar/i)
  }
  if (supports & 0x80) await nvme('verify', node, ...blocks)
  await nvme('flush', node)
  await nvme('write-zeroes', node, '--start-block=16', '--block-count=0')
  await nvme('dsm', node, '--ad', '--slbs=18', '--blocks=1')
  const stand = bed.storage.peek(0, 65_536, 16_384)
  assert.ok(stand.subarray(0, 4096).every((byte) => byte === 0))
  assert.ok(readFileSync('/run/data').subarray(4096, 8192).equals(stand.subarray(4096, 8192)))
  assert.deepEqual(bed.array.violations, [])
})

test('reservations, as nvme-cli and the kernel’s own keys have them', async () => {
  await using bed = await openBed()
  const node = bed.node()
  const report = async (): Promise<Record<string, unknown>> =>
    nvmeJson('resv-report', node, '--namespace-id=1', '--eds')
  await nvme('resv-register', node, '--nrkey=0xb1', '--rrega=0')
  // Each controller of the host that has registered.
  assert.equal((await report())['regctl'], 2)
  await nvme('resv-acquire', node, '--crkey=0xb1', '--rtype=1', '--racqa=0')
  assert.equal((await report())['rtype'], 1)
  const write = ['if=/dev/zero', `of=${node}`, 'bs=4k', 'count=1', 'oflag=direct', 'conv=notrunc']
  assert.equal((await start('dd', write).ended).code, 0)
  await nvme('resv-release', node, '--crkey=0xb1', '--rtype=1', '--rrela=0')
  assert.equal((await report())['rtype'], 0)
  // A host elsewhere has the volume for itself.
  bed.array.reserve(bed.storage.volumes[0]!.id, 2)
  const { code, stderr } = await start('dd', write).ended
  assert.notEqual(code, 0)
  assert.match(stderr, /Invalid exchange|Device or resource busy|Input\/output/)
  bed.array.clearReservations(bed.storage.volumes[0]!.id)
  assert.equal((await start('dd', write).ended).code, 0)
  assert.deepEqual(bed.array.violations, [])
})

test('a volume that grows, and others that come and go, are seen without a rescan, under fio verify', async () => {
  await using bed = await openBed()
  const work = load(bed.node())
  const sectors = (): number => Number(readFileSync(`/sys/block/${bed.node().slice(5)}/size`, 'utf8'))
  bed.storage.grow(0, '96MiB')
  await until('it has grown', () => sectors() === (96 * MIB) / 512)
  const id = bed.storage.addVolume({ size: '32MiB' })
  await until('the new one is there over both paths', () => bed.access(2).every((state) => state !== undefined))
  await load(bed.node(2), { size: '2m' }).done
  bed.storage.unmap(id, 'all')
  await until('it is gone', () => bed.access(2).every((state) => state === undefined))
  await work.done
  assert.deepEqual(bed.array.violations, [])
})

test('udev names the node by its identity', async () => {
  await startUdev()
  await using bed = await openBed()
  const identity = bed.storage.volumes[0]!.id.replace(/^\w+\./, '')
  await until('the link is there', async () =>
    (await judge('udevadm', 'info', '--query=symlink', bed.node())).includes(identity),
  )
})
