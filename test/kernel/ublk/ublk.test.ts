import assert from 'node:assert/strict'
import { chownSync, existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { test } from 'node:test'
import type { AttachOptions, BlockDevice, DeviceLimits } from '@blockbraid/core'
import { BlockError, Errno, IoFlag, IoOp } from '@blockbraid/core'
import {
  createMinimalDevice,
  createMinimalStorage,
  hanging,
  pattern,
  patternFault,
  recording,
} from '@blockbraid/testkit'
import type { UblkOptions, UblkTransport } from '@blockbraid/transport-ublk'
import { ublk } from '@blockbraid/transport-ublk'
import { until, within } from '../guest/wait.ts'
import { mount, readDirect, start, tool, writeDirect } from '../node/tools.ts'
import {
  descriptors,
  devices,
  Foreign,
  kernelFrom,
  MIB,
  memoryFile,
  noDevices,
  nodes,
  sendForeign,
  startServer,
  sysfs,
} from './bed.ts'

const NAMES: AttachOptions = { name: 'disk', volume: 'naa.5000000000000001' }

function transportOf(options: UblkOptions = {}): UblkTransport & AsyncDisposable {
  const transport = ublk(options)
  return Object.assign(transport, {
    async [Symbol.asyncDispose]() {
      await within('the transport is closed', transport.close({ mode: 'force' }))
      await noDevices()
    },
  })
}

function deviceOf(limits: Partial<DeviceLimits> = {}, blocks = 4096) {
  const storage = createMinimalStorage(blocks, limits.blockSize ?? 4096)
  storage.limits = { ...storage.limits, ...limits }
  return { storage, device: createMinimalDevice(storage) }
}

const isCode = (code: string, words?: RegExp) => (error: unknown) =>
  BlockError.is(error) && error.code === code && (words === undefined || words.test(error.message))

for (const blockSize of [512, 4096]) {
  test(`bytes get there and back, past the page cache, in blocks of ${blockSize}`, async () => {
    await using transport = transportOf()
    const { device, storage } = deviceOf({ blockSize }, (16 * MIB) / blockSize)
    const { node } = await transport.attach(device, NAMES)
    const data = pattern(8 * MIB, { seed: 7, offset: 0, generation: 1 })
    await using file = await memoryFileOf(data)
    await tool('dd', `if=${file.path}`, `of=${node}`, 'bs=1M', 'oflag=direct', 'status=none')
    assert.equal(
      patternFault(storage.current.subarray(0, data.length), { seed: 7, offset: 0, generation: 1 }),
      undefined,
    )
    storage.current.set(pattern(MIB, { seed: 8, offset: 2 * MIB, generation: 2 }), 2 * MIB)
    await tool('dd', `if=${node}`, `of=${file.path}`, 'bs=1M', 'iflag=direct', 'skip=2', 'count=1', 'status=none')
    const back = await readAll(file.path)
    assert.equal(patternFault(back, { seed: 8, offset: 2 * MIB, generation: 2 }), undefined)
  })
}

async function memoryFileOf(data: Uint8Array): Promise<AsyncDisposable & { path: string }> {
  const file = memoryFile(0)
  await using handle = await open(file.path, 'w')
  await handle.writeFile(data)
  return { path: file.path, [Symbol.asyncDispose]: async () => file[Symbol.dispose]() }
}

async function readAll(path: string): Promise<Buffer> {
  await using handle = await open(path)
  return handle.readFile()
}

test('limits in sysfs are those of the device', async () => {
  await using transport = transportOf({ maxTransfer: 256 * 1024 })
  const { device } = deviceOf({ blockSize: 512, preferredBlockSize: 4096 }, 16384)
  const { node } = await transport.attach(device, NAMES)
  const expected = {
    size: String((16384 * 512) / 512),
    'queue/logical_block_size': '512',
    'queue/physical_block_size': '4096',
    'queue/minimum_io_size': '4096',
    'queue/optimal_io_size': '4096',
    'queue/max_hw_sectors_kb': '256',
    'queue/discard_granularity': '4096',
    'queue/discard_max_bytes': String(2 ** 32 - 4096),
    'queue/write_zeroes_max_bytes': String(2 ** 32 - 4096),
    'queue/write_cache': 'write back',
    'queue/fua': '1',
    'queue/rotational': '0',
    ro: '0',
  }
  const seen = Object.fromEntries(Object.keys(expected).map((file) => [file, sysfs(node, file)]))
  assert.deepEqual(seen, expected)
})

test('limits of a device that can do little', async () => {
  await using transport = transportOf()
  const { device } = deviceOf({ writeCache: false, fua: false, trim: false, writeZeroes: false, readOnly: true })
  const { node } = await transport.attach(device, NAMES)
  const expected = {
    'queue/logical_block_size': '4096',
    'queue/discard_max_bytes': '0',
    'queue/write_zeroes_max_bytes': '0',
    'queue/write_cache': 'write through',
    'queue/fua': '0',
    ro: '1',
  }
  const seen = Object.fromEntries(Object.keys(expected).map((file) => [file, sysfs(node, file)]))
  assert.deepEqual(seen, expected)
  assert.match(await writeDirect(node, 0, 4096), /not permitted|Read-only/)
})

test('mission 12: discard, zeroes, flush and forced unit access reach the device as such', async () => {
  await using transport = transportOf()
  const { device: inner, storage } = deviceOf()
  const device = recording(inner)
  const { node } = await transport.attach(device, NAMES)
  storage.current.fill(0xff)
  const during = async (work: () => Promise<unknown>) => {
    device.log.length = 0
    await work()
    return device.log.filter(({ event }) => event === 'submit')
  }
  const discard = await during(() => tool('blkdiscard', '-o', String(MIB), '-l', String(2 * MIB), node))
  const trims = discard.filter(({ op }) => op === IoOp.Trim)
  assert.deepEqual(
    trims.map(({ offset, length }) => [offset, length]),
    [[MIB, 2 * MIB]],
  )
  const zeroes = await during(() => tool('blkdiscard', '-z', '-o', String(4 * MIB), '-l', String(MIB), node))
  assert.ok(
    zeroes.some(
      ({ op, offset, length, flags }) =>
        op === IoOp.WriteZeroes && offset === 4 * MIB && length === MIB && (flags & IoFlag.NoUnmap) !== 0,
    ),
  )
  const punch = await during(() => tool('fallocate', '-p', '-o', String(6 * MIB), '-l', String(MIB), node))
  assert.ok(
    punch.some(
      ({ op, offset, flags }) => op === IoOp.WriteZeroes && offset === 6 * MIB && (flags & IoFlag.NoUnmap) === 0,
    ),
  )
  const forced = await during(() =>
    tool('dd', 'if=/dev/zero', `of=${node}`, 'bs=4k', 'count=2', 'oflag=direct,dsync', 'status=none'),
  )
  assert.ok(
    forced.some(({ op, flags }) => op === IoOp.Write && (flags & IoFlag.Fua) !== 0),
    'no write with FUA',
  )
  const flushed = await during(() =>
    tool('dd', 'if=/dev/zero', `of=${node}`, 'bs=4k', 'count=2', 'conv=fsync', 'status=none'),
  )
  assert.equal(flushed.at(-1)?.op, IoOp.Flush)
  assert.deepEqual(
    [storage.current[MIB], storage.current[4 * MIB], storage.current[6 * MIB], storage.current[8 * MIB]],
    [0, 0, 0, 0xff],
  )
})

test('errors of the device come to the application with their meaning', async () => {
  await using transport = transportOf()
  const { device } = deviceOf()
  let status = 0
  const failing: BlockDevice = {
    get limits() {
      return device.limits
    },
    submit: (io) => (status === 0 ? device.submit(io) : queueMicrotask(() => io.done(io, status))),
    close: (options) => device.close(options),
  }
  const { node } = await transport.attach(failing, NAMES)
  const words: string[] = []
  for (const errno of [5, 28, 61, 11]) {
    status = errno
    words.push(await writeDirect(node, 0, 4096))
  }
  status = 0
  assert.deepEqual(words, ['Input/output error', 'No space left on device', 'No data available', 'Input/output error'])
  assert.equal(await writeDirect(node, 0, 4096), 'done')
})

test('a node grows where the kernel can do that', async () => {
  await using transport = transportOf()
  const { device, storage } = deviceOf()
  const attachment = await transport.attach(device, NAMES)
  storage.limits = { ...storage.limits, size: 2 * storage.limits.size }
  storage.current = Buffer.concat([storage.current, Buffer.alloc(storage.current.length)])
  if (kernelFrom(616)) {
    await attachment.resize(storage.limits.size)
    assert.equal(Number(sysfs(attachment.node, 'size')) * 512, storage.limits.size)
    assert.equal(await writeDirect(attachment.node, storage.limits.size - 4096, 4096), 'done')
  } else {
    await assert.rejects(attachment.resize(storage.limits.size), isCode('NOT_SUPPORTED', /Linux 6\.16/))
    assert.equal(await writeDirect(attachment.node, 0, 4096), 'done')
  }
})

test('clean: refused while it is mounted or open, and says by whom', async () => {
  await using transport = transportOf()
  const { device } = deviceOf()
  const attachment = await transport.attach(device, NAMES)
  await tool('mkfs.ext4', '-q', attachment.node)
  {
    await using mounted = await mount(attachment.node)
    await assert.rejects(attachment.detach(), isCode('IN_USE', new RegExp(`mounted at ${mounted.folder}`)))
  }
  const holder = start('sh', ['-c', `exec sleep 1000 3<${attachment.node}`])
  await until('it is open', async () => (await transport.nodes())[0]?.users.length === 1)
  await assert.rejects(attachment.detach(), isCode('IN_USE', new RegExp(`process ${holder.pid}`)))
  assert.equal(await writeDirect(attachment.node, 0, 4096), 'done')
  process.kill(holder.pid, 'SIGKILL')
  await holder.ended
  await attachment.detach()
  await attachment.detach({ mode: 'force' })
  assert.deepEqual(nodes(), [])
})

test('force: a mounted filesystem gets EIO, and the node is gone', async () => {
  await using transport = transportOf()
  const { device } = deviceOf()
  const attachment = await transport.attach(device, NAMES)
  await tool('mkfs.ext4', '-q', attachment.node)
  const mounted = await mount(attachment.node)
  await tool('dd', 'if=/dev/urandom', `of=${mounted.folder}/file`, 'bs=64k', 'count=16', 'status=none')
  await within('it is detached', attachment.detach({ mode: 'force' }))
  assert.deepEqual(nodes(), [])
  await mounted[Symbol.asyncDispose]()
})

test('force ends after what the device works on, or at once when the signal fires', async () => {
  await using transport = transportOf()
  const { device: inner } = deviceOf()
  const device = hanging(inner)
  const attachment = await transport.attach(device, NAMES)
  device.hang()
  const write = writeDirect(attachment.node, 0, 65536)
  await until('the device has it', () => device.held === 1)
  const hurry = new AbortController()
  let ended = false
  const detached = attachment.detach({ mode: 'force', signal: hurry.signal }).then(() => (ended = true))
  // The driver waits in steps of 3 ms.
  await new Promise((resolve) => setTimeout(resolve, 500))
  assert.equal(ended, false)
  hurry.abort()
  assert.equal(await within('dd has its error', write), 'Input/output error')
  await within('it is detached', detached)
  // What the device still has comes to nobody.
  device.release()
  const again = await transport.attach(device, NAMES)
  assert.equal(await writeDirect(again.node, 0, 4096), 'done')
})

test('the driver starts a node without waiting for an array that has just begun to hang', async () => {
  await using transport = transportOf()
  const { device: inner } = deviceOf()
  const device = hanging(inner)
  let reads = 0
  const attached = transport.attach(
    {
      get limits() {
        return device.limits
      },
      submit(io) {
        device.submit(io)
        // Those that look for a partition table beforehand; older drivers do it while they start the node.
        if (++reads === 2) device.hang()
      },
      close: (options) => device.close(options),
    },
    NAMES,
  )
  await within('it is attached', attached)
  device.release()
})

test('a second attachment of the same name is refused, in this process and in another', async () => {
  await using transport = transportOf()
  const { device } = deviceOf()
  const { node } = await transport.attach(device, NAMES)
  await assert.rejects(transport.attach(device, NAMES), isCode('IN_USE'))
  using file = memoryFile(MIB)
  await using other = startServer(file.path, { name: NAMES.name, volume: 'naa.5000000000000001' })
  const first = await other.first
  assert.ok('failed' in first)
  assert.equal(first.failed.code, 'IN_USE')
  assert.match(first.failed.message, new RegExp(`${node}.*process ${process.pid}`))
})

test('lost: another process stops the node', async () => {
  await using transport = transportOf()
  const { device } = deviceOf()
  const attachment = await transport.attach(device, NAMES)
  const lost = new Promise<Error>((resolve) => attachment.events.once('lost', resolve))
  const other = ublk()
  const [listed] = await other.nodes()
  const { node } = attachment
  assert.deepEqual(listed, { node, name: 'disk', volume: NAMES.volume, served: true, pid: process.pid, users: [] })
  await assert.rejects(other.removeNode(attachment.node), isCode('IN_USE', new RegExp(`process ${process.pid}`)))
  await within('it is removed', other.removeNode(attachment.node, { mode: 'force' }))
  await other.close()
  assert.match((await within('it is told', lost)).message, /stopped/)
  await attachment.detach()
  const again = await transport.attach(device, NAMES)
  assert.equal(await readDirect(again.node, 0, 4096), 'done')
})

for (const [how, commands] of [
  ['stops', [Foreign.Stop]],
  ['deletes', [Foreign.Delete]],
  ['stops and deletes', [Foreign.Stop, Foreign.Delete]],
] as const) {
  test(`lost: a program of others ${how} the node, which is attached again under its name`, async () => {
    await using transport = transportOf()
    const { device } = deviceOf()
    const attachment = await transport.attach(device, NAMES)
    const losses: Error[] = []
    attachment.events.on('lost', (error) => losses.push(error))
    const id = Number(attachment.node.slice('/dev/ublkb'.length))
    // A delete waits until the character device is closed.
    for (const command of commands) {
      const answer = await within('the driver answers', sendForeign(command, id))
      assert.ok([0, -Errno.ENODEV].includes(answer), `errno ${-answer}`)
    }
    await until('it is lost', () => losses.length > 0)
    assert.match(losses[0]!.message, /another process stopped it/)
    await within('detached', attachment.detach())
    assert.deepEqual(devices(), [])
    const again = await transport.attach(device, NAMES)
    assert.equal(await readDirect(again.node, 0, 4096), 'done')
    assert.equal(losses.length, 1)
  })
}

test('many nodes at once, of many queues', async () => {
  await using transport = transportOf({ queues: 2, depth: 16 })
  const attached = await Promise.all(
    [1, 2, 3, 4].map(async (number) => {
      const { device, storage } = deviceOf()
      const { node } = await transport.attach(device, { name: `disk${number}`, volume: `naa.500000000000000${number}` })
      return { node, storage }
    }),
  )
  assert.equal(new Set(attached.map(({ node }) => node)).size, 4)
  await Promise.all(
    attached.map(({ node }) =>
      tool(
        'fio',
        '--name=x',
        '--thread=1',
        `--filename=${node}`,
        '--direct=1',
        '--ioengine=libaio',
        '--iodepth=32',
        '--numjobs=1',
        '--rw=randwrite',
        '--bs=4k',
        '--size=2m',
        '--verify=crc32c',
      ),
    ),
  )
})

test('100 times attach and detach leave no node, no descriptor, no ring', async () => {
  await using transport = transportOf({ depth: 8 })
  const { device } = deviceOf()
  // One that stays keeps the process that guards them.
  await transport.attach(deviceOf().device, { name: 'other', volume: 'naa.5000000000000002' })
  await (await transport.attach(device, NAMES)).detach()
  await until('one device is left', () => devices().length === 1)
  const before = descriptors()
  const mappings = await mapped()
  for (let round = 0; round < 100; round++) await (await transport.attach(device, NAMES)).detach()
  assert.deepEqual(descriptors(), before)
  assert.equal(await mapped(), mappings)
  await until('one device is left', () => devices().length === 1)
})

/** Mappings of rings and of the driver. */
async function mapped(): Promise<number> {
  const maps = (await readAll('/proc/self/maps')).toString()
  return maps.split('\n').filter((line) => /io_uring|ublk/.test(line)).length
}

const NOBODY = 65534

/** Runs a module as a user who may do nothing. */
function asNobody(script: string): Promise<string> {
  const ids = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups']
  return tool('setpriv', ...ids, process.execPath, '--input-type=module', '-e', script)
}

/** What systemd does when a user logs in. */
async function giveRuntimeFolder(): Promise<void> {
  await tool('mkdir', '-p', `/run/user/${NOBODY}`)
  await tool('chown', String(NOBODY), `/run/user/${NOBODY}`)
}

test('a user without privileges is told what is missing', async () => {
  const script = `
    import { ublk } from '@blockbraid/transport-ublk'
    import { createMinimalDevice } from '@blockbraid/testkit'
    for (const options of [{}, { unprivileged: true }]) {
      await ublk(options).attach(createMinimalDevice(), { name: 'disk' }).catch((error) => console.log(error.code, error.message))
    }`
  await giveRuntimeFolder()
  await tool('chmod', '600', '/dev/ublk-control')
  const closed = await asNobody(script)
  assert.match(closed, /DENIED ublk: \/dev\/ublk-control cannot be opened \(EACCES\): run as root/)
  await tool('chmod', '666', '/dev/ublk-control')
  const [plain = '', withoutRights = ''] = (await asNobody(script)).split('\n')
  assert.match(plain, /DENIED .*CAP_SYS_ADMIN/)
  assert.match(withoutRights, /DENIED ublk: \/dev\/ublkc\d+ cannot be opened \(EACCES\): a rule of udev/)
  await tool('chmod', '600', '/dev/ublk-control')
  // The user may not remove what it could make.
  await until('nobody uses the driver', () =>
    tool('modprobe', '-r', 'ublk_drv').then(
      () => true,
      () => false,
    ),
  )
  await tool('modprobe', 'ublk_drv')
  assert.deepEqual(devices(), [])
})

test('a user without privileges has a node where udev gives it the rights', async () => {
  const before = devices()
  // What a rule of udev would do.
  const give = setInterval(() => {
    for (const id of devices().filter((one) => !before.includes(one))) {
      for (const node of [`/dev/${id}`, `/dev/${id.replace('ublkc', 'ublkb')}`]) {
        if (existsSync(node)) chownSync(node, NOBODY, NOBODY)
      }
    }
  }, 50)
  await tool('chmod', '666', '/dev/ublk-control')
  await giveRuntimeFolder()
  try {
    const said = await asNobody(`
      import { spawn } from 'node:child_process'
      import { once } from 'node:events'
      import { setTimeout } from 'node:timers/promises'
      import { access } from 'node:fs/promises'
      import { constants } from 'node:fs'
      import { ublk } from '@blockbraid/transport-ublk'
      import { createMinimalDevice } from '@blockbraid/testkit'
      const transport = ublk({ unprivileged: true })
      const attachment = await transport.attach(createMinimalDevice(), { name: 'disk', volume: 'naa.5000000000000001' })
      const { node } = attachment
      while (await access(node, constants.W_OK).then(() => false, () => true)) await setTimeout(20)
      const verify = ['--rw=write', '--verify=crc32c', '--direct=1', '--bs=4k', '--size=256k', '--thread', '--name=it']
      const fio = spawn('fio', [...verify, '--filename=' + node], { cwd: '/tmp', stdio: ['ignore', 'ignore', 'inherit'] })
      const [code] = await once(fio, 'close')
      const [{ name, served }] = await transport.nodes()
      await attachment.detach()
      await transport.close()
      console.log(JSON.stringify({ node, code, name, served }))`)
    assert.deepEqual({ ...JSON.parse(said), node: '' }, { node: '', code: 0, name: 'disk', served: true })
    await until('the node has gone', () => devices().length === before.length)
  } finally {
    clearInterval(give)
    await tool('chmod', '600', '/dev/ublk-control')
  }
})
