import assert from 'node:assert/strict'
import { openSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { it } from 'node:test'
import type { Attachment } from '@blockbraid/core'
import { Errno } from '@blockbraid/core'
import { until } from '../guest/wait.ts'
import { attach, attribute, connectedNodes, MIB, makeFile, openDirect, openFiles, pattern, run } from './bed.ts'
import { serve } from './serve.ts'

it('reads and writes through the node, of every length from a block to more than one request holds', async (t) => {
  const { attachment, device } = await attach(t)
  await using file = await openDirect(attachment.node)
  for (const length of [512, 4096, 65536, 131072, MIB]) {
    const data = pattern(`${length} bytes`, length)
    await file.write(length * 4, data)
    assert.deepEqual(await file.read(length * 4, length), data)
  }
  assert.ok(device.log.includes('write 4194304 1048576'), device.log.join('\n'))
})

it('tells the kernel what the device can do', async (t) => {
  const full = await attach(t, { rotational: true })
  const { kname } = full
  assert.equal(attribute(kname, 'backend'), 'blockbraid/disk@naa.1')
  assert.equal(attribute(kname, 'size'), String((64 * MIB) / 512))
  assert.equal(attribute(kname, 'ro'), '0')
  assert.equal(attribute(kname, 'queue/logical_block_size'), '512')
  assert.equal(attribute(kname, 'queue/write_cache'), 'write back')
  assert.equal(attribute(kname, 'queue/fua'), '1')
  assert.notEqual(attribute(kname, 'queue/discard_max_bytes'), '0')
  assert.equal(attribute(kname, 'queue/max_sectors_kb'), '1024')
  assert.equal(attribute(kname, 'queue/io_timeout'), '5000')
  const [major, minor] = (await run('uname', '-r')).split('.').map(Number)
  if (major! > 6 || minor! >= 12) {
    assert.notEqual(attribute(kname, 'queue/write_zeroes_max_bytes'), '0')
    assert.equal(attribute(kname, 'queue/rotational'), '1')
  }
  const bare = await attach(t, {
    name: 'bare',
    resendInterval: 2000,
    limits: { blockSize: 4096, writeCache: false, trim: false, readOnly: true, maxTransfer: 128 * 1024 },
  })
  assert.equal(attribute(bare.kname, 'ro'), '1')
  assert.equal(attribute(bare.kname, 'queue/logical_block_size'), '4096')
  assert.equal(attribute(bare.kname, 'queue/write_cache'), 'write through')
  assert.equal(attribute(bare.kname, 'queue/discard_max_bytes'), '0')
  assert.equal(attribute(bare.kname, 'queue/max_sectors_kb'), '128')
  assert.equal(attribute(bare.kname, 'queue/io_timeout'), '2000')
})

it('passes on flush, FUA, discard and zero-out', async (t) => {
  const { attachment, device } = await attach(t)
  device.log.length = 0
  await run(process.execPath, '-e', `require('fs').fsyncSync(require('fs').openSync('${attachment.node}', 'r+'))`)
  assert.ok(device.log.includes('flush 0 0'), device.log.join('\n'))
  const dd = ['if=/dev/zero', `of=${attachment.node}`, 'bs=4096', 'count=1', 'seek=7', 'oflag=direct,dsync']
  await run('dd', ...dd)
  assert.ok(device.log.includes('write fua 28672 4096'), device.log.join('\n'))
  await run('blkdiscard', '-o', '1048576', '-l', '1048576', attachment.node)
  assert.ok(device.log.includes('trim 1048576 1048576'), device.log.join('\n'))
  await run('blkdiscard', '-z', '-o', '2097152', '-l', '65536', attachment.node)
  assert.ok(
    device.log.some((line) => /^(zeroes|write) 2097152 65536$/.test(line)),
    device.log.join('\n'),
  )
})

it('gives an application EIO for whatever failed', async (t) => {
  const { attachment, device } = await attach(t)
  await using file = await openDirect(attachment.node)
  for (const status of [Errno.EIO, Errno.ENOSPC, Errno.EPERM]) {
    device.failWith = status
    await assert.rejects(file.write(0, pattern('x', 4096)), { code: 'EIO' })
    await assert.rejects(file.read(0, 4096), { code: 'EIO' })
  }
  device.failWith = 0
  await file.write(0, pattern('y', 4096))
})

it('grows and shrinks under an open node', async (t) => {
  const { attachment, kname, device } = await attach(t, { limits: { size: 32 * MIB } })
  await using file = await openDirect(attachment.node)
  device.limits = { ...device.limits, size: 64 * MIB }
  await attachment.resize(64 * MIB)
  assert.equal(attribute(kname, 'size'), String((64 * MIB) / 512))
  await file.write(63 * MIB, pattern('new', 4096))
  await attachment.resize(16 * MIB)
  assert.equal((await file.read(32 * MIB, 4096)).length, 0)
  await assert.rejects(attachment.resize(1000), TypeError)
})

it('finds partitions', async (t) => {
  const file = makeFile(t)
  // A table with one partition of type 83 from sector 2048 on.
  const table = Buffer.alloc(512)
  table[450] = 0x83
  table.writeUInt32LE(2048, 454)
  table.writeUInt32LE(4096, 458)
  table.writeUInt16LE(0xaa55, 510)
  writeSync(openSync(file, 'r+'), table)
  const { kname } = await attach(t, { file, partitions: true })
  assert.equal(attribute(kname, `${kname}p1/size`), '4096')
})

it('refuses a name that is taken, here and in another process', async (t) => {
  const { transport, device, attachment } = await attach(t)
  await assert.rejects(transport.attach(device, { name: 'disk', volume: 'naa.1' }), { code: 'IN_USE' })
  const other = await serve(t, { file: makeFile(t) })
  assert.equal(other.error?.code, 'IN_USE')
  assert.match(other.error?.message ?? '', new RegExp(`process ${process.pid} serves disk as ${attachment.node}`))
})

it('says what is missing without privileges, and makes an export where kernel is auto', async (t) => {
  const file = makeFile(t)
  await run('chmod', '-R', 'a+rwX', dirname(file))
  const nobody = [
    'setpriv',
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
    '--inh-caps=-all',
    '--bounding-set=-all',
  ]
  const { error } = await serve(t, { file }, nobody)
  assert.equal(error?.code, 'DENIED')
  assert.match(error.message, /CAP_SYS_ADMIN/)
  const { node } = await serve(t, { file, options: { kernel: 'auto', socket: `${file}.sock` } }, nobody)
  assert.match(node, /^nbd\+unix:/)
})

it('loads the module where it is not', async (t) => {
  assert.deepEqual(connectedNodes(), [])
  await run('modprobe', '-r', 'nbd')
  const { kname } = await attach(t)
  assert.equal(attribute(kname, 'backend'), 'blockbraid/disk@naa.1')
})

it('leaves nothing behind, a hundred times', async (t) => {
  // Keeps the guard, whose start costs more than all the rest.
  const { transport, device, attachment } = await attach(t, { name: 'kept' })
  const identity = { name: 'disk', volume: 'naa.2' }
  const { node } = await cycle()
  const files = openFiles()
  for (let round = 1; round < 100; round++) assert.equal((await cycle()).node, node)
  assert.deepEqual(connectedNodes(), [kname(attachment.node)])
  await until('files closed', () => openFiles() <= files)
  assert.equal(attribute(kname(node), 'queue/io_timeout'), '30000')
  await attachment.detach()
  await until('no guard left', async () => !(await run('ps', '-ef')).includes('guard.js'))

  async function cycle(): Promise<Attachment> {
    const one = await transport.attach(device, identity)
    await one.detach()
    return one
  }
})

function kname(node: string): string {
  return node.slice('/dev/'.length)
}
