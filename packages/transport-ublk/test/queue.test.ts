import { IoFlag, IoOp } from '@blockbraid/core'
import { createMinimalDevice, createRandom, pattern, randomInt, recording } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import { Flag, Operation, OperationFlag, State } from '../src/protocol.ts'
import { KIB, manualDevice, NAMES, openBed, processOf, until } from './support/bed.ts'
import { ALL_FEATURES, FakeKernel, FakeRing, turn } from './support/kernel.ts'

test('every operation reaches the device, with its flags, and its answer the application', async () => {
  const kernel = new FakeKernel()
  const { transport } = processOf(kernel)
  const bed = await openBed({}, new FakeKernel())
  const device = recording(bed.device)
  await transport.attach(device, NAMES)
  const data = pattern(8192, { seed: 1, offset: 4096, generation: 1 })
  expect(await kernel.request(0, { op: Operation.Write, offset: 4096, length: 8192, data })).toMatchObject({
    result: 8192,
  })
  const read = await kernel.request(0, { op: Operation.Read, offset: 4096, length: 8192 })
  expect(Buffer.compare(read.data, data)).toBe(0)
  const quiet = [
    { op: Operation.Write, flags: OperationFlag.Fua, offset: 0, length: 4096, data: data.subarray(0, 4096) },
    { op: Operation.Flush },
    { op: Operation.Discard, offset: 4096, length: 4096 },
    { op: Operation.WriteZeroes, offset: 8192, length: 4096, flags: OperationFlag.NoUnmap },
    { op: Operation.WriteZeroes, offset: 8192, length: 4096, flags: OperationFlag.Fua },
  ]
  const results: number[] = []
  for (const request of quiet) results.push((await kernel.request(0, request)).result)
  expect(results).toEqual([4096, 0, 0, 0, 0])
  const seen = device.log.filter(({ event }) => event === 'submit').slice(2)
  expect(seen.map(({ op, flags, offset, length }) => [op, flags, offset, length])).toEqual([
    [IoOp.Write, IoFlag.Fua, 0, 4096],
    [IoOp.Flush, 0, 0, 0],
    [IoOp.Trim, 0, 4096, 4096],
    [IoOp.WriteZeroes, IoFlag.NoUnmap, 8192, 4096],
    [IoOp.WriteZeroes, IoFlag.Fua, 8192, 4096],
  ])
  expect((await kernel.request(0, { op: 77, length: 4096 })).result).toBe(-95)
})

test('offsets beyond 2 TiB and trims beyond 2 GiB are whole', async () => {
  const kernel = new FakeKernel()
  const { transport } = processOf(kernel)
  const device = manualDevice()
  await transport.attach(device, NAMES)
  const offset = 2 ** 52
  const far = kernel.request(0, { op: Operation.Read, offset, length: 4096 })
  const long = kernel.request(0, { op: Operation.Discard, offset: 0, length: 2 ** 32 - 4096 })
  await until('the device has both', () => device.ios.length === 2)
  expect(device.ios.map((io) => [io.offset, io.length])).toEqual([
    [offset, 4096],
    [0, 2 ** 32 - 4096],
  ])
  device.end()
  expect([(await far).result, (await long).result]).toEqual([4096, 0])
})

test('statuses of the device become errnos; one that says try again becomes EIO', async () => {
  const kernel = new FakeKernel()
  const { transport } = processOf(kernel)
  const device = manualDevice()
  await transport.attach(device, NAMES)
  for (const [status, result] of [
    [28, -28],
    [5 | 0x1_0000, -5],
    [11, -5],
    [0x1_0000, -5],
  ] as const) {
    const request = kernel.request(0, { op: Operation.Write, length: 4096, data: new Uint8Array(4096) })
    await until('the device has it', () => device.ios.length === 1)
    device.end(status)
    expect((await request).result).toBe(result)
  }
})

test('one call of the kernel for all answers of a turn', async () => {
  const kernel = new FakeKernel()
  const { transport } = processOf(kernel, { depth: 32 })
  const device = manualDevice()
  await transport.attach(device, NAMES)
  const requests = Array.from({ length: 32 }, (_, at) =>
    kernel.request(0, { op: Operation.Read, offset: at * 4096, length: 4096 }),
  )
  await until('the device has all', () => device.ios.length === 32)
  kernel.enters = 0
  device.end()
  await Promise.all(requests)
  expect(kernel.enters).toBe(1)
})

test('a tag is used again with the same Io, and the same views for the lengths it had last', async () => {
  const kernel = new FakeKernel()
  const { transport } = processOf(kernel, { depth: 1 })
  const device = manualDevice()
  await transport.attach(device, NAMES)
  const seen: { io: object; view: Uint8Array | undefined }[] = []
  for (const length of [4096, 8192, 4096, 8192]) {
    const request = kernel.request(0, { op: Operation.Read, length })
    await until('the device has it', () => device.ios.length === 1)
    const [io] = device.ios
    seen.push({ io: io as object, view: io?.buffers[0] })
    expect(io?.buffers[0]?.length).toBe(length)
    device.end()
    await request
  }
  expect(new Set(seen.map(({ io }) => io)).size).toBe(1)
  expect(seen[2]?.view).toBe(seen[0]?.view)
  expect(seen[3]?.view).toBe(seen[1]?.view)
})

test('random requests on two queues: each is answered once, with its own data', async () => {
  const seed = Number(process.env['SEED'] ?? 20261122)
  const random = createRandom(seed)
  const bed = await openBed({ queues: 2, depth: 8 })
  let answered = 0
  const step = async (lane: number): Promise<void> => {
    const offset = lane * 64 * KIB
    let generation = 0
    for (let round = 0; round < 40; round++) {
      const length = 4096 * (1 + randomInt(random, 16))
      generation++
      const data = pattern(length, { seed: lane, offset, generation })
      const write = await bed.kernel.request(bed.id, { op: Operation.Write, offset, length, data })
      const read = await bed.kernel.request(bed.id, { op: Operation.Read, offset, length })
      expect(write.result, `seed ${seed}`).toBe(length)
      expect(Buffer.compare(read.data, data), `seed ${seed}, lane ${lane}, round ${round}`).toBe(0)
      answered += 2
    }
  }
  await Promise.all(Array.from({ length: 24 }, (_, lane) => step(lane)))
  expect(answered).toBe(24 * 40 * 2)
})

test('force: what arrives ends with EIO, what the device works on with its own end', async () => {
  const kernel = new FakeKernel()
  const { transport } = processOf(kernel, { depth: 1 })
  const device = manualDevice()
  const attachment = await transport.attach(device, NAMES)
  const first = kernel.request(0, { op: Operation.Write, length: 4096, data: new Uint8Array(4096) })
  const second = kernel.request(0, { op: Operation.Write, length: 4096, data: new Uint8Array(4096) })
  await until('the device has it', () => device.ios.length === 1)
  let ended = false
  const detached = attachment.detach({ mode: 'force' }).then(() => {
    ended = true
  })
  for (let turns = 0; turns < 20; turns++) await turn()
  expect(ended).toBe(false)
  device.end()
  expect((await first).result).toBe(4096)
  expect((await second).result).toBe(-5)
  await detached
  expect(kernel.devices.size).toBe(0)
})

test('force on a node without recovery: what the kernel still writes back ends with EIO, the device does not see it', async () => {
  const kernel = new FakeKernel()
  const { transport } = processOf(kernel, { depth: 1, unprivileged: true })
  const device = manualDevice()
  const attachment = await transport.attach(device, NAMES)
  const data = new Uint8Array(4096)
  const requests = [0, 1, 2].map((at) =>
    kernel.request(0, { op: Operation.Write, offset: at * 4096, length: 4096, data }),
  )
  await until('the device has the first', () => device.ios.length === 1)
  const detached = attachment.detach({ mode: 'force' })
  for (let turns = 0; turns < 20; turns++) await turn()
  device.end()
  await detached
  expect((await Promise.all(requests)).map(({ result }) => result)).toEqual([4096, -5, -5])
  expect(device.ios).toEqual([])
})

test('force with a signal: answers at once, keeps the buffers until the device is done, and the next node waits for that', async () => {
  const kernel = new FakeKernel()
  const { process, transport } = processOf(kernel, { depth: 2 })
  const device = manualDevice()
  const attachment = await transport.attach(device, NAMES)
  const data = new Uint8Array(4096).fill(7)
  const request = kernel.request(0, { op: Operation.Write, length: 4096, data })
  await until('the device has it', () => device.ios.length === 1)
  const late = device.ios[0]?.buffers[0] as Uint8Array
  await attachment.detach({ mode: 'force', signal: AbortSignal.abort() })
  expect((await request).result).toBe(-5)
  expect(kernel.devices.size).toBe(0)
  expect(process.rings.size).toBe(1)
  expect(late[4095]).toBe(7)
  const mapped = [...kernel.memories.values()].some((bytes) => bytes.buffer === late.buffer)
  expect(mapped).toBe(true)
  let attached = false
  const again = transport.attach(device, NAMES).then(() => {
    attached = true
  })
  for (let turns = 0; turns < 20; turns++) await turn()
  expect(attached).toBe(false)
  device.end()
  await again
  expect([...kernel.memories.values()].some((bytes) => bytes.buffer === late.buffer)).toBe(false)
})

test('what is written while a node starts is what is read, not what was there before', async () => {
  const kernel = new FakeKernel()
  kernel.features = ALL_FEATURES & ~Flag.NoPartitionScan
  const { process, transport } = processOf(kernel)
  const { complete } = FakeRing.prototype
  const held: (() => void)[] = []
  const start = process.ring.bind(process)
  process.ring = (entries, wide, onCompletions) => {
    const ring = start(entries, wide, onCompletions)
    if (!wide || !(ring instanceof FakeRing)) return ring
    ring.complete = (userData, result) => {
      const go = (): void => complete.call(ring, userData, result)
      // Its disk is there before the command has ended.
      if (kernel.devices.get(0)?.info.state === State.Live) held.push(go)
      else go()
    }
    return ring
  }
  const attached = transport.attach(createMinimalDevice(), NAMES)
  await until('it starts', () => held.length === 1)
  const data = new Uint8Array(4096).fill(7)
  expect((await kernel.request(0, { op: Operation.Read, length: 4096 })).data[0]).toBe(0)
  expect((await kernel.request(0, { op: Operation.Write, length: 4096, data })).result).toBe(4096)
  expect((await kernel.request(0, { op: Operation.Read, length: 4096 })).data[0]).toBe(7)
  for (const go of held.splice(0)) go()
  await attached
})
