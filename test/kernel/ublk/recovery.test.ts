import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { afterEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { BlockError } from '@blockbraid/core'
import { createMinimalDevice, createMinimalStorage } from '@blockbraid/testkit'
import { ublk } from '@blockbraid/transport-ublk'
import { until, within } from '../guest/wait.ts'
import { mount, readDirect, start, tool, writeDirect } from '../node/tools.ts'
import { kernelFrom, MIB, memoryFile, noDevices, nodes, startServer, sysfs } from './bed.ts'
import type { ServerOptions } from './server.ts'

const NAMES: ServerOptions = { name: 'disk', volume: 'naa.5000000000000001' }

afterEach(async () => {
  // What a test that failed has left behind.
  if (nodes().length === 0) return
  const transport = ublk()
  for (const { node } of await transport.nodes()) await transport.removeNode(node, { mode: 'force' }).catch(() => {})
  await transport.close()
})

function load(node: string, options: Readonly<Record<string, string | number>> = {}) {
  const all = {
    filename: node,
    direct: 1,
    ioengine: 'libaio',
    rw: 'randwrite',
    bs: '4k',
    verify: 'crc32c',
    thread: 1,
    ...options,
  }
  return start('fio', ['--name=load', ...Object.entries(all).map(([name, value]) => `--${name}=${value}`)])
}

test('pain: a server is killed under load, again and again: the next one takes over, no error, no lost write', async () => {
  using file = memoryFile(32 * MIB)
  let server = startServer(file.path, NAMES)
  const { node, tookOver } = await server.attached()
  assert.equal(tookOver, false)
  // More requests than the queue has tags: older drivers notice the end of a server by themselves only where a tag is free.
  const fio = load(node, { size: '8m', iodepth: 192, rate_iops: 400 })
  let running = true
  void fio.ended.then(() => {
    running = false
  })
  let kills = 0
  while (running && kills < 5) {
    await sleep(300)
    await server.kill()
    server = startServer(file.path, NAMES)
    assert.deepEqual(await server.attached(), { node, tookOver: true })
    kills++
  }
  assert.ok(kills > 1, `fio was over after ${kills} kills`)
  await fio.done
  server.child.send('clean')
  await server.ended()
  await noDevices()
})

test('a filesystem that is mounted survives the death of its server', async () => {
  using file = memoryFile(32 * MIB)
  await using server = startServer(file.path, NAMES)
  const { node } = await server.attached()
  await tool('mkfs.ext4', '-q', node)
  await using next = await (async () => {
    await using mounted = await mount(node)
    const copy = tool(
      'dd',
      'if=/dev/urandom',
      `of=${mounted.folder}/file`,
      'bs=64k',
      'count=128',
      'conv=fsync',
      'status=none',
    )
    await sleep(100)
    await server.kill()
    const other = startServer(file.path, NAMES)
    assert.deepEqual(await other.attached(), { node, tookOver: true })
    await copy
    await tool('sync', '-f', mounted.folder)
    return other
  })()
  await tool('fsck.ext4', '-fn', node)
  next.child.send('clean')
  await next.ended()
  await noDevices()
})

test('leave: requests wait for the next server, and none is lost', async () => {
  using file = memoryFile(32 * MIB)
  await using server = startServer(file.path, { ...NAMES, delay: 20 })
  const { node } = await server.attached()
  const fio = load(node, { size: '4m', iodepth: 32 })
  await sleep(1000)
  server.child.send('leave')
  await server.ended()
  assert.deepEqual(nodes(), [node.replace('/dev/', '')])
  const listing = ublk()
  const [left] = await listing.nodes()
  assert.equal(left?.served, false)
  await listing.close()
  await using next = startServer(file.path, NAMES)
  assert.deepEqual(await next.attached(), { node, tookOver: true })
  await fio.done
  next.child.send('clean')
  await next.ended()
  await noDevices()
})

test('a node is taken over only by the same volume, of the same block size; a new size reaches it', async () => {
  using file = memoryFile(MIB)
  await using server = startServer(file.path, NAMES)
  const { node } = await server.attached()
  await server.kill()
  const transport = ublk()
  const other = await transport.attach(createMinimalDevice(), { name: NAMES.name, volume: 'naa.5000000000000002' })
  assert.notEqual(other.node, node)
  assert.equal(other.tookOver, false)
  await other.detach()
  await assert.rejects(
    transport.attach(createMinimalDevice(createMinimalStorage(8192, 512)), NAMES),
    (error) => BlockError.is(error) && error.code === 'MISMATCH' && error.message.includes(node),
  )
  const read = readDirect(node, 0, 4096)
  const taken = await transport.attach(createMinimalDevice(createMinimalStorage(1024)), NAMES)
  assert.equal(taken.tookOver, true)
  assert.equal(taken.node, node)
  assert.equal(await read, 'done')
  assert.equal(Number(sysfs(node, 'size')) * 512, kernelFrom(616) ? 4 * MIB : MIB)
  await transport.close({ mode: 'force' })
  await noDevices()
})

test('nobody takes over: what waits ends with EIO after the limit, and the node goes', async () => {
  using file = memoryFile(MIB)
  await using server = startServer(file.path, { ...NAMES, delay: 100_000, transport: { takeOverTimeout: 3000 } })
  const { node } = await server.attached()
  const before = Array.from({ length: 4 }, (_, at) => writeDirect(node, at * 4096, 4096))
  await until('requests are under way', () => inflight(node) >= 4)
  await server.kill()
  const after = readDirect(node, 65536, 4096)
  assert.deepEqual(await within('all have ended', Promise.all([...before, after])), Array(5).fill('Input/output error'))
  await noDevices()
})

test('nobody takes over: a filesystem that is mounted gets errors, and no task hangs', async () => {
  using file = memoryFile(16 * MIB)
  await using server = startServer(file.path, { ...NAMES, transport: { takeOverTimeout: 1000 } })
  const { node } = await server.attached()
  await tool('mkfs.ext4', '-q', node)
  const mounted = await mount(node)
  await tool('dd', 'if=/dev/urandom', `of=${mounted.folder}/file`, 'bs=64k', 'count=16', 'status=none')
  await server.kill()
  const { code } = await start('sync', ['-f', mounted.folder]).ended
  assert.notEqual(code, 0)
  await mounted[Symbol.asyncDispose]()
  await noDevices()
})

test('a node that was left behind can be removed, by force while it is mounted', async () => {
  using file = memoryFile(16 * MIB)
  await using server = startServer(file.path, NAMES)
  const { node } = await server.attached()
  await tool('mkfs.ext4', '-q', node)
  const mounted = await mount(node)
  await server.kill()
  const transport = ublk()
  await until('it is left behind', async () => (await transport.nodes())[0]?.served === false)
  await assert.rejects(transport.removeNode(node), (error) => BlockError.is(error) && error.code === 'IN_USE')
  await within('it is removed', transport.removeNode(node, { mode: 'force' }))
  assert.deepEqual(nodes(), [])
  await transport.close()
  await mounted[Symbol.asyncDispose]()
  await noDevices()
})

function inflight(node: string): number {
  const [reads = 0, writes = 0] = readFileSync(`/sys/block/${node.replace('/dev/', '')}/inflight`, 'utf8')
    .trim()
    .split(/\s+/)
    .map(Number)
  return reads + writes
}
