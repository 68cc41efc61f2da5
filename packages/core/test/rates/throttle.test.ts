import { createRandom, randomInt, virtualHost } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import type { BlockDevice, DeviceLimits, Host, Io, Rates } from '../../src/index.ts'
import { Errno, IoFlag, IoOp, IoSource, OK } from '../../src/index.ts'
import { FrontDevice } from '../../src/user-device.ts'
import { LIMITS } from '../support/fake-target.ts'
import type { Sent } from '../support/submit.ts'
import { send } from '../support/submit.ts'

interface Arrival {
  readonly at: number
  readonly op: IoOp
  readonly offset: number
  readonly length: number
}

interface Fixture {
  readonly front: FrontDevice
  readonly arrivals: Arrival[]
}

/** A device that does everything at once and notes when it was asked. */
function fixture(host: Host, rates: Rates | undefined, limits: Partial<DeviceLimits> = {}): Fixture {
  const arrivals: Arrival[] = []
  const device: BlockDevice = {
    limits: { ...LIMITS, size: 2 ** 40, ...limits },
    submit(io: Io) {
      const { op, offset, length } = io
      arrivals.push({ at: host.clock.now(), op, offset, length })
      host.clock.defer(() => io.done(io, OK))
    },
    close: async () => {},
  }
  const front = new FrontDevice(device, host.clock, () => device.close())
  front.setRates(rates)
  return { front, arrivals }
}

const offsets = (arrivals: readonly Arrival[]): number[] => arrivals.map(({ offset }) => offset / 512)
const after = (arrivals: readonly Arrival[], milliseconds: number): number =>
  arrivals.filter(({ at }) => at <= milliseconds * 1000).length
const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

it('of many Ios at once the burst goes, then as many a second as allowed, in their order', async () => {
  const { clock, ...host } = virtualHost(1)
  const { front, arrivals } = fixture({ clock, ...host }, { iops: 1000, burst: 50 })
  const sent = numbers(1050).map((index) => send(front, IoOp.Read, index * 512))
  expect(arrivals).toHaveLength(50)
  expect(front.throttled).toBe(1000)
  await clock.advance(500)
  expect(arrivals).toHaveLength(550)
  await clock.advance(500)
  expect(front.throttled).toBe(0)
  expect(offsets(arrivals)).toEqual(numbers(1050))
  expect(sent.every(({ status, times }) => status === OK && times === 1)).toBe(true)
  expect(clock.timers).toBe(0)
})

it('of two limits the one that is reached counts', async () => {
  const { clock, ...host } = virtualHost(1)
  const { front, arrivals } = fixture({ clock, ...host }, { iops: 1000, bytesPerSecond: 4_096_000, burst: 0 })
  for (const index of numbers(1000)) send(front, IoOp.Write, index * 65536, index < 100 ? 512 : 40_960)
  await clock.advance(100)
  expect(after(arrivals, 99)).toBe(100)
  await clock.advance(1000)
  // The first of the larger ones found the bucket of bytes full.
  expect(arrivals.length - 101).toBe(100)
})

it('one Io that is larger than the burst goes at once, and is waited for afterwards', async () => {
  const { clock, ...host } = virtualHost(1)
  const { front, arrivals } = fixture({ clock, ...host }, { bytesPerSecond: 65_536, burst: 10 })
  send(front, IoOp.Write, 0, 65_536)
  send(front, IoOp.Write, 0, 512)
  expect(arrivals).toHaveLength(1)
  await clock.advance(990)
  expect(arrivals).toHaveLength(1)
  await clock.advance(10)
  expect(arrivals).toHaveLength(2)
})

it('a flush waits for its turn and counts as one Io: what was done before it is durable', async () => {
  const { clock, ...host } = virtualHost(1)
  const { front, arrivals } = fixture({ clock, ...host }, { iops: 10, bytesPerSecond: 4096, burst: 0 })
  for (const op of [IoOp.Write, IoOp.Flush, IoOp.Read, IoOp.Flush]) send(front, op, 0, op === IoOp.Flush ? 0 : 512)
  await clock.advance(1000)
  expect(arrivals.map(({ op, at }) => [op, at / 1000])).toEqual([
    [IoOp.Write, 0],
    [IoOp.Flush, 100],
    [IoOp.Read, 200],
    [IoOp.Flush, 300],
  ])
})

it('trims and zeroes cost an Io for each piece and no bytes; zeroes that have to be written cost those', async () => {
  const MiB = 2 ** 20
  const { clock, ...host } = virtualHost(1)
  const rates = { iops: 10, bytesPerSecond: MiB, burst: 0 }
  const ranges = fixture({ clock, ...host }, rates)
  const trim = send(ranges.front, IoOp.Trim, 0, 256 * MiB)
  const zero = send(ranges.front, IoOp.WriteZeroes, 0, 64 * MiB)
  await clock.advance(400)
  expect(ranges.arrivals.map(({ at, length }) => [at / 1000, length / MiB])).toEqual(
    [0, 100, 200, 300, 400].map((at) => [at, 64]),
  )
  expect([trim.status, zero.status]).toEqual([OK, OK])

  const written = fixture({ clock, ...host }, rates, { writeZeroes: false, maxTransfer: MiB })
  const before = clock.now()
  const zeroes = send(written.front, IoOp.WriteZeroes, 0, 10 * MiB)
  await clock.advance(10_000)
  expect(zeroes.status).toBe(OK)
  expect(written.arrivals.map(({ at }) => (at - before) / 1e6)).toEqual(numbers(10))
})

it('a write that is durable by a flush behind it stays so', async () => {
  const { clock, ...host } = virtualHost(1)
  const { front, arrivals } = fixture({ clock, ...host }, { iops: 10, burst: 0 }, { fua: false })
  const write = send(front, IoOp.Write, 0, 512, IoFlag.Fua)
  send(front, IoOp.Read, 0)
  await clock.advance(150)
  expect(write.status).toBe(undefined)
  await clock.advance(50)
  expect(write.status).toBe(OK)
  expect(arrivals.map(({ op }) => op)).toEqual([IoOp.Write, IoOp.Read, IoOp.Flush])
})

it('other rates, lower, higher or none, count for what waits already, in its order', async () => {
  const { clock, ...host } = virtualHost(1)
  const { front, arrivals } = fixture({ clock, ...host }, { iops: 100, burst: 0 })
  for (const index of numbers(1000)) send(front, IoOp.Read, index * 512)
  await clock.advance(990)
  expect(arrivals).toHaveLength(100)
  front.setRates({ iops: 1000, burst: 0 })
  await clock.advance(500)
  expect(arrivals).toHaveLength(600)
  front.setRates({ iops: 10, burst: 0 })
  await clock.advance(1000)
  expect(arrivals).toHaveLength(610)
  expect(() => front.setRates({ iops: 0.5 })).toThrow('iops is 0.5; it must be a whole number of 1 or more')
  expect(front.rates).toEqual({ iops: 10, burst: 0 })
  front.setRates(undefined)
  send(front, IoOp.Read, 1000 * 512)
  expect(offsets(arrivals)).toEqual(numbers(1001))
  expect([front.rates, front.throttled, clock.timers]).toEqual([undefined, 0, 0])
})

it('what waits of a client that goes ends, its pieces too; the others move up', async () => {
  const { clock, ...host } = virtualHost(1)
  const { front, arrivals } = fixture({ clock, ...host }, { iops: 10, burst: 0 })
  const [gone, stays] = [new IoSource(1), new IoSource(2)]
  const sent = numbers(6).map((index) =>
    send(front, IoOp.Write, index * 2 ** 20, index === 2 ? 2 ** 18 : 512, 0, index % 2 === 0 ? gone : stays),
  )
  front.abandon(gone)
  await clock.advance(0)
  const { ECANCELED } = Errno
  expect(sent.map(({ status }) => status)).toEqual([OK, undefined, ECANCELED, undefined, ECANCELED, undefined])
  await clock.advance(300)
  expect(sent.map(({ status }) => status)).toEqual([OK, OK, ECANCELED, OK, ECANCELED, OK])
  expect(arrivals.map(({ offset }) => offset / 2 ** 20)).toEqual([0, 1, 3, 5])
  expect(sent.every(({ times }) => times === 1)).toBe(true)
})

it('of one that is in pieces and whose client goes, no piece goes any more', async () => {
  const { clock, ...host } = virtualHost(1)
  const { front, arrivals } = fixture({ clock, ...host }, { iops: 10, burst: 0 })
  const source = new IoSource(1)
  const whole = send(front, IoOp.Write, 0, 2 ** 20, 0, source)
  await clock.advance(250)
  expect(arrivals).toHaveLength(3)
  front.abandon(source)
  await clock.advance(1000)
  expect(whole.status).toBe(Errno.ECANCELED)
  expect(arrivals).toHaveLength(3)
})

it('closing lets what waits go at once; what comes later is refused', async () => {
  const { clock, ...host } = virtualHost(1)
  const { front, arrivals } = fixture({ clock, ...host }, { iops: 1, burst: 0 })
  const sent = [
    ...numbers(100).map((index) => send(front, IoOp.Read, index * 512)),
    send(front, IoOp.Write, 0, 2 ** 20),
  ]
  const closed = front.close()
  const late = send(front)
  await clock.runUntil(closed)
  expect(clock.now()).toBe(0)
  expect(sent.every(({ status }) => status === OK)).toBe(true)
  expect(late.status).toBe(Errno.ESHUTDOWN)
  expect(offsets(arrivals).slice(0, 100)).toEqual(numbers(100))
})

it('at random: in order, once each, none before its time and none a millisecond after it', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const { clock, random } = virtualHost(seed)
    const pick = createRandom(seed)
    const iops = randomInt(pick, 3) === 0 ? undefined : 1 + randomInt(pick, 10 ** (1 + randomInt(pick, 4)))
    const bytes = iops !== undefined && randomInt(pick, 2) === 0 ? undefined : 4096 * (1 + randomInt(pick, 5000))
    const burst = randomInt(pick, 200)
    const rates: Rates = { burst, ...(iops && { iops }), ...(bytes && { bytesPerSecond: bytes }) }
    const { front, arrivals } = fixture({ clock, random }, rates)
    const sent: Sent[] = []
    const asked: Arrival[] = []
    for (let round = 0; round < 20; round++) {
      for (let count = randomInt(pick, 20); count > 0; count--) {
        const [op, offset, length] = [randomInt(pick, 2) as IoOp, sent.length * 512, 512 * (1 + randomInt(pick, 128))]
        asked.push({ at: clock.now(), op, offset, length })
        sent.push(send(front, op, offset, length))
      }
      await clock.advance(randomInt(pick, 300))
    }
    const ideal = idealTimes(asked, rates as Required<Rates>)
    await clock.advance(Math.max(0, (ideal.at(-1) ?? 0) / 1000 + 2 - clock.now() / 1000))
    expect(offsets(arrivals), `seed ${seed}`).toEqual(numbers(sent.length))
    expect(sent.every(({ status, times }) => status === OK && times === 1)).toBe(true)
    expect([front.throttled, clock.timers]).toEqual([0, 0])
    const wrong = arrivals.findIndex(({ at }, index) => at < ideal[index]! - 0.2 || at > ideal[index]! + 1000)
    expect(wrong, `seed ${seed}: at ${arrivals[wrong]?.at} in place of ${ideal[wrong]}`).toBe(-1)
  }
})

/** When each may go, as a book would have it: a level that grows with time up to the burst. */
function idealTimes(asked: readonly Arrival[], { iops, bytesPerSecond, burst }: Required<Rates>): number[] {
  const buckets = [
    { rate: iops, cost: () => 1 },
    { rate: bytesPerSecond, cost: ({ length }: Arrival) => length },
  ]
    .filter(({ rate }) => rate !== undefined)
    .map((one) => ({ ...one, full: (one.rate * burst) / 1000, level: (one.rate * burst) / 1000, at: 0 }))
  let now = 0
  return asked.map((one) => {
    now = Math.max(now, one.at)
    for (const { rate, cost, full, level, at } of buckets) {
      const lacks = Math.min(cost(one), full) - level
      if (lacks > 0) now = Math.max(now, at + (lacks * 1e6) / rate)
    }
    for (const bucket of buckets) {
      bucket.level = Math.min(bucket.full, bucket.level + ((now - bucket.at) * bucket.rate) / 1e6) - bucket.cost(one)
      bucket.at = now
    }
    return now
  })
}

it('a clock that jumps, or a process that did not run, brings a tenth of a second more than the burst at most', () => {
  let now = 0
  let timer: (() => void) | undefined
  const clock = {
    now: () => now,
    after: (_: number, callback: () => void) => {
      timer = callback
      return { cancel: () => void (timer = undefined) }
    },
    defer: (callback: () => void) => queueMicrotask(callback),
  }
  const { front, arrivals } = fixture({ clock, random: () => 0 }, { iops: 1000, burst: 10 })
  for (const index of numbers(1000)) send(front, IoOp.Read, index * 512)
  expect(arrivals).toHaveLength(10)
  timer?.()
  expect(arrivals).toHaveLength(10)
  now = 3_600_000_000
  timer?.()
  expect(arrivals).toHaveLength(120)
  now += 20_000
  timer?.()
  expect(arrivals).toHaveLength(140)
})

it.each([
  [{ iops: 0 }, 'iops is 0; it must be a whole number of 1 or more'],
  [{ iops: Number.NaN }, 'iops is NaN; it must be a whole number of 1 or more'],
  [{ bytesPerSecond: 100 }, 'bytesPerSecond is 100; it must be a whole number of 4096 or more'],
  [{ iops: 1, burst: -1 }, 'burst is -1; it must be 0 to 3600000 milliseconds'],
  [{ burst: Number.POSITIVE_INFINITY }, 'burst is Infinity; it must be 0 to 3600000 milliseconds'],
] as const)('wrong rates are refused: %o', (rates, message) => {
  expect(() => fixture(virtualHost(1), rates)).toThrow(message)
})

it('rates without a number hold nothing back', () => {
  const { front, arrivals } = fixture(virtualHost(1), { burst: 5 })
  for (const index of numbers(100)) send(front, IoOp.Read, index * 512)
  expect([front.rates, arrivals.length]).toEqual([undefined, 100])
})
