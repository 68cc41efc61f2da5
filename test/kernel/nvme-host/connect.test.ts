import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { until } from '../guest/wait.ts'
import { load } from '../judges/load.ts'
import { openBed, PORTALS } from './bed.ts'
import {
  connect,
  controllersOf,
  disconnect,
  LINUX,
  LINUX_ID,
  namespacesOf,
  nvme,
  nvmeJson,
  nvmeRefused,
} from './nvme-cli.ts'

const [HOST, PORT] = PORTALS[0].split(':') as [string, string]

test('nvme discover tells of both ports, and connect-all connects to each', async () => {
  await using bed = await openBed({ connect: false })
  const at = ['--transport=tcp', `--traddr=${HOST}`, `--trsvcid=${PORT}`]
  const { records = [] } = (await nvmeJson('discover', ...at)) as { records?: Record<string, string>[] }
  const seen = records.map(({ subnqn, traddr, trsvcid, trtype, subtype }) => ({
    subnqn,
    traddr,
    trsvcid,
    trtype,
    subtype,
  }))
  for (const portal of PORTALS) {
    const [traddr, trsvcid] = portal.split(':')
    const wanted = { subnqn: bed.array.name, traddr, trsvcid, trtype: 'tcp', subtype: 'nvme subsystem' }
    assert.ok(
      seen.some((record) => JSON.stringify(record) === JSON.stringify(wanted)),
      JSON.stringify(records),
    )
  }
  await nvme('connect-all', ...at)
  await bed.allLive()
  await until('the namespace has two paths', () => namespacesOf(bed.array.name)[0]?.paths.size === 2)
  assert.deepEqual(
    new Set(bed.array.controllers.filter(({ discovery }) => !discovery).map(({ hostNqn }) => hostNqn)),
    new Set([LINUX]),
  )
  assert.equal(bed.array.controllers.find(({ discovery }) => !discovery)?.hostId, LINUX_ID.replaceAll('-', ''))
  assert.deepEqual(bed.array.violations, [])
})

test('nvme-cli reads of the controller and the namespace what the array is', async () => {
  await using bed = await openBed({
    storage: {
      volumes: [
        { size: '64MiB', blockSize: 4096 },
        { size: '32MiB', blockSize: 512 },
      ],
    },
    array: { serial: 'SERIAL', model: 'a model of the test', firmware: '1.2', maxTransfer: 262_144 },
  })
  await until('both namespaces are there', () => bed.access(2).every((state) => state !== undefined))
  const { name } = bed.controller(PORTALS[0])
  const device = `/dev/${name}`
  const controller = await nvmeJson('id-ctrl', device)
  assert.equal(String(controller['sn']).trim(), 'SERIAL')
  assert.equal(String(controller['mn']).trim(), 'a model of the test')
  assert.equal(String(controller['fr']).trim(), '1.2')
  assert.equal(controller['subnqn'], bed.array.name)
  assert.equal(controller['mdts'], 6)
  assert.equal(Number(controller['cmic']) & 0x0a, 0x0a)
  const namespace = await nvmeJson('id-ns', device, '--namespace-id=1')
  assert.equal(namespace['nsze'], (64 * 1024 * 1024) / 4096)
  assert.equal(Number(namespace['nmic']) & 1, 1)
  const queue = (nsid: number, file: string): string =>
    readFileSync(`/sys/block/${bed.node(nsid).slice(5)}/queue/${file}`, 'utf8').trim()
  assert.equal(queue(1, 'logical_block_size'), '4096')
  assert.equal(queue(2, 'logical_block_size'), '512')
  assert.equal(queue(1, 'write_cache'), 'write back')
  assert.ok(Number(queue(1, 'discard_max_bytes')) > 0)
  assert.ok(Number(queue(1, 'write_zeroes_max_bytes')) > 0)
  assert.deepEqual(
    ((await nvmeJson('list-ns', device)) as { nsid_list: { nsid: number }[] }).nsid_list.map(({ nsid }) => nsid),
    [1, 2],
  )
  const descriptors = await nvme('ns-descs', device, '--namespace-id=1')
  assert.match(
    descriptors.replaceAll('-', ''),
    new RegExp(bed.storage.volumes[0]!.id.replace(/^\w+\./, '').replaceAll('-', '')),
  )
  const log = await nvme('ana-log', device)
  assert.match(log, /ngrps\s*:\s*[12]/)
  const subsystems = await nvme('list-subsys')
  for (const portal of PORTALS) assert.match(subsystems, new RegExp(`traddr=${portal.split(':')[0]}.*live`))
  for (const command of ['smart-log', 'error-log', 'fw-log', 'effects-log', 'changed-ns-list-log', 'show-regs'])
    await nvme(command, device)
  await nvme('get-feature', device, '--feature-id=0x0f', '--human-readable')
  await nvme('supported-log-pages', device)
  assert.deepEqual(bed.array.violations, [])
})

for (const [name, options, check] of [
  ['one I/O queue', { 'nr-io-queues': 1 }, { queues: 1 }],
  ['two I/O queues of eight entries', { 'nr-io-queues': 2, 'queue-size': 16 }, { queues: 2 }],
  ['digests of headers', { 'hdr-digest': true }, { headerDigest: true }],
  [
    'digests of headers and of data',
    { 'hdr-digest': true, 'data-digest': true },
    { headerDigest: true, dataDigest: true },
  ],
  [
    'a queue for writes and one for polling',
    { 'nr-io-queues': 1, 'nr-write-queues': 1, 'nr-poll-queues': 1 },
    { queues: 3 },
  ],
  ['a keep-alive of 30 seconds', { 'keep-alive-tmo': 30 }, { keepAliveTimeout: 30_000 }],
] as const) {
  test(`fio verify over ${name}`, async () => {
    await using bed = await openBed({ connect: options })
    const wanted: { queues?: number; headerDigest?: boolean; dataDigest?: boolean; keepAliveTimeout?: number } = check
    for (const controller of bed.array.controllers) {
      if (wanted.queues !== undefined) assert.equal(controller.queues.length, wanted.queues)
      if (wanted.keepAliveTimeout !== undefined) assert.equal(controller.keepAliveTimeout, wanted.keepAliveTimeout)
      assert.equal(controller.headerDigest, wanted.headerDigest ?? false)
      assert.equal(controller.dataDigest, wanted.dataDigest ?? false)
    }
    await load(bed.node(), { size: '6m' }).done
    assert.deepEqual(bed.array.violations, [])
  })
}

for (const [name, array] of [
  ['nothing in the capsule, R2Ts of 4 KiB, four at once', { inCapsuleData: 0, r2tSize: 4096, r2tsAtOnce: 4 }],
  ['H2CData of 4 KiB, C2HData of 4 KiB, no success flag', { maxH2CData: 4096, c2hDataSize: 4096, successFlag: false }],
  ['16 KiB in the capsule, flow control', { inCapsuleData: 16_384, flowControlDisable: false }],
] as const) {
  for (const digests of [false, true]) {
    test(`fio verify of 4 KiB to 1 MiB: ${name}${digests ? ', with digests' : ''}`, async () => {
      const connect = digests ? ({ 'hdr-digest': true, 'data-digest': true } as const) : {}
      await using bed = await openBed({ array, connect })
      await load(bed.node(), { bssplit: '4k/50:20k/25:256k/20:1m/5', size: '16m' }).done
      assert.deepEqual(bed.array.violations, [])
    })
  }
}

test('hosts that are not on the list are refused, and told so', async () => {
  await using bed = await openBed({ array: { hosts: ['nqn.2026-11.io.blockbraid.test:another'] }, connect: false })
  const words = await nvmeRefused(
    'connect',
    '--transport=tcp',
    `--traddr=${HOST}`,
    `--trsvcid=${PORT}`,
    `--nqn=${bed.array.name}`,
  )
  assert.match(words, /failed/i)
  assert.equal(controllersOf(bed.array.name).length, 0)
  assert.ok(bed.array.counters.refused > 0)
  assert.deepEqual(bed.array.violations, [])
})

test('disconnecting shuts controllers down in order', async () => {
  await using bed = await openBed()
  await disconnect(bed.array.name)
  await until('the array has no controller', () => bed.array.controllers.length === 0)
  assert.equal(bed.array.counters.shutdowns, 2)
  assert.equal(bed.array.counters.expirations, 0)
  await connect(bed.array.name, PORTALS[0])
  await until('it is there again', () => bed.access()[0] === 'optimized')
  assert.deepEqual(bed.array.violations, [])
})
