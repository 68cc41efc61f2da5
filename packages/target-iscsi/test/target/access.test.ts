import type { Access } from '@blockbraid/core'
import { Errno, IoOp, NOT_EXECUTED, OK, openMultipath, PATH_ERROR } from '@blockbraid/core'
import { describe, expect, test } from 'vitest'
import { afterwards, BLOCK, bed, fastHost, run } from './bed.ts'

const ELSEWHERE = Errno.EAGAIN | PATH_ERROR | NOT_EXECUTED
const read = { op: IoOp.Read, length: BLOCK }

describe('the access state', () => {
  test.each(['non-optimized', 'standby', 'unavailable', 'transitioning'] as const)(
    'is heard of by an idle path: %s and back',
    async (access) => {
      const { array, open } = await bed({ initiator: { pollInterval: 20 } })
      const path = await open()
      const seen: Access[] = []
      path.events.on('access', (now) => seen.push(now))
      array.setAccess({}, access)
      await expect.poll(() => seen).toEqual([access])
      expect(path.access).toBe(access)
      array.setAccess({}, 'optimized')
      await expect.poll(() => seen).toEqual([access, 'optimized'])
      expect(await run(path, read)).toBe(OK)
    },
  )

  test('is heard of under load, and no I/O fails but by a path error', async () => {
    const { array, open } = await bed()
    const path = await open()
    const load = Array.from({ length: 64 }, () => run(path, read))
    array.setAccess({}, 'standby')
    for (const status of await Promise.all(load)) expect([OK, ELSEWHERE]).toContain(status)
    expect(await run(path, read)).toBe(ELSEWHERE)
    await expect.poll(() => path.access).toBe('standby')
    await path.activate!()
    await expect.poll(() => path.access).toBe('optimized')
    expect(await run(path, read)).toBe(OK)
  })

  test('a path in standby opens, and knows its disk when it is taken into use', async () => {
    const { array, open, storage } = await bed({ array: { portals: [{}, {}] }, initiator: { pollInterval: 20 } })
    array.setAccess({ portal: 1 }, 'standby')
    const path = await open(1)
    expect(path).toMatchObject({ access: 'standby', limits: { size: 2 ** 20 } })
    storage.grow(0, 2 ** 21)
    array.setAccess({ portal: 1 }, 'optimized')
    await expect.poll(() => path.access).toBe('optimized')
    expect(path.limits.size).toBe(2 ** 21)
  })
})

describe('the preferred bit and the time of a transition', () => {
  test('are read when a path opens, and heard of by an idle path and by one under load', async () => {
    const { array, open } = await bed({
      array: { portals: [{}, {}], transitionTime: 30 },
      initiator: { pollInterval: 20 },
    })
    array.prefer({ portal: 1 }, true)
    const [other, path] = [await open(0), await open(1)]
    expect([other.preferred, path.preferred]).toEqual([false, true])
    expect([other.transitionTime, path.transitionTime]).toEqual([30_000, 30_000])
    const seen: string[] = []
    path.events.on('access', (access) => seen.push(`${access} ${path.preferred}`))
    array.prefer({ portal: 1 }, false)
    await expect.poll(() => seen).toEqual(['optimized false'])
    array.prefer({ portal: 1 }, true)
    await Promise.all(Array.from({ length: 16 }, () => run(path, read)))
    await expect.poll(() => seen).toEqual(['optimized false', 'optimized true'])
    expect(other.preferred).toBe(false)
  })

  test('a logical unit that refuses the long form is asked for the short one, once and for all', async () => {
    const { array, open } = await bed({ array: { transitionTime: 30, log: true }, initiator: { pollInterval: 20 } })
    array.prefer({}, true)
    const long = array.faults.command({ opcode: 0xa3, count: 1, status: 2, sense: 0x05_2400 })
    const path = await open()
    expect(long.hits).toBe(1)
    expect(path).toMatchObject({ access: 'optimized', preferred: true, transitionTime: undefined })
    array.prefer({}, false)
    await expect.poll(() => path.preferred).toBe(false)
    const forms = array.log.filter(({ cdb }) => cdb[0] === 0xa3 && (cdb[1]! & 0x1f) === 0x0a).map(({ cdb }) => cdb[1])
    expect(forms[0]).toBe(0x2a)
    expect(new Set(forms.slice(1))).toEqual(new Set([0x0a]))
  })

  test('the end of a transition is seen within a second, though nobody tells of it and polls are rare', async () => {
    const { array, open } = await bed({ initiator: { pollInterval: 20_000 } })
    const path = await open()
    array.setAccess({}, 'transitioning')
    await run(path, read)
    await expect.poll(() => path.access).toBe('transitioning')
    array.setAccess({}, 'optimized')
    await expect.poll(() => path.access, { timeout: 5000 }).toBe('optimized')
  })
})

test('growth is heard of by an idle path and by one under load', async () => {
  const { array, open, storage } = await bed({ array: { portals: [{}, {}] }, initiator: { pollInterval: 20 } })
  const [idle, busy] = [await open(0), await open(1)]
  expect(array.portals).toHaveLength(2)
  storage.grow(0, 2 ** 21)
  await Promise.all(Array.from({ length: 32 }, () => run(busy, read)))
  await expect.poll(() => [idle.limits.size, busy.limits.size]).toEqual([2 ** 21, 2 ** 21])
  expect(await run(idle, { op: IoOp.Read, offset: 2 ** 21 - BLOCK, length: BLOCK })).toBe(OK)
})

test.each([
  ['power on', 0x2900],
  ['reset', 0x2903],
  ['loss of the nexus', 0x2907],
  ['change of mode parameters', 0x2a01],
  ['change of the inquiry data', 0x3f03],
])('a storm of unit attentions, %s, is no error', async (_what, code) => {
  const { array, open, volumes } = await bed()
  const path = await open()
  const down: Error[] = []
  path.events.on('down', (error) => down.push(error))
  for (let round = 0; round < 30; round++) {
    const load = Array.from({ length: 8 }, () => run(path, read))
    array.attention(volumes[0]!, code)
    for (const status of await Promise.all(load)) expect([OK, ELSEWHERE]).toContain(status)
  }
  expect(down).toEqual([])
  expect(await run(path, read)).toBe(OK)
  expect(array.violations).toEqual([])
})

test('an array that restarts: its commands end, paths come back, nothing is lost', async () => {
  const { array, info, target, storage } = await bed()
  const where = await info()
  const device = await openMultipath(where.volume, [{ target, info: where }])
  afterwards(() => device.close({ signal: AbortSignal.timeout(1000) }))
  const writes = Array.from({ length: 32 }, (_, block) =>
    run(device, { op: IoOp.Write, offset: block * BLOCK, buffers: [Buffer.alloc(BLOCK, block + 1)] }),
  )
  await array.portals[0]!.down()
  array.attention('all', 0x2900)
  await new Promise((resolve) => setTimeout(resolve, 200))
  await array.portals[0]!.up()
  expect(await Promise.all(writes)).toEqual(Array(32).fill(OK))
  for (let block = 0; block < 32; block++) expect(storage.peek(0, block * BLOCK, 1)[0]).toBe(block + 1)
})

test.each([
  ['TASK SET FULL', 0x28],
  ['BUSY', 0x08],
])('%s for long: an I/O of a device with one path ends when its time is up, not before', async (_what, status) => {
  const host = fastHost(20)
  const { array, info, target } = await bed({ host, initiator: { taskTimeout: 60_000, loginTimeout: 60_000 } })
  const where = await info()
  const device = await openMultipath(where.volume, [{ target, info: where }], { multipath: { noPathTimeout: 500 } })
  afterwards(() => device.close({ signal: AbortSignal.timeout(1000) }))
  const short = array.faults.command({ opcode: 0x28, status, count: 5 })
  expect(await run(device, read)).toBe(OK)
  expect(short.hits).toBe(5)
  array.faults.command({ opcode: 0x28, status })
  expect(await run(device, read)).toBe(Errno.EIO)
  expect(device.paths[0]!.state).toBe('up')
})

test('a LUN that hangs takes its own path down, and leaves the session to the others', async () => {
  const { array, open } = await bed({
    memory: {
      volumes: [
        { size: '1MiB', blockSize: BLOCK },
        { size: '1MiB', blockSize: BLOCK },
      ],
    },
    initiator: { taskTimeout: 200, pollInterval: 20 },
  })
  const [sick, well] = [await open(0, 0), await open(0, 1)]
  const downs: string[] = []
  sick.events.on('down', () => downs.push('sick'))
  well.events.on('down', () => downs.push('well'))
  array.faults.wire({ pdu: ['scsiResponse', 'dataIn'], after: 0, drop: true, count: 1 })
  void run(sick, read)
  // The command has no answer, ever; TEST UNIT READY has: core's ioTimeout is what ends it.
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(downs).toEqual([])
  await sick.close()
  expect(await run(well, read)).toBe(OK)
  expect(downs).toEqual([])
})
