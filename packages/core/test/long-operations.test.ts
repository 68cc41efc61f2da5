import { expect, it } from 'vitest'
import type { Io } from '../src/index.ts'
import { IoFlag, IoOp, OK, userDevice } from '../src/index.ts'
import { FakeTarget, LIMITS, open, send, virtualHost } from './support/rig.ts'

const GIB = 2 ** 30
const SECOND = 1_000_000

/** Two paths to an array that works off one command after another, each in the time that `cost` tells, µs. */
async function openSlow(cost: (io: Io) => number, multipath = {}) {
  const host = virtualHost(1)
  const target = new FakeTarget(2)
  target.limits = { ...LIMITS, size: 16 * GIB }
  let busyUntil = 0
  target.prepare = (path) => {
    path.submit = (io) => {
      path.seen.push([io.op, io.offset, io.length])
      busyUntil = Math.max(busyUntil, host.clock.now()) + cost(io)
      host.clock.after((busyUntil - host.clock.now()) / 1000, () => {
        if (!path.closed) io.done(io, OK)
      })
    }
  }
  const { device } = await open(2, { host, multipath }, target)
  return { device, target, host, user: userDevice(device, host.clock) }
}

/** At 100 MB a second. */
const transferTime = ({ op, length }: Io): number => (op === IoOp.Flush ? 0 : length / 100)

const failures = ({ paths }: { readonly paths: readonly { readonly failures: number }[] }): number[] =>
  paths.map((path) => path.failures)

it('zeroing 4 GiB on an array that needs 40 s for it fails no path', async () => {
  const { device, user, host } = await openSlow(transferTime)
  expect(await host.clock.runUntil(send(user, IoOp.WriteZeroes, 0, 4 * GIB).ended)).toBe(OK)
  // Nor does one that takes longer than any time-out.
  expect(await host.clock.runUntil(send(user, IoOp.WriteZeroes, 0, 16 * GIB).ended)).toBe(OK)
  expect(failures(device)).toEqual([0, 0])
})

it('a trim of any length goes in pieces that end where granules do, and a flush makes it durable', async () => {
  const { target, user, host } = await openSlow(transferTime)
  const mib = 2 ** 20
  const sent = send(user, IoOp.Trim, 63 * mib, 130 * mib, IoFlag.Fua)
  expect(await host.clock.runUntil(sent.ended)).toBe(OK)
  const seen = [...target.paths.values()].flatMap((path) => path.seen)
  expect(seen.map(([op, offset, length]) => [op, offset / mib, length / mib]).sort(([, a], [, b]) => a! - b!)).toEqual([
    [IoOp.Flush, 0, 0],
    [IoOp.Trim, 63, 1],
    [IoOp.Trim, 64, 64],
    [IoOp.Trim, 128, 64],
    [IoOp.Trim, 192, 1],
  ])
})

it('other I/O is served while a long zeroing goes on', async () => {
  const { user, host } = await openSlow(transferTime)
  const zeroes = send(user, IoOp.WriteZeroes, 0, 4 * GIB)
  const begun = host.clock.now()
  expect(await host.clock.runUntil(send(user, IoOp.Read, 8 * GIB).ended)).toBe(OK)
  expect(host.clock.now() - begun).toBeLessThan(2 * SECOND)
  expect(zeroes.status).toBe(undefined)
})

it('a flush of 60 s fails no path, and a path that never answers one fails after flushTimeout', async () => {
  const { device, user, host } = await openSlow(({ op }) => (op === IoOp.Flush ? 60 * SECOND : 0))
  expect(await host.clock.runUntil(send(user, IoOp.Flush, 0, 0).ended)).toBe(OK)
  expect(failures(device)).toEqual([0, 0])

  const hung = await openSlow(({ op }) => (op === IoOp.Flush ? 1e12 : 0), { flushTimeout: 90_000 })
  void send(hung.user, IoOp.Flush, 0, 0)
  await hung.host.clock.advance(89_000)
  expect(failures(hung.device)).toEqual([0, 0])
  await hung.host.clock.advance(15_000)
  expect(failures(hung.device)).toEqual([1, 0])
})

it.each([
  ['trimTimeout', IoOp.Trim],
  ['zeroTimeout', IoOp.WriteZeroes],
] as const)('%s is how long a piece may take, and ioTimeout stays that of reads and writes', async (option, op) => {
  const multipath = { ioTimeout: 1000, [option]: 10_000 }
  const { device, user, host } = await openSlow((io) => (io.op === op ? 1e12 : 0), multipath)
  void send(user, op, 0, 4096)
  await host.clock.advance(9_000)
  expect(failures(device)).toEqual([0, 0])
  await host.clock.advance(2000)
  expect(failures(device)).toEqual([1, 0])

  const reads = await openSlow(() => 1e12, multipath)
  void send(reads.user, IoOp.Read)
  await reads.host.clock.advance(1300)
  expect(failures(reads.device)).toEqual([1, 0])
})

it('ioTimeout 0 watches nothing, unless a time-out of its own is set', async () => {
  const { device, user, host } = await openSlow(() => 1e12, { ioTimeout: 0, zeroTimeout: 1000 })
  void send(user, IoOp.Flush, 0, 0)
  await host.clock.advance(600_000)
  expect(failures(device)).toEqual([0, 0])
  void send(user, IoOp.WriteZeroes, 0, 4096)
  await host.clock.advance(1300)
  expect(failures(device)).toEqual([0, 1])
})

it.each(['flushTimeout', 'trimTimeout', 'zeroTimeout'])('a wrong %s is refused by its name', async (option) => {
  await expect(open(1, { multipath: { [option]: -1 } })).rejects.toThrow(`${option} is -1; it must be 0 to`)
})
