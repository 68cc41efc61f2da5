import { createRandom, randomInt } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import type { BlockDevicePair, Rates, Transport } from '../../src/index.ts'
import { BlockError, createEmitter, createHostAgent, Errno, IoOp, IoSource, OK } from '../../src/index.ts'
import { FrontDevice } from '../../src/user-device.ts'
import type { Sent } from '../support/rig.ts'
import { FakeTarget, open, send, VOLUME, virtualHost } from '../support/rig.ts'

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

/** A pair, with rates; its attachment refuses to go as long as it is in use. */
async function paired(rates?: Rates, paths = 2) {
  const host = virtualHost(1)
  const target = new FakeTarget(paths)
  target.prepare = (path) => void (path.auto = true)
  const used = { node: false }
  const transport: Transport = {
    name: 'fake',
    attach: async () => ({
      node: 'fake',
      events: createEmitter<{ lost: Error }>(),
      resize: async () => {},
      detach: async ({ mode } = {}) => {
        if (used.node && mode !== 'force') throw new BlockError('IN_USE', 'fake is mounted')
      },
    }),
    close: async () => {},
  }
  const agent = createHostAgent({ targets: [target], host })
  const spec = { name: 'v', device: VOLUME, transport, ...(rates && { rates }) }
  const pair: BlockDevicePair = await host.clock.runUntil(agent.pair(spec))
  await host.clock.advance(0)
  const seen = (): number[] =>
    numbers(paths).flatMap((index) => target.path(index).seen.map(([, offset]) => offset / 512))
  return { pair, agent, target, used, seen, clock: host.clock }
}

it('a pair is held to rates from its first I/O on, whoever it is from, and tells how many wait', async () => {
  const { pair, seen, clock } = await paired({ iops: 100, burst: 0 })
  expect(pair.rates).toEqual({ iops: 100, burst: 0 })
  const sources = numbers(5).map((index) => new IoSource(index + 1))
  for (const index of numbers(50)) send(pair.user, IoOp.Read, index * 512, 512, 0, sources[index % 5])
  expect(pair.throttled).toBe(49)
  await clock.advance(400)
  expect([seen().length, pair.throttled]).toEqual([41, 9])
  await clock.advance(100)
  expect([seen(), pair.throttled]).toEqual([numbers(50), 0])
})

it('rates are exchanged under I/O, and that is told; wrong ones leave those before', async () => {
  const { pair, seen, clock } = await paired()
  const told: (Rates | undefined)[] = []
  pair.events.on('rates', (rates) => told.push(rates))
  pair.setRates({ iops: 10 })
  expect(() => pair.setRates({ iops: -1 })).toThrow('iops is -1; it must be a whole number of 1 or more')
  for (const index of numbers(100)) send(pair.user, IoOp.Read, index * 512)
  await clock.advance(500)
  expect(seen()).toHaveLength(6)
  pair.setRates(undefined)
  await clock.advance(0)
  expect(seen()).toEqual(numbers(100))
  expect(told).toEqual([{ iops: 10, burst: 100 }, undefined])
})

it('a pair with wrong rates is not made', async () => {
  await expect(paired({ bytesPerSecond: 100 })).rejects.toThrow('bytesPerSecond is 100; it must be a whole number')
})

it('two pairs of one volume have rates of their own', async () => {
  const { pair, agent, seen, clock } = await paired({ iops: 10, burst: 0 })
  const other = await clock.runUntil(agent.open(VOLUME))
  for (const index of numbers(5)) send(pair.user, IoOp.Read, index * 512)
  for (const index of numbers(5)) send(other, IoOp.Read, (100 + index) * 512)
  await clock.advance(0)
  expect(seen()).toEqual([0, 100, 101, 102, 103, 104])
  await clock.runUntil(other.close())
})

it('what waits for its rates does not keep a pair from its end, and goes before it', async () => {
  const { pair, target, clock } = await paired({ iops: 1, burst: 0 }, 1)
  const sent = numbers(100).map((index) => send(pair.user, IoOp.Write, index * 512))
  await clock.runUntil(pair.close(), 1)
  expect(sent.every(({ status }) => status === OK)).toBe(true)
  const seen = target.path(0).seen.filter(([op]) => op === IoOp.Write)
  expect(seen.map(([, offset]) => offset / 512)).toEqual(numbers(100))
})

it('a pair that is not closed as its node is in use keeps its rates', async () => {
  const { pair, used, seen, clock } = await paired({ iops: 10, burst: 0 })
  used.node = true
  await expect(clock.runUntil(pair.close())).rejects.toMatchObject({ code: 'IN_USE' })
  expect(pair.rates).toEqual({ iops: 10, burst: 0 })
  for (const index of numbers(10)) send(pair.user, IoOp.Read, index * 512)
  await clock.advance(500)
  expect(seen()).toHaveLength(6)
})

it('without a usable path what has its token waits for one as ever; what has not goes on when it is its turn', async () => {
  const { pair, target, clock } = await paired({ iops: 10, burst: 0 })
  await clock.runUntil(Promise.all(numbers(2).map((index) => pair.failPath(target.path(index).id))))
  const sent = numbers(400).map((index) => send(pair.user, IoOp.Read, index * 512))
  await clock.advance(29_900)
  expect([pair.state, pair.parked, pair.throttled]).toEqual(['stalled', 300, 100])
  await clock.advance(200)
  // The first ones have waited for 30 seconds.
  expect(sent.map(({ status }) => status).slice(0, 4)).toEqual([Errno.EIO, Errno.EIO, undefined, undefined])
  pair.restorePath(target.path(0).id)
  await clock.advance(20_000)
  expect(sent.map(({ status }) => status).slice(-396)).toEqual(new Array(396).fill(OK))
  expect(sent.every(({ times }) => times === 1)).toBe(true)
})

it('a change in pieces that comes behind one that waits for its rates stays behind it', async () => {
  const { device, target, host } = await open(1)
  const front = new FrontDevice(device, host.clock, () => device.close())
  const [before, now] = [new IoSource(1), new IoSource(2)]
  // Both are known.
  for (const source of [before, now]) send(front, IoOp.Write, 512 * 1024, 512, 0, source)
  front.setRates({ iops: 10, burst: 0 })
  send(front, IoOp.Write, 512 * 1024, 512, 0, before)
  send(front, IoOp.Write, 0, 512, 0, before)
  // Its client has come back over another connection, and writes on.
  send(front, IoOp.Write, 0, 256 * 1024, 0, now)
  const path = target.path(0)
  path.auto = true
  path.complete()
  await host.clock.advance(2000)
  expect(path.seen.map(([, offset, length]) => [offset / 1024, length / 1024])).toEqual([
    ...new Array(3).fill([512, 0.5]),
    [0, 0.5],
    ...[0, 64, 128, 192].map((offset) => [offset, 64]),
  ])
})

it('rates that change at random, clients that go and paths that fail: each I/O is done once, and what is done was in order', async () => {
  let passed = 0
  for (let seed = 1; seed <= 20; seed++) {
    const { pair, target, seen, clock } = await paired()
    const random = createRandom(seed)
    const sent: Sent[] = []
    let sources = numbers(3).map((index) => new IoSource(index + 1))
    for (let step = 0; step < 200; step++) {
      const source = randomInt(random, 3)
      const event = randomInt(random, 20)
      if (event === 0) pair.setRates(undefined)
      else if (event < 5) {
        const rates = { iops: 10 ** (1 + randomInt(random, 4)), bytesPerSecond: 4096 * (1 + randomInt(random, 1000)) }
        pair.setRates({ ...rates, burst: randomInt(random, 100) })
      } else if (event === 5) {
        pair.user.abandon?.(sources[source]!)
        sources = sources.map((one, index) => (index === source ? new IoSource(step) : one))
      } else if (event === 6) void pair.failPath(target.path(0).id)
      else if (event === 7) pair.restorePath(target.path(0).id)
      else {
        const length = randomInt(random, 10) === 0 ? 256 * 1024 : 512
        // Apart from the others: what overlaps has an order of its own.
        const offset = length === 512 ? sent.length * 512 : 512 * 1024
        sent.push(send(pair.user, randomInt(random, 2) as IoOp, offset, length, 0, sources[source]))
      }
      await clock.advance(randomInt(random, 20))
    }
    pair.setRates({ iops: 1000 })
    await clock.runUntil(() => sent.every(({ status }) => status !== undefined))
    expect(sent.every(({ times, status }) => times === 1 && (status === OK || status === Errno.ECANCELED))).toBe(true)
    // Of the small ones, each of which went to one path at one time; path 1 served all along.
    const small = new Set(sent.flatMap(({ io }, index) => (io.length === 512 ? [index] : [])))
    const order = target.path(1).seen.flatMap(([, offset, length]) => (length === 512 ? [offset / 512] : []))
    expect(order.filter((index) => small.has(index))).toEqual([...order].sort((one, other) => one - other))
    passed += seen().length
    expect([pair.throttled, pair.parked]).toEqual([0, 0])
  }
  expect(passed).toBeGreaterThan(1000)
})
