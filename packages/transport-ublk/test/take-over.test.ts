import type { BlockDevice, Io } from '@blockbraid/core'
import { systemClock } from '@blockbraid/core'
import { afterPowerLoss, createMinimalDevice, createMinimalStorage } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import { openControl } from '../src/control.ts'
import { removeOrphan } from '../src/guard-entry.ts'
import { Flag, Operation, State } from '../src/protocol.ts'
import { decodeParameters } from '../src/structs.ts'
import { manualDevice, NAMES, openBed, processOf, refused, until } from './support/bed.ts'
import { ALL_FEATURES, FakeKernel, turn } from './support/kernel.ts'

test('take-over: requests that nobody answered are answered by the next server', async () => {
  const kernel = new FakeKernel()
  const first = processOf(kernel)
  const slow = manualDevice()
  await first.transport.attach(slow, NAMES)
  const data = new Uint8Array(4096).fill(9)
  const lost = Array.from({ length: 6 }, (_, at) =>
    kernel.request(0, { op: Operation.Write, offset: at * 4096, length: 4096, data }),
  )
  await until('all tags are in use', () => slow.ios.length === 4)
  first.process.kill()
  const meanwhile = kernel.request(0, { op: Operation.Read, offset: 0, length: 4096 })
  const storage = createMinimalStorage(2048)
  // Queues, depth and buffers are those of the node.
  const second = processOf(kernel, { depth: 64, maxTransfer: 1024 * 1024 })
  const attachment = await second.transport.attach(createMinimalDevice(storage), NAMES)
  expect(attachment.tookOver).toBe(true)
  expect(attachment.node).toBe('/dev/ublkb0')
  expect((await Promise.all(lost)).map(({ result }) => result)).toEqual(Array(6).fill(4096))
  expect((await meanwhile).result).toBe(4096)
  expect(storage.current.subarray(0, 6 * 4096).every((byte) => byte === 9)).toBe(true)
  expect(kernel.records.get('ublkb0')?.pid).toBe(second.process.pid)
  expect(decodeParameters(kernel.devices.get(0)?.parameters as Uint8Array).sectors).toBe(2048 * 8)
})

test('take-over by the hashes alone, where /run was lost; not by one name with another volume', async () => {
  const { kernel, process, device } = await openBed()
  process.kill()
  kernel.records.clear()
  const { transport } = processOf(kernel)
  const other = await transport.attach(device, { ...NAMES, volume: 'naa.2' })
  expect(other.tookOver).toBe(false)
  await other.detach()
  const unknown = await transport.attach(device, { name: NAMES.name })
  expect(unknown.tookOver).toBe(false)
  await unknown.detach()
  expect((await transport.attach(device, NAMES)).tookOver).toBe(true)
})

test('a node of a volume whose identity is not known is never taken over', async () => {
  const kernel = new FakeKernel()
  const first = processOf(kernel)
  await first.transport.attach(createMinimalDevice(), { name: 'disk' })
  first.process.kill()
  expect((await processOf(kernel).transport.attach(createMinimalDevice(), { name: 'disk' })).tookOver).toBe(false)
})

test('take-over waits until the driver has noticed, and is refused for another block size', async () => {
  const { kernel, process, device } = await openBed()
  process.kill()
  const node = kernel.devices.get(0)
  if (node === undefined) throw new Error('no node')
  node.info = { ...node.info, state: State.Live }
  const { transport } = processOf(kernel)
  const small = createMinimalDevice(createMinimalStorage(8192, 512))
  expect(await refused(transport.attach(small, NAMES))).toMatch(/^MISMATCH .*ublkb0.*4096 bytes.*512/)
  const taken = transport.attach(device, NAMES)
  for (let turns = 0; turns < 20; turns++) await turn()
  expect(kernel.log).not.toContain('StartRecovery')
  node.info = { ...node.info, state: State.Quiesced }
  expect((await taken).tookOver).toBe(true)
})

for (const fua of [true, false]) {
  test(`a node without a write cache is taken over where the device has one, and written through: ${fua ? 'Fua' : 'flushes'}`, async () => {
    const kernel = new FakeKernel()
    const storage = createMinimalStorage(1024, 4096)
    storage.limits = { ...storage.limits, writeCache: false, fua }
    const first = processOf(kernel)
    await first.transport.attach(createMinimalDevice(storage), NAMES)
    first.process.kill()
    storage.limits = { ...storage.limits, writeCache: true }
    // The first process may have been killed before it heard of the cache.
    storage.current.fill(3, 8192, 12288)
    const next = await processOf(kernel).transport.attach(createMinimalDevice(storage), NAMES)
    expect(next.tookOver).toBe(true)
    const data = new Uint8Array(4096).fill(9)
    expect((await kernel.request(0, { op: Operation.Write, length: 4096, data })).result).toBe(4096)
    expect((await kernel.request(0, { op: Operation.WriteZeroes, offset: 4096, length: 4096 })).result).toBe(0)
    expect(Buffer.compare(afterPowerLoss(storage).current, storage.current)).toBe(0)
    expect([storage.durable[0], storage.durable[8192]]).toEqual([9, 3])
  })
}

for (const fua of [true, false]) {
  test(`a cache that is switched on under a node loses nothing that was acknowledged: ${fua ? 'Fua' : 'flushes'}`, async () => {
    const kernel = new FakeKernel()
    const storage = createMinimalStorage(1024, 4096)
    storage.limits = { ...storage.limits, writeCache: false, fua }
    const { transport } = processOf(kernel)
    const inner = createMinimalDevice(storage)
    const held: Io[] = []
    let holds = true
    const device: BlockDevice = {
      get limits() {
        return storage.limits
      },
      submit: (io) => void (holds ? held.push(io) : inner.submit(io)),
      close: () => inner.close(),
    }
    await transport.attach(device, NAMES)
    const write = (block: number) =>
      kernel.request(0, {
        op: Operation.Write,
        offset: block * 4096,
        length: 4096,
        data: new Uint8Array(4096).fill(block),
      })
    const underWay = write(1)
    await until('the device has it', () => held.length === 1)
    storage.limits = { ...storage.limits, writeCache: true }
    holds = false
    for (const io of held) inner.submit(io)
    const answers = await Promise.all([underWay, write(2), write(3)])
    expect(answers.map(({ result }) => result)).toEqual([4096, 4096, 4096])
    for (const block of [1, 2, 3]) expect(storage.durable[block * 4096]).toBe(block)
    expect((await kernel.request(0, { op: Operation.Discard, offset: 4096, length: 4096 })).result).toBe(0)
    expect(storage.durable[4096]).toBe(0)
  })
}

test('a node that has a write cache flushes itself, and its writes stay as they are', async () => {
  const { kernel, storage } = await openBed()
  const data = new Uint8Array(4096).fill(9)
  await kernel.request(0, { op: Operation.Write, length: 4096, data })
  expect([storage.current[0], storage.durable[0]]).toEqual([9, 0])
})

test('take-over on older drivers does not wait for another process that has the number of the dead one now', async () => {
  const kernel = new FakeKernel()
  kernel.features = ALL_FEATURES & ~Flag.Quiesce
  const { process, device } = await openBed({}, kernel)
  process.kill()
  const next = processOf(kernel)
  kernel.alive.add(process.pid)
  next.process.isServed = () => false
  const attachment = await next.transport.attach(device, NAMES)
  expect(attachment.tookOver).toBe(true)
})

test('a take-over that comes too late, or is given up, leaves the record and so the guard of the former process', async () => {
  const { kernel, process, device } = await openBed()
  const [entry = ''] = process.guards
  process.kill()
  // It has begun to take the node over, and asks for requests soon.
  const other = kernel.process(5)
  other.open('/dev/ublkc0')
  kernel.refusals.set('StartRecovery', 22)
  const stop = new AbortController()
  const late = processOf(kernel)
  const attached = refused(late.transport.attach(device, { ...NAMES, signal: stop.signal }))
  await until('it starts the recovery', () => kernel.log.includes('StartRecovery'))
  for (let turns = 0; turns < 20; turns++) await turn()
  stop.abort()
  expect(await attached).toMatch(/^ABORTED/)
  expect(kernel.records.get('ublkb0')?.pid).toBe(process.pid)
  expect(late.process.guards).toEqual([])
  other.kill()
  const guard = kernel.process(4)
  await removeOrphan(await openControl(guard, systemClock), guard, entry)
  expect(kernel.devices.size).toBe(0)
})

test('a node that was stopped and left behind is cleared away', async () => {
  const { kernel, process, device } = await openBed()
  process.kill()
  const node = kernel.devices.get(0)
  if (node === undefined) throw new Error('no node')
  node.info = { ...node.info, state: State.Dead }
  // Others have the lower numbers by now.
  kernel.devices.delete(0)
  kernel.records.delete('ublkb0')
  node.info = { ...node.info, id: 5 }
  kernel.devices.set(5, node)
  kernel.records.set('ublkb5', { ...NAMES, pid: process.pid, started: '1' })
  const attachment = await processOf(kernel).transport.attach(device, NAMES)
  expect(attachment.tookOver).toBe(false)
  expect(kernel.devices.size).toBe(1)
  // A rule of udev would name whatever has that number next.
  expect([...kernel.records.keys()]).toEqual(['ublkb0'])
})

for (const features of [ALL_FEATURES, ALL_FEATURES & ~Flag.Quiesce]) {
  const how = (features & Flag.Quiesce) === 0 ? 'without QUIESCE_DEV' : 'with QUIESCE_DEV'
  test(`leave, ${how}: what is under way is answered, the rest waits for the next server`, async () => {
    const kernel = new FakeKernel()
    kernel.features = features
    const first = processOf(kernel)
    const device = manualDevice()
    const attachment = await first.transport.attach(device, NAMES)
    const requests = Array.from({ length: 3 }, (_, at) =>
      kernel.request(0, { op: Operation.Read, offset: at * 4096, length: 4096 }),
    )
    await until('the device has them', () => device.ios.length === 3)
    const left = attachment.detach({ mode: 'leave' })
    for (let turns = 0; turns < 20; turns++) await turn()
    expect(kernel.log.includes('QuiesceDevice')).toBe((features & Flag.Quiesce) !== 0)
    const late = kernel.request(0, { op: Operation.Read, length: 4096 })
    for (let turns = 0; turns < 20; turns++) await turn()
    expect(device.ios).toHaveLength(3)
    device.end()
    await left
    expect((await Promise.all(requests)).map(({ result }) => result)).toEqual([4096, 4096, 4096])
    expect(kernel.records.get('ublkb0')?.name).toBe('disk')
    expect(first.process.guards).toHaveLength(1)
    const waiting = kernel.request(0, { op: Operation.Read, length: 4096 })
    const next = await first.transport.attach(createMinimalDevice(createMinimalStorage(1024)), NAMES)
    expect(next.tookOver).toBe(true)
    expect([(await waiting).result, (await late).result]).toEqual([4096, 4096])
    await next.detach()
    // Only older drivers need it; what is left is let go when the process is out of the kernel's way.
    const kept = ['keep 1', 'release later', 'keep 1', 'release now']
    expect(first.process.kept).toEqual((features & Flag.Quiesce) !== 0 ? [] : kept)
  })
}
