import { systemClock } from '@blockbraid/core'
import { createMinimalDevice, createMinimalStorage } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import { openControl } from '../src/control.ts'
import { deleteDevice, stopDevice } from '../src/driver.ts'
import { removeOrphan } from '../src/guard-entry.ts'
import { ublk } from '../src/index.ts'
import { Flag, Operation, State } from '../src/protocol.ts'
import { decodeParameters } from '../src/structs.ts'
import { manualDevice, NAMES, openBed, processOf, refused, until } from './support/bed.ts'
import { ALL_FEATURES, ENODEV, FakeKernel, turn } from './support/kernel.ts'

test('attach and detach: the commands, in order, and nothing is left', async () => {
  const { kernel, process, transport, attachment } = await openBed()
  expect(attachment.tookOver).toBe(false)
  expect(kernel.records.get('ublkb0')).toMatchObject(NAMES)
  expect(process.guards).toHaveLength(1)
  await attachment.detach()
  await attachment.detach({ mode: 'force' })
  expect(kernel.log).toEqual([
    'GetFeatures',
    'AddDevice',
    'SetParameters',
    'StartDevice',
    'StopDevice',
    'DeleteDeviceAsync',
  ])
  expect(kernel.devices.size + kernel.records.size + process.guards.length).toBe(0)
  expect([...process.files.values()]).toEqual(['/dev/ublk-control'])
  await transport.close()
  expect(process.files.size + process.rings.size + kernel.memories.size).toBe(0)
})

test('what the array tells of a disk is on record for udev, also after a take-over', async () => {
  const { kernel, process, device } = await openBed()
  expect(kernel.records.get('ublkb0')).toMatchObject({ product: undefined, serial: undefined })
  process.kill()
  const words = { product: 'ACME disk', serial: '4711' }
  const { tookOver } = await processOf(kernel).transport.attach(device, { ...NAMES, ...words })
  expect(tookOver).toBe(true)
  expect(kernel.records.get('ublkb0')).toMatchObject({ ...NAMES, ...words })
})

test('parameters say what the limits say', async () => {
  const kernel = new FakeKernel()
  const { transport } = processOf(kernel)
  const storage = createMinimalStorage(8192, 512)
  storage.limits = { ...storage.limits, preferredBlockSize: 65536, trim: false, fua: false }
  await transport.attach(createMinimalDevice(storage), NAMES)
  const parametersAt = (id: number) => decodeParameters(kernel.devices.get(id)?.parameters as Uint8Array)
  expect(parametersAt(0)).toEqual({
    attributes: 4,
    logicalBlockShift: 9,
    physicalBlockShift: 12,
    optimalIoShift: 16,
    minimumIoShift: 16,
    maxSectors: 128,
    sectors: 8192,
    discardGranularity: 512,
    maxDiscardSectors: 0,
    maxWriteZeroesSectors: (2 ** 32 - 65536) / 512,
  })
  const readOnly = createMinimalStorage()
  readOnly.limits = { ...readOnly.limits, readOnly: true, writeCache: false, maxTransfer: 12288 }
  await transport.attach(createMinimalDevice(readOnly), { name: 'other' })
  expect(parametersAt(1)).toMatchObject({
    attributes: 1,
    maxSectors: 24,
    maxDiscardSectors: 0,
    maxWriteZeroesSectors: 0,
  })
})

test('a node follows a device that is read-only now and then, and says what it cannot follow', async () => {
  const { process, transport } = processOf(new FakeKernel())
  const protectedNodes = new Map<string, boolean>()
  Object.assign(process, {
    setReadOnly: async (kname: string, on: boolean) => {
      protectedNodes.set(kname, on)
      return true
    },
  })
  const storage = createMinimalStorage()
  storage.limits = { ...storage.limits, readOnly: true, trim: false }
  const attachment = await transport.attach(createMinimalDevice(storage), NAMES)
  expect(protectedNodes).toEqual(new Map([['ublkb0', true]]))
  await attachment.follow!({ ...storage.limits, readOnly: false })
  expect(protectedNodes).toEqual(new Map([['ublkb0', false]]))
  await expect(attachment.follow!({ ...storage.limits, readOnly: false, trim: true })).rejects.toMatchObject({
    code: 'NOT_SUPPORTED',
    message: '/dev/ublkb0 offers no discard until it is detached and attached again',
  })
})

test('a node that the block layer cannot be told of says that it keeps what it is', async () => {
  const { transport } = processOf(new FakeKernel())
  const storage = createMinimalStorage()
  storage.limits = { ...storage.limits, readOnly: true }
  const attachment = await transport.attach(createMinimalDevice(storage), NAMES)
  await attachment.follow!(storage.limits)
  await expect(attachment.follow!({ ...storage.limits, readOnly: false })).rejects.toMatchObject({
    message: '/dev/ublkb0 stays read-only until it is detached and attached again',
  })
})

test('devices that the driver cannot take', async () => {
  const { transport } = processOf(new FakeKernel())
  const large = createMinimalDevice(createMinimalStorage(64, 8192))
  expect(await refused(transport.attach(large, NAMES))).toMatch(/^NOT_SUPPORTED .*8192 bytes.*at most a page/)
  const storage = createMinimalStorage(64, 512)
  storage.limits = { ...storage.limits, maxTransfer: 2048 }
  expect(await refused(transport.attach(createMinimalDevice(storage), NAMES))).toMatch(/^NOT_SUPPORTED .*2048 bytes/)
})

test.each([
  ['queues', { queues: 0 }],
  ['depth', { depth: 4097 }],
  ['maxTransfer', { maxTransfer: 1000 }],
  ['maxTransfer', { maxTransfer: 33554432, depth: 4096 }],
  ['takeOverTimeout', { takeOverTimeout: -1 }],
  ['unprivileged', { unprivileged: 'yes' as never }],
  ['partitions', { partitions: 1 as never }],
])('a wrong %s is a TypeError that names it', (field, options) => {
  expect(() => ublk(options)).toThrow(TypeError)
  expect(() => ublk(options)).toThrow(new RegExp(`ublk: ${field} is .*; it must be`))
})

test('hosts without ublk: which, and what to do', async () => {
  const cases: [(process: ReturnType<typeof processOf>['process']) => void, RegExp][] = [
    [
      (process) => void (process.missing = true),
      /^NOT_SUPPORTED .*\(Linux 6\.99\.0-fake\) has no ublk driver.*modprobe ublk_drv.*Linux 6\.0.*CONFIG_BLK_DEV_UBLK/,
    ],
    [(process) => void (process.openError = errorOf('EACCES')), /^DENIED .*run as root/],
    [
      (process) =>
        void ([process.ringError, process.settings] = [errorOf('EPERM'), { 'kernel/io_uring_disabled': '2' }]),
      /^NOT_SUPPORTED .*kernel\.io_uring_disabled is 2: set it to 0/,
    ],
    [(process) => void (process.ringError = errorOf('EPERM')), /^NOT_SUPPORTED .*seccomp/],
    [(process) => void (process.ringError = errorOf('ENOSYS')), /^NOT_SUPPORTED .*no io_uring/],
    [(process) => void (process.ringError = errorOf('ENOMEM')), /^NOT_SUPPORTED .*RLIMIT_MEMLOCK/],
    [
      (process) => void (process.memoryError = Object.assign(errorOf('ENOMEM'), { syscall: 'mmap' })),
      /^NOT_SUPPORTED .*depth.*maxTransfer/,
    ],
    [(process) => void (process.ringError = errorOf('ERR_NO_ADDON')), /^NOT_SUPPORTED ublk: ERR_NO_ADDON/],
  ]
  for (const [spoil, words] of cases) {
    const { process, transport } = processOf(new FakeKernel())
    spoil(process)
    expect(await refused(transport.attach(createMinimalDevice(), NAMES))).toMatch(words)
    // Without a driver nothing is open; else its control device is.
    expect(process.files.size).toBe(process.memoryError === undefined ? 0 : 1)
    // It is not remembered: the next call looks again.
    process.missing = false
    process.openError = process.ringError = process.memoryError = undefined
    await transport.attach(createMinimalDevice(), NAMES)
  }
})

function errorOf(code: string): Error {
  return Object.assign(new Error(code), { code })
}

test('a command that is refused leaves nothing', async () => {
  for (const [name, words] of [
    ['AddDevice', /^DENIED .*AddDevice.*EPERM.*CAP_SYS_ADMIN/],
    ['SetParameters', /^DENIED .*SetParameters/],
    ['StartDevice', /^DENIED .*StartDevice/],
  ] as const) {
    const kernel = new FakeKernel()
    kernel.refusals.set(name, 1)
    const { process, transport } = processOf(kernel)
    expect(await refused(transport.attach(createMinimalDevice(), NAMES))).toMatch(words)
    expect(kernel.devices.size + kernel.records.size + process.guards.length).toBe(0)
    expect([...process.files.values()]).toEqual(['/dev/ublk-control'])
    kernel.refusals.clear()
    await transport.attach(createMinimalDevice(), NAMES)
  }
})

test('a driver of Linux 6.1, which knows neither features nor the new opcodes', async () => {
  const kernel = new FakeKernel()
  kernel.features = undefined
  // What Linux 6.1 answers to every command that it does not know.
  kernel.refusals.set('GetInfo2', ENODEV)
  const { attachment, process, id, device } = await openBed({}, kernel)
  expect(
    (await kernel.request(id, { op: Operation.Write, length: 4096, data: new Uint8Array(4096).fill(3) })).result,
  ).toBe(4096)
  expect(kernel.devices.get(id)?.info.flags).toBe(Flag.UserRecovery | Flag.UserRecoveryReissue)
  expect(await refused(attachment.resize(8 * 1024 * 1024))).toMatch(/^NOT_SUPPORTED .*Linux 6\.99.*Linux 6\.16 can/)
  process.kill()
  const next = processOf(kernel)
  expect((await next.transport.attach(device, NAMES)).tookOver).toBe(true)
})

test.each([
  ['of Linux 6.6, which does not know it', 524],
  ['for an unprivileged node', 22],
])('a driver that deletes only when nobody has the disk open: %s', async (_, errno) => {
  const kernel = new FakeKernel()
  kernel.refusals.set('DeleteDeviceAsync', errno)
  const { attachment, transport, device } = await openBed({}, kernel)
  // It holds the disk against others while it ends.
  await attachment.detach()
  expect(kernel.devices.size + kernel.records.size + kernel.held).toBe(0)
  // A filesystem that stays mounted does not hold up who forces it.
  const next = await transport.attach(device, NAMES)
  kernel.held = 1
  await next.detach({ mode: 'force' })
  expect(kernel.devices.size + kernel.records.size).toBe(0)
  kernel.held = 0
})

test('a driver of Linux 6.2, which has other words for a command that it does not know', async () => {
  const kernel = new FakeKernel()
  kernel.features = undefined
  kernel.refusals.set('GetInfo2', 524)
  const { process, device } = await openBed({}, kernel)
  process.kill()
  expect((await processOf(kernel).transport.attach(device, NAMES)).tookOver).toBe(true)
})

test('flags: those that the driver has, partitions only on request, no recovery without privileges', async () => {
  const flagsWith = async (options: object, features = ALL_FEATURES): Promise<number> => {
    const kernel = new FakeKernel()
    kernel.features = features
    const { id } = await openBed(options, kernel)
    return kernel.devices.get(id)?.info.flags ?? 0
  }
  const recovery = Flag.UserRecovery | Flag.UserRecoveryReissue
  const always = Flag.IoctlEncoding | Flag.UpdateSize
  expect(await flagsWith({})).toBe(always | recovery | Flag.Quiesce | Flag.NoPartitionScan)
  expect(await flagsWith({ partitions: true })).toBe(always | recovery | Flag.Quiesce)
  expect(await flagsWith({ unprivileged: true })).toBe(always | Flag.UnprivilegedDevice | Flag.NoPartitionScan)
  expect(await flagsWith({}, recovery | Flag.IoctlEncoding)).toBe(recovery | Flag.IoctlEncoding)
})

test('resize', async () => {
  const { kernel, attachment, id } = await openBed()
  await attachment.resize(16 * 1024 * 1024)
  expect(decodeParameters(kernel.devices.get(id)?.parameters as Uint8Array).sectors).toBe(32768)
  await attachment.detach()
  expect(await refused(attachment.resize(4096))).toMatch(/^CLOSED/)
})

test('clean is refused while the node is in use, and where what is cached cannot be written', async () => {
  const { kernel, attachment, id } = await openBed()
  kernel.users = ['mounted at /mnt', 'process 7 (dd)']
  expect(await refused(attachment.detach())).toBe('IN_USE /dev/ublkb0 is in use: mounted at /mnt, process 7 (dd)')
  kernel.users = []
  kernel.syncError = new Error('EIO: i/o error, fsync')
  expect(await refused(attachment.detach())).toMatch(/^IO_FAILED .*EIO.*mode `force` drops it/)
  expect((await kernel.request(id, { op: Operation.Read, length: 4096 })).result).toBe(4096)
  await attachment.detach({ mode: 'force' })
  expect(kernel.devices.size).toBe(0)
})

test('a name is taken while it is served, by this process or another', async () => {
  const { kernel, transport, device, process } = await openBed()
  expect(await refused(transport.attach(device, NAMES))).toMatch(/^IN_USE/)
  expect(await refused(processOf(kernel).transport.attach(device, { ...NAMES, volume: 'naa.2' }))).toMatch(/^IN_USE/)
  await transport.close({ mode: 'force' })
  expect(await refused(transport.attach(device, NAMES))).toMatch(/^CLOSED/)
  // Nodes of other processes that were written down by nobody, or are of other software.
  const served = await openBed({}, kernel)
  kernel.records.clear()
  kernel.alive.add(process.pid)
  expect(await refused(processOf(kernel).transport.attach(device, NAMES))).toMatch(/^IN_USE/)
  await served.attachment.detach({ mode: 'force' })
})

test('of two processes that attach a name at the same moment, one makes the node', async () => {
  const kernel = new FakeKernel()
  const attaching = [1, 2].map(() => processOf(kernel).transport.attach(createMinimalDevice(), NAMES))
  const ends = await Promise.allSettled(attaching)
  expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
  expect(await refused(attaching[1]!)).toMatch(/^IN_USE ublk: process \d+ is making/)
  expect(kernel.devices.size).toBe(1)
  expect(kernel.claims.size).toBe(0)
})

test('lost: the node is stopped by another process, which can delete it', async () => {
  const { kernel, process, attachment, device, transport } = await openBed()
  const lost = new Promise<Error>((resolve) => attachment.events.once('lost', resolve))
  const other = processOf(kernel)
  expect(await other.transport.nodes()).toEqual([
    { node: '/dev/ublkb0', ...NAMES, served: true, pid: process.pid, users: [] },
  ])
  expect(await refused(other.transport.removeNode('/dev/ublkb0'))).toMatch(
    new RegExp(`^IN_USE .*process ${process.pid}`),
  )
  await other.transport.removeNode('/dev/ublkb0', { mode: 'force' })
  expect((await lost).message).toMatch(/\/dev\/ublkb0 ended by itself: another process stopped it/)
  expect(process.guards).toEqual([])
  expect([...process.files.values()]).toEqual(['/dev/ublk-control'])
  await attachment.detach()
  expect((await transport.attach(device, NAMES)).tookOver).toBe(false)
})

test('lost: what another process has made since is let alone, and the name is free again', async () => {
  const { kernel, process, attachment, device, transport, id } = await openBed()
  const losses: Error[] = []
  attachment.events.on('lost', (error) => losses.push(error))
  const { removeRecord } = process
  const asked: (() => void)[] = []
  process.removeRecord = async (kname) => {
    await new Promise<void>((resolve) => asked.push(resolve))
    await removeRecord.call(process, kname)
  }
  const other = processOf(kernel)
  const control = await openControl(other.process, systemClock)
  await stopDevice(control, { id, flags: 0 })
  await until('it forgets the record', () => asked.length === 1)
  await deleteDevice(control, { id, flags: 0 }, systemClock)
  const { node } = await other.transport.attach(device, { name: 'other', volume: 'naa.2' })
  asked[0]?.()
  await until('it is lost', () => losses.length === 1)
  await attachment.detach({ mode: 'force' })
  await attachment.detach()
  expect(losses).toHaveLength(1)
  expect([...kernel.devices.values()].map(({ info }) => info.state)).toEqual([State.Live])
  expect([...kernel.records.keys()]).toEqual([node.slice('/dev/'.length)])
  expect(process.guards).toEqual([])
  await transport.attach(device, NAMES)
})

test('lost with I/O at the device: it is gone once that has ended, and can be attached again', async () => {
  const kernel = new FakeKernel()
  const { process, transport } = processOf(kernel)
  const device = manualDevice()
  const attachment = await transport.attach(device, NAMES)
  const lost = new Promise((resolve) => attachment.events.once('lost', resolve))
  const answer = kernel.request(0, { op: Operation.Write, length: 4096, data: new Uint8Array(4096) })
  await until('the device has it', () => device.ios.length === 1)
  const other = processOf(kernel)
  const removed = other.transport.removeNode(attachment.node, { mode: 'force' })
  await turn()
  device.end()
  expect((await answer).result).toBe(4096)
  await removed
  await lost
  await attachment.detach()
  expect(kernel.devices.size + kernel.records.size + process.guards.length).toBe(0)
  device.ios.length = 0
  const again = transport.attach(device, NAMES)
  await until('it reads the ends', () => device.ios.length > 0 || kernel.devices.size > 0)
  device.end()
  expect((await again).tookOver).toBe(false)
})

test('nodes are listed by one look at who uses them, for which all are asked together', async () => {
  const { kernel, transport, device } = await openBed()
  for (const name of ['second', 'third']) await transport.attach(device, { name })
  const lister = processOf(kernel)
  const asked: string[] = []
  const answer = Promise.withResolvers<string[]>()
  const users = (kname: string): Promise<string[]> => {
    asked.push(kname)
    return answer.promise
  }
  Object.assign(lister.process, { users })
  const listed = lister.transport.nodes()
  await until('all are asked for', () => asked.length === 3)
  answer.resolve(['process 7 (dd)'])
  expect((await listed).map(({ node }) => node)).toEqual(asked.map((kname) => `/dev/${kname}`))
})

test('nodes of others are not listed, and not removed', async () => {
  const { kernel, transport } = await openBed()
  const info = kernel.devices.get(0)?.info
  if (info === undefined) throw new Error('no node')
  kernel.devices.set(7, {
    ...(kernel.devices.get(0) as never as object),
    info: { ...info, id: 7, nameHash: 1 },
  } as never)
  kernel.records.set('ublkb7', { name: 'disk', volume: 'x', pid: 1, started: '' })
  expect((await transport.nodes()).map(({ node }) => node)).toEqual(['/dev/ublkb0'])
  for (const node of ['/dev/ublkb7', '/dev/ublkb99', '/dev/sda']) {
    expect(await refused(transport.removeNode(node, { mode: 'force' }))).toMatch(/^NOT_FOUND/)
  }
  await expect(transport.removeNode('/dev/ublkb0', { mode: 'leave' })).rejects.toThrow(TypeError)
})

test('the guard removes what nobody took over, and nothing else', async () => {
  const { kernel, process, device } = await openBed()
  const [entry = ''] = process.guards
  const guard = kernel.process(4)
  const control = await openControl(guard, systemClock)
  await removeOrphan(control, guard, entry)
  expect(kernel.devices.size).toBe(1)
  process.kill()
  const second = processOf(kernel)
  await second.transport.attach(device, NAMES)
  await removeOrphan(control, guard, entry)
  expect(kernel.devices.size).toBe(1)
  second.process.kill()
  // The guard of the second process has its own limit.
  await removeOrphan(control, guard, entry)
  expect(kernel.devices.size).toBe(1)
  const node = kernel.devices.get(0)
  if (node === undefined) throw new Error('no node')
  node.info = { ...node.info, state: State.Live }
  await expect(removeOrphan(control, guard, second.process.guards[0] ?? '')).rejects.toThrow(/still waits/)
  node.info = { ...node.info, state: State.Quiesced }
  const waiting = kernel.request(0, { op: Operation.Read, length: 4096 })
  await removeOrphan(control, guard, second.process.guards[0] ?? '')
  expect((await waiting).result).toBe(-5)
  expect(kernel.devices.size + kernel.records.size).toBe(0)
  await removeOrphan(control, guard, entry)
})

test('close refuses what is in use and ends the rest; it may be called again', async () => {
  const { kernel, transport, device } = await openBed()
  await transport.attach(device, { name: 'second' })
  kernel.users = ['mounted at /mnt']
  expect(await refused(transport.close())).toMatch(/^IN_USE/)
  kernel.users = []
  await transport.close()
  expect(kernel.devices.size).toBe(0)
})

test('close ends an attach that is under way, and nothing is left', async () => {
  const kernel = new FakeKernel()
  const { process, transport } = processOf(kernel)
  const settled: (() => void)[] = []
  process.settle = () => new Promise((resolve) => settled.push(resolve))
  const attached = refused(transport.attach(createMinimalDevice(), NAMES))
  await until('it settles', () => settled.length === 1)
  const closed = transport.close()
  for (let turns = 0; turns < 20; turns++) await turn()
  settled[0]?.()
  await closed
  expect(await attached).toMatch(/^(ABORTED|CLOSED)/)
  expect(kernel.devices.size + kernel.records.size + process.guards.length).toBe(0)
  expect(process.files.size + process.rings.size + kernel.memories.size).toBe(0)
})

test('close leaves a node that is being taken over as it was told', async () => {
  const { kernel, process, device } = await openBed()
  process.kill()
  const next = processOf(kernel)
  const settled: (() => void)[] = []
  next.process.settle = () => new Promise((resolve) => settled.push(resolve))
  const attached = refused(next.transport.attach(device, NAMES))
  await until('it settles', () => settled.length === 1)
  const closed = next.transport.close({ mode: 'leave' })
  for (let turns = 0; turns < 20; turns++) await turn()
  settled[0]?.()
  await closed
  expect(await attached).toMatch(/^CLOSED/)
  expect(kernel.devices.get(0)?.info.state).toBe(State.Quiesced)
  expect((await processOf(kernel).transport.attach(device, NAMES)).tookOver).toBe(true)
})

test('a node that has gone does not take the record of the one that has its number next', async () => {
  const { kernel, process, attachment, device } = await openBed()
  const { removeRecord } = process
  const asked: (() => void)[] = []
  process.removeRecord = async (kname) => {
    await new Promise<void>((resolve) => asked.push(resolve))
    await removeRecord.call(process, kname)
  }
  const detached = attachment.detach()
  await until('it forgets the record', () => asked.length === 1)
  const other = await processOf(kernel).transport.attach(device, { name: 'other', volume: 'naa.2' })
  asked[0]?.()
  await detached
  expect(kernel.records.get(other.node.slice('/dev/'.length))?.name).toBe('other')
})

test('a driver that does not stop a node keeps the buffers that it may still write to', async () => {
  const { kernel, process, transport, attachment } = await openBed()
  const buffers = kernel.memories.size
  kernel.refusals.set('StopDevice', 4)
  expect(await refused(attachment.detach({ mode: 'force' }))).toMatch(/StopDevice.*EINTR/)
  expect(kernel.memories.size).toBe(buffers)
  expect(kernel.records.size + process.guards.length).toBe(2)
  await transport.close()
})

test('a signal ends attach, and nothing is left', async () => {
  const kernel = new FakeKernel()
  const { process, transport } = processOf(kernel)
  await expect(transport.attach(createMinimalDevice(), { ...NAMES, signal: AbortSignal.abort() })).rejects.toThrow(
    /abort/,
  )
  const stop = new AbortController()
  const settled: (() => void)[] = []
  process.settle = () => new Promise((resolve) => settled.push(resolve))
  const attached = refused(transport.attach(createMinimalDevice(), { ...NAMES, signal: stop.signal }))
  await until('it settles', () => settled.length === 1)
  stop.abort()
  settled[0]?.()
  expect(await attached).toMatch(/^ABORTED/)
  expect(kernel.devices.size + kernel.records.size + process.guards.length).toBe(0)
})
