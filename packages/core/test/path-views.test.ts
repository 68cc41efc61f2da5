import { memory } from '@blockbraid/target-memory'
import { policyLoad } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import shortestWait from '../../../examples/own-policy/shortest-wait.ts'
import type { IoView, PathView } from '../src/index.ts'
import { Errno, IoOp, integerRandom, OK } from '../src/index.ts'
import { open, send, virtualHost } from './support/rig.ts'

/** A device over two paths whose policy sends all to the first, and the views that it was given. */
async function openSeen() {
  const rig = await open(2)
  const seen: { paths: readonly PathView[]; io?: IoView; now: number } = { paths: [], now: 0 }
  rig.device.setSelector(() => ({
    name: 'first',
    update: (paths) => void (seen.paths = paths),
    select(io) {
      seen.io = io
      seen.now = io.now
      return seen.paths[0]
    },
  }))
  const { clock } = rig.host
  const serve = async (milliseconds: number, length = 512, status: number = OK): Promise<void> => {
    send(rig.device, IoOp.Read, 0, length)
    await clock.advance(milliseconds)
    rig.target.path(0).complete(status)
  }
  return { ...rig, clock, serve, seen, first: () => seen.paths[0] as PathView }
}

describe('what a policy sees of a path', () => {
  it('is where it leads and since when, and the time while it selects', async () => {
    const { first, serve, seen, clock, host, target, device } = await openSeen()
    await clock.advance(5)
    await serve(1)
    expect(first()).toMatchObject({ id: 'fake:0', target: 'fake', address: 'port0', upSince: 0 })
    expect([seen.now, seen.io?.now]).toEqual([5000, 0])
    target.path(0).events.emit('down', new Error('gone'))
    await host.clock.runUntil(() => device.paths[0]?.state === 'up')
    expect(first().upSince).toBe(device.paths[0]?.since)
    expect(first().upSince).toBeGreaterThan(6000)
  })

  it('is a latency that halves each 250 ms while the path is idle', async () => {
    const { first, serve, clock } = await openSeen()
    expect(first().latency).toBe(0)
    await serve(8)
    expect(first().latency).toBe(8000)
    await clock.advance(250)
    expect(first().latency).toBe(4000)
    await clock.advance(500)
    expect(first().latency).toBe(1000)
    await clock.advance(3_600_000)
    expect(first().latency).toBe(0)
  })

  it('is the time since anything came back, where that is longer than the latency', async () => {
    const { device, first, serve, clock, target } = await openSeen()
    await serve(8)
    send(device)
    send(device)
    await clock.advance(3)
    expect(first().latency).toBe(8000)
    await clock.advance(9)
    expect(first().latency).toBe(12_000)
    target.path(0).complete(OK, 1)
    expect(first().latency).toBe(8500)
    await clock.advance(100)
    expect(first().latency).toBe(100_000)
  })

  it('is a latency of which old ones count the less the longer the path was idle', async () => {
    const { first, serve, clock } = await openSeen()
    await serve(64)
    await clock.advance(500)
    await serve(1)
    // 7/8 of a quarter for 64 ms.
    expect(first().latency).toBe(1000 + (63_000 * 7) / 32)
    await clock.advance(60_000)
    await serve(2)
    expect(first().latency).toBe(2000)
  })

  it('is its throughput of the last second in which it worked', async () => {
    const { first, serve, clock } = await openSeen()
    expect(first().throughput).toBe(0)
    await serve(100, 10_240)
    expect(first().throughput).toBe(102_400)
    await clock.advance(60_000)
    expect(first().throughput).toBe(102_400)
    for (let count = 0; count < 20; count++) await serve(100, 20_480)
    expect(first().throughput).toBe(204_800)
  })

  it('are its errors, which are forgotten by half every 10 s', async () => {
    const { first, serve, clock, device } = await openSeen()
    for (let count = 0; count < 4; count++) await serve(0, 512, Errno.ENODATA)
    expect(first().errors).toBe(4)
    await clock.advance(10_000)
    expect(first().errors).toBe(2)
    await clock.advance(20_000)
    expect(first().errors).toBe(0.5)
    expect(device.paths[0]?.errors).toBe(4)
  })

  it('counts what was abandoned with its path as ended', async () => {
    const { device, first, clock, target, host } = await openSeen()
    target.path(0).keepsIos = true
    send(device)
    await clock.advance(10)
    target.path(0).events.emit('down', new Error('gone'))
    await host.clock.runUntil(() => device.paths[0]?.state === 'up')
    expect(first()).toMatchObject({ inflight: 0, inflightBytes: 0, latency: 0 })
  })
})

it('a policy that follows latency gives a path its share again once it has healed', async () => {
  const host = virtualHost(1)
  const target = memory({ volumes: [{ size: '1MiB' }], ports: 2, latency: { base: 1000, jitter: 500 } }, host)
  const load = await policyLoad(host, target, shortestWait)
  target.array.slow(1, 50_000)
  await load.run(2000, { depth: 8 })
  expect(load.shares()[1]).toBeLessThan(100)
  target.array.slow(1, 0)
  await load.run(20_000, { depth: 8 })
  expect(load.shares()[1]).toBeGreaterThan(5000)
  await load.close()
})

describe('integerRandom', () => {
  it('gives each whole number below the bound its share, the same again for the same seed', () => {
    const next = integerRandom(virtualHost(7))
    const again = integerRandom(virtualHost(7))
    const counts = new Map<number, number>()
    for (let count = 0; count < 6000; count++) {
      const value = next(6)
      expect(again(6)).toBe(value)
      counts.set(value, (counts.get(value) ?? 0) + 1)
    }
    expect([...counts.keys()].toSorted()).toEqual([0, 1, 2, 3, 4, 5])
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150)
  })

  it('serves where random() gives 0', () => {
    const next = integerRandom({ random: () => 0 })
    expect(Array.from({ length: 50 }, () => next(2)).includes(1)).toBe(true)
  })
})
