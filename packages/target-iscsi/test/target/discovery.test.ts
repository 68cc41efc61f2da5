import type { Clock } from '@blockbraid/core'
import { BlockError, createHostAgent, IoOp, OK, systemClock, systemHost } from '@blockbraid/core'
import { createChaosProxy } from '@blockbraid/testkit'
import { describe, expect, test } from 'vitest'
import { iscsi } from '../../src/index.ts'
import { afterwards, BLOCK, bed, isPending, run } from './bed.ts'

const two = {
  volumes: [
    { size: '1MiB', blockSize: BLOCK },
    { size: '1MiB', blockSize: BLOCK },
  ],
} as const
const memory = { volumes: [...two.volumes] }
const BUSY = 0x08
const INQUIRY = 0x12
const READ_CAPACITY = 0x9e

const listed = (infos: readonly { address: string; lun?: string }[]) =>
  infos.map(({ address, lun }) => `${address} ${lun}`).sort()

describe('what was found before stays listed', () => {
  test.each([
    ['is busy', { opcode: INQUIRY, lun: 1, status: BUSY }],
    ['is becoming ready', { opcode: INQUIRY, lun: 1, status: 2, sense: 0x02_0401 }],
    ['fails', { opcode: INQUIRY, lun: 1, status: 2, sense: 0x04_4400 }],
  ])('where a logical unit %s', async (_what, rule) => {
    const { target, array } = await bed({ memory })
    const before = listed(await target.discover())
    expect(before).toHaveLength(2)
    array.faults.command(rule)
    expect(listed(await target.discover())).toEqual(before)
    array.faults.heal()
    expect(listed(await target.discover())).toEqual(before)
  })

  test('where a logical unit does not answer', async () => {
    const { target, array } = await bed({ memory, initiator: { taskTimeout: 200 } })
    const before = listed(await target.discover())
    array.faults.wire({ pdu: 'scsiCommand', lun: 1, drop: true })
    const now = await target.discover().then(listed, (error: unknown) => error)
    expect(now).toEqual(before)
  })

  test('where every port is in standby and tells no size', async () => {
    const { target, array } = await bed({ memory, array: { portals: [{}, {}] } })
    const before = await target.discover()
    expect(before).toHaveLength(4)
    array.setAccess({}, 'standby')
    array.faults.command({ opcode: READ_CAPACITY, status: 2, sense: 0x02_040b })
    array.faults.command({ opcode: 0x25, status: 2, sense: 0x02_040b })
    expect(await target.discover()).toEqual(before)
  })

  test('where a portal is down, and no longer when the array takes it away', async () => {
    const { target, array } = await bed({ memory, array: { portals: [{}, {}] } })
    const before = listed(await target.discover())
    await array.portals[1]!.down()
    expect(listed(await target.discover())).toEqual(before)
    await array.unmap(1)
    // The portal that is down cannot say so yet.
    expect(await target.discover()).toHaveLength(3)
    await array.portals[1]!.up()
    expect(await target.discover()).toHaveLength(2)
  })
})

test('a path tells the unit serial number of its disk', async () => {
  const { target } = await bed({ memory, array: { portals: [{}, {}] } })
  const serials = Map.groupBy(await target.discover(), ({ volume }) => volume)
  expect(serials.size).toBe(2)
  for (const infos of serials.values()) {
    expect(infos[0]!.serial).toMatch(/^[0-9a-f]{20}$/)
    expect(infos[1]!.serial).toBe(infos[0]!.serial)
  }
  expect(new Set([...serials.values()].map(([info]) => info!.serial)).size).toBe(2)
})

test('a portal that was down at first is listed when it is back', async () => {
  const { target, array } = await bed({ array: { portals: [{}, {}] } })
  await array.portals[1]!.down()
  expect(await target.discover()).toHaveLength(1)
  await array.portals[1]!.up()
  expect(await target.discover()).toHaveLength(2)
})

test('a portal that only SendTargets tells of is used, unless that is switched off', async () => {
  const { host, array, open } = await bed({ array: { portals: [{}, {}] } })
  const portals = [array.portals[0]!.address]
  const target = host({ portals })
  expect(await target.discover()).toHaveLength(2)
  const path = await open(1, 0, target)
  expect(await run(path, { op: IoOp.Read, length: BLOCK })).toBe(OK)
  expect(await host({ portals, toldPortals: false }).discover()).toHaveLength(1)
})

test('a configured portal of the same group is listed though it is down', async () => {
  const { target, array } = await bed({ array: { portals: [{ group: 1 }, { group: 1 }] } })
  await array.portals[1]!.down()
  expect(await target.discover()).toHaveLength(2)
})

test('nothing answers', async () => {
  const { target, array } = await bed({ array: { portals: [{}, {}] } })
  for (const portal of array.portals) await portal.down()
  await expect(target.discover()).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
})

test('more logical units than can be are refused, not listed', async () => {
  const { target, array } = await bed({})
  array.faults.phantomLuns = 10_000
  await expect(target.discover()).rejects.toMatchObject({ code: 'CONNECT_FAILED', message: /10000|10001|limit/ })
})

test.each([0, 255, 256, 16_383, 16_384, 0xff_ffff])('LUN %i', async (lun) => {
  const { array, target, devices, volumes } = await bed({ mapped: [] })
  await array.map({ lun, volume: volumes[0]!, device: devices[0]! })
  const infos = await target.discover()
  expect(infos).toHaveLength(1)
  const path = await target.connect(infos[0]!)
  expect(await run(path, { op: IoOp.Read, length: BLOCK })).toBe(OK)
})

test('a session for each logical unit', async () => {
  const { host, array, open } = await bed({ memory })
  const target = host({ sessionPerLun: true })
  const [first, second] = [await open(0, 0, target), await open(0, 1, target)]
  const normal = () => array.sessions.filter(({ discovery }) => !discovery)
  await expect.poll(() => normal().length).toBe(2)
  expect(new Set(normal().map(({ isid }) => isid)).size).toBe(2)
  await first.close()
  expect(await run(second, { op: IoOp.Read, length: BLOCK })).toBe(OK)
})

describe('calls that are called off', () => {
  test.each([
    ['the answer to SendTargets', 'textResponse'],
    ['data of the logical units', 'dataIn'],
    ['the answer to a login', 'loginResponse'],
  ] as const)('discover, while %s does not come', async (_what, pdu) => {
    const { target, array } = await bed({ initiator: { taskTimeout: 60_000, loginTimeout: 60_000 } })
    const fault = array.faults.wire({ pdu, drop: true })
    const stop = new AbortController()
    const found = target.discover({ signal: stop.signal })
    await expect.poll(() => fault.hits).toBeGreaterThan(0)
    expect(await isPending(found)).toBe(true)
    stop.abort()
    const late = Symbol('late')
    const timer = new Promise((resolve) => setTimeout(resolve, 3000, late))
    const ended = await Promise.race([found.catch((error: unknown) => error), timer])
    expect(ended).toMatchObject({ code: 'ABORTED' })
    array.faults.heal()
    expect(await target.discover()).toHaveLength(1)
  })

  test('connect, after any number of PDUs', async () => {
    const { target, array, info } = await bed({ initiator: { taskTimeout: 60_000, loginTimeout: 60_000 } })
    const where = await info()
    let before = 0
    for (let after = 0; ; after++) {
      const fault = array.faults.wire({ pdu: ['loginResponse', 'dataIn', 'scsiResponse'], after, drop: true })
      const stop = new AbortController()
      const opened = target.connect(where, { signal: stop.signal })
      opened.catch(() => {})
      await Promise.race([opened, expect.poll(() => fault.hits).toBe(1)])
      array.faults.heal()
      if (fault.hits === 0) {
        await (await opened).close()
        before = after
        break
      }
      stop.abort()
      await expect(opened).rejects.toMatchObject({ code: 'ABORTED' })
    }
    expect(before).toBeGreaterThan(8)
    // Nobody uses one: they end.
    await expect.poll(() => array.sessions.length, { timeout: 5000 }).toBe(0)
  })

  test('connect, while another one wants the same session', async () => {
    const { target, array, info } = await bed({})
    const where = await info()
    await expect.poll(() => array.sessions.length, { timeout: 5000 }).toBe(0)
    const fault = array.faults.wire({ pdu: 'loginResponse', count: 1, drop: true })
    const stop = new AbortController()
    const first = target.connect(where, { signal: stop.signal })
    await expect.poll(() => fault.hits).toBe(1)
    stop.abort()
    const second = target.connect(where)
    await expect(first).rejects.toMatchObject({ code: 'ABORTED' })
    expect(await run(await second, { op: IoOp.Read, length: BLOCK })).toBe(OK)
  })

  test('close of the target, while it connects', async () => {
    const { target, array, info } = await bed({ initiator: { taskTimeout: 60_000 } })
    const where = await info()
    array.faults.wire({ pdu: 'dataIn', drop: true })
    const opened = target.connect(where)
    opened.catch(() => {})
    await expect.poll(() => array.sessions.some(({ inflight }) => inflight >= 0)).toBe(true)
    await target.close()
    await expect(opened).rejects.toMatchObject({ code: 'CLOSED' })
    await expect.poll(() => array.sessions.length, { timeout: 5000 }).toBe(0)
  })
})

test('a dead portal does not keep the others from being used', async () => {
  const made = await bed({ array: { portals: [{}, {}] } })
  const { host, port } = made.array.portals[0]!
  const proxy = await createChaosProxy({ to: { host, port } })
  afterwards(() => proxy.close())
  const target = made.host({
    portals: [proxy.address, made.array.portals[1]!.address],
    toldPortals: false,
    loginTimeout: 500,
    keepAliveInterval: 100,
    keepAliveTimeout: 100,
  })
  const infos = await target.discover()
  const [dead, alive] = [proxy.address, made.array.portals[1]!.address].map(
    (address) => infos.find((info) => info.address === address)!,
  )
  const path = await target.connect(dead!)
  const down = new Promise<Error>((resolve) => path.events.on('down', resolve))
  proxy.blackhole(true)
  expect(await down).toMatchObject({ code: 'TIMED_OUT' })
  const other = await target.connect(alive!)
  expect(await run(other, { op: IoOp.Read, length: BLOCK })).toBe(OK)
  expect(listed(await target.discover())).toEqual(listed(infos))
  const failed = await target.connect(dead!).catch((error: unknown) => error)
  expect(BlockError.is(failed) && ['TIMED_OUT', 'CONNECT_FAILED'].includes(failed.code)).toBe(true)
  await path.close()
})

test('nor one that has been silent from the start: core gets what the others tell before it gives the target up', async () => {
  const made = await bed({ array: { portals: [{}, {}] } })
  made.array.portals[1]!.blackhole(true)
  // Four times as fast, so that it takes no ten seconds.
  const clock: Clock = { ...systemClock, after: (wait, call) => systemClock.after(wait / 4, call) }
  const host = { ...systemHost, clock }
  const { address } = made.array.portals[0]!
  const target = iscsi({ portals: made.array.portals.map((portal) => portal.address) }, host)
  const agent = createHostAgent({ targets: [target], host })
  afterwards(() => target.close({ signal: AbortSignal.timeout(1000) }).catch(() => {}))
  afterwards(() => agent.close())
  expect((await agent.rescan()).errors).toEqual([])
  expect(agent.devices()).toMatchObject([{ addresses: [address] }, { addresses: [address] }])
})
