import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { until } from '../guest/wait.ts'
import { judge } from '../judges/root.ts'
import { fio, start, tool } from '../node/tools.ts'
import { MIB, openBed, PORTALS } from './bed.ts'

for (const blockSize of [512, 4096] as const) {
  test(`blocks of ${blockSize} bytes: what the kernel knows of the disk is what the volume is`, async () => {
    await using bed = await openBed({ storage: { volumes: [{ size: '64MiB', blockSize }] } })
    const disk = bed.disk(PORTALS[0])
    const queue = (file: string): string => readFileSync(`/sys/block/${disk}/queue/${file}`, 'utf8').trim()
    assert.equal(queue('logical_block_size'), String(blockSize))
    assert.equal(queue('write_cache'), 'write back')
    assert.equal(queue('fua'), '1')
    assert.ok(Number(queue('discard_max_bytes')) > 0)
    assert.ok(Number(queue('write_zeroes_max_bytes')) > 0)
    assert.equal((await tool('blockdev', '--getsize64', bed.map)).trim(), String(64 * MIB))
    const capacity = await judge('sg_readcap', '--long', `/dev/${disk}`)
    assert.match(capacity, new RegExp(`Last LBA=${(64 * MIB) / blockSize - 1} `))
    assert.match(capacity, /lbpme=1, lbprz=1/)
    assert.deepEqual(bed.array.violations, [])
  })
}

test('writes, discards and zeroes arrive; after fsync a power loss takes nothing', async () => {
  await using bed = await openBed({ storage: { log: true } })
  await tool('sh', '-c', `head -c ${4 * MIB} /dev/urandom >/run/random`)
  const random = readFileSync('/run/random')
  await tool('dd', 'if=/run/random', `of=${bed.map}`, 'bs=1M', 'seek=60', 'conv=notrunc,fsync', 'status=none')
  assert.ok(random.equals(bed.storage.peek(0, 60 * MIB, 4 * MIB)))
  assert.equal(bed.storage.crashImage(0, () => 1).checksum(), bed.storage.checksum(0))
  await tool('blkdiscard', '-o', String(60 * MIB), '-l', String(MIB), bed.map)
  await tool('blkdiscard', '-z', '-o', String(62 * MIB), '-l', String(MIB), bed.map)
  for (const at of [60, 62]) assert.ok(bed.storage.peek(0, at * MIB, MIB).every((byte) => byte === 0))
  assert.ok(random.subarray(MIB, 2 * MIB).equals(bed.storage.peek(0, 61 * MIB, MIB)))
  assert.deepEqual(bed.array.violations, [])
})

for (const [name, array, settings] of [
  ['without digests, data unasked', {}, {}],
  [
    'with both digests, every write asked for, in small pieces',
    { initialR2T: true, immediateData: false, maxBurstLength: 16_384, maxRecvDataSegmentLength: 4096 },
    { 'node.conn[0].iscsi.HeaderDigest': 'CRC32C', 'node.conn[0].iscsi.DataDigest': 'CRC32C' },
  ],
  [
    'with many R2Ts, status apart from the data',
    { maxOutstandingR2T: 8, collapseStatus: false, firstBurstLength: 4096, maxBurstLength: 8192 },
    { 'node.session.iscsi.MaxOutstandingR2T': 8, 'node.session.iscsi.FirstBurstLength': 4096 },
  ],
] as const) {
  test(`fio verify of 512 bytes to 1 MiB, ${name}`, async () => {
    await using bed = await openBed({ array, settings })
    const job = { rw: 'randwrite', bssplit: '512/20:4k/40:20k/20:256k/15:1m/5', size: '24m', iodepth: 16 }
    const work = fio({ filename: bed.map, verify: 'crc32c', direct: 1, ioengine: 'libaio', ...job }, { load: {} })
    await work.done
    assert.deepEqual(bed.array.violations, [])
  })
}

test('the tools of sg3-utils can read every page and list', async () => {
  await using bed = await openBed({ storage: { volumes: [{ size: '64MiB' }, { size: '32MiB' }] } })
  const disk = `/dev/${bed.disk(PORTALS[0])}`
  assert.match(await judge('sg_inq', disk), /Vendor identification: BLKBRAID/)
  assert.match(await judge('sg_luns', '--decode', disk), /list length = 16 which implies 2 lun entries/)
  assert.match(await judge('sg_vpd', '--page=di', disk), new RegExp(`0x${bed.wwid.slice(1)}`))
  for (const page of ['sv', 'sn', 'bl', 'bdc', 'lbpv'])
    assert.notEqual(await judge('sg_vpd', `--page=${page}`, disk), '')
  assert.match(await judge('sg_opcodes', disk), /Persistent reserve out/i)
  assert.match(await judge('sg_modes', '--all', disk), /Caching/)
  assert.match(await judge('sg_get_lba_status', '--brief', '--lba=0', disk), /^0x0/)
  await judge('sg_turs', disk)
  await judge('sg_sync', disk)
  assert.deepEqual(bed.array.violations, [])
})

test('a reservation holds for one session and conflicts for the other', async () => {
  await using bed = await openBed()
  const [mine, other] = PORTALS.map((portal) => `/dev/${bed.disk(portal)}`) as [string, string]
  // Away from multipathd, which would read through both.
  await judge('multipathd', 'del', 'map', bed.wwid)
  await judge('sg_persist', '--out', '--register', '--param-sark=0xb1', mine)
  await judge('sg_persist', '--out', '--reserve', '--param-rk=0xb1', '--prout-type=1', mine)
  assert.match(await judge('sg_persist', '--in', '--read-keys', other), /1 registered reservation key follows:\s+0xb1/)
  assert.match(await judge('sg_persist', '--in', '--read-reservation', other), /Write Exclusive/)
  assert.match(await judge('sg_persist', '--in', '--report-capabilities', mine), /Persist Through Power Loss/)
  assert.match(await judge('sg_persist', '--in', '--read-full-status', mine), /Reservation holder/)
  const write = (disk: string): Promise<{ code: number | null }> =>
    start('dd', ['if=/dev/zero', `of=${disk}`, 'bs=4k', 'count=1', 'oflag=direct', 'conv=notrunc']).ended
  assert.equal((await write(mine)).code, 0)
  assert.notEqual((await write(other)).code, 0)
  await judge('sg_persist', '--out', '--register', '--param-sark=0xb2', other)
  await judge('sg_persist', '--out', '--preempt', '--param-rk=0xb2', '--param-sark=0xb1', '--prout-type=1', other)
  assert.equal((await write(other)).code, 0)
  assert.notEqual((await write(mine)).code, 0)
  await judge('sg_persist', '--out', '--clear', '--param-rk=0xb2', other)
  await until('the map is back', async () => (await judge('multipathd', 'add', 'path', mine.slice(5))).includes('ok'))
  assert.deepEqual(bed.array.violations, [])
})
