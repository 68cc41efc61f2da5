import { describe, expect, it } from 'vitest'
import { Errno, Io, IoOp, NO_BUFFERS, OK } from '../../src/index.ts'
import { Budget } from '../../src/multipath/hedging/budget.ts'
import { scatter } from '../../src/multipath/hedging/scatter.ts'
import { Tail } from '../../src/multipath/hedging/tail.ts'
import type { FakePath, Rig, Sent } from '../support/rig.ts'
import { FakeTarget, LOST, open, send, virtualHost } from '../support/rig.ts'

const LEARNED = 400

/** Fills what a path has left of a read with the path's number, as views of its own. */
function answer(path: FakePath, index: number, status: number = OK): void {
  for (const io of path.held) if (io.buffers.length === 0) io.buffers = [new Uint8Array(io.length).fill(index + 1)]
  path.complete(status)
}

/** Paths that have taken 1.5 ms for each of their reads so far. */
async function learned(count = 2, more = {}): Promise<Rig> {
  const rig = await open(count, { multipath: { hedgeReads: true, ioTimeout: 10_000, keepAlive: 0, ...more } })
  for (let read = 0; read < LEARNED; read += count) {
    for (let index = 0; index < count; index++) send(rig.device)
    await rig.host.clock.advance(1.5)
    for (let index = 0; index < count; index++) answer(rig.target.path(index), index)
  }
  return rig
}

const byteOf = (sent: Sent): number | undefined => sent.io.buffers[0]?.[0]
const inflight = ({ device }: Rig): number[] => device.paths.map(({ inflight }) => inflight)

describe('a read that is slow for its path', () => {
  it('gets a second try on another path; the first answer wins, and the other one counts for its path', async () => {
    const rig = await learned()
    const { device, target, host } = rig
    const before = device.paths.map(({ ios }) => ios)
    const slow = send(device)
    await host.clock.advance(1)
    expect(target.path(1).held.length).toBe(0)
    await host.clock.advance(3)
    expect([target.path(0).held.length, target.path(1).held.length]).toEqual([1, 1])
    answer(target.path(1), 1)
    expect([slow.status, slow.times, byteOf(slow)]).toEqual([OK, 1, 2])
    expect([device.inflight, inflight(rig)]).toEqual([0, [1, 0]])
    const memory = slow.io.buffers[0]!
    await host.clock.advance(100)
    answer(target.path(0), 0)
    expect([slow.times, memory[0]]).toEqual([1, 2])
    expect(device.paths.map(({ ios, inflight, errors }) => [ios, inflight, errors])).toEqual(
      before.map((ios) => [ios + 1, 0, 0]),
    )
    expect(device.paths[0]!.latency).toBeGreaterThan(2 * device.paths[1]!.latency)
  })

  it('is answered by the first try where that is faster, and the second one counts, too', async () => {
    const rig = await learned()
    const slow = send(rig.device)
    await rig.host.clock.advance(4)
    answer(rig.target.path(0), 0)
    expect([slow.status, byteOf(slow), inflight(rig)]).toEqual([OK, 1, [0, 1]])
    answer(rig.target.path(1), 1, Errno.ENODATA)
    expect(rig.device.paths.map(({ errors, inflight }) => [errors, inflight])).toEqual([
      [0, 0],
      [1, 0],
    ])
    expect(byteOf(slow)).toBe(1)
  })

  it('gets views of the path that has answered, where its caller has given none', async () => {
    const { device, target, host } = await learned()
    const io = new Io()
    let ended: Uint8Array[] | undefined
    io.length = 512
    io.buffers = NO_BUFFERS
    io.done = ({ buffers }) => void (ended = buffers)
    device.submit(io)
    await host.clock.advance(4)
    answer(target.path(1), 1)
    expect([ended?.length, ended?.[0]?.[0]]).toEqual([1, 2])
  })

  it('is no reason for a third try, and none of those in flight but one in twenty has a second', async () => {
    const rig = await learned()
    const { device, target, host } = rig
    const seen = (): number => target.path(0).seen.length + target.path(1).seen.length
    const before = seen()
    const sent = Array.from({ length: 60 }, () => send(device))
    await host.clock.advance(50)
    expect(seen() - before).toBe(60 + 3)
    for (const index of [0, 1]) answer(target.path(index), index)
    expect(sent.every(({ status, times }) => status === OK && times === 1)).toBe(true)
    expect(inflight(rig)).toEqual([0, 0])
  })

  it('is not known on a path that has answered few, nor where there is one path, and writes never are', async () => {
    const few = await open(2, { multipath: { hedgeReads: true, ioTimeout: 10_000 } })
    send(few.device)
    await few.host.clock.advance(1000)
    expect(few.target.path(1).seen.length).toBe(0)
    const { device, target, host } = await learned()
    const seen = target.path(1).seen.length
    send(device, IoOp.Write)
    await host.clock.advance(1000)
    expect(target.path(1).seen.length).toBe(seen)
    await device.failPath('fake:1')
    const alone = send(device)
    expect(target.path(0).held.at(-1)!.buffers).toBe(alone.io.buffers)
  })
})

describe('of two tries', () => {
  it('one that fails leaves the read to the other one', async () => {
    for (const status of [LOST, Errno.ENODATA]) {
      for (const failing of [0, 1]) {
        const rig = await learned()
        const slow = send(rig.device)
        await rig.host.clock.advance(4)
        rig.target.path(failing).complete(status)
        expect(slow.status).toBeUndefined()
        expect(rig.device.paths[failing]).toMatchObject({ errors: 1, retries: 1, inflight: 0 })
        answer(rig.target.path(1 - failing), 1 - failing)
        expect([slow.status, slow.times, byteOf(slow)]).toEqual([OK, 1, 2 - failing])
        await rig.host.clock.advance(0)
        expect(rig.device.paths[failing]!.state).toBe(status === LOST ? 'waiting' : 'up')
      }
    }
  })

  it('both that fail have the read tried again, for as long as it may wait', async () => {
    const { device, target, host } = await learned(3, { noPathTimeout: 1000 })
    const slow = send(device)
    await host.clock.advance(4)
    const tried = [0, 1, 2].filter((index) => target.path(index).held.length > 0)
    expect(tried.length).toBe(2)
    for (const index of tried) target.path(index).complete(LOST)
    const last = target.path([0, 1, 2].find((index) => !tried.includes(index))!)
    expect(last.held.length).toBe(1)
    for (const index of [0, 1, 2]) target.refuse.set(`fake:${index}`, 'down')
    last.complete(LOST)
    await host.clock.advance(999)
    expect(slow.status).toBeUndefined()
    await host.clock.advance(2)
    expect([slow.status, slow.times]).toEqual([Errno.EIO, 1])
  })

  it('the loser that never ends fails its path, and goes with it', async () => {
    const rig = await learned(2, { ioTimeout: 1000 })
    const { device, target, host } = rig
    const slow = send(device)
    await host.clock.advance(4)
    answer(target.path(1), 1)
    expect(slow.status).toBe(OK)
    await host.clock.advance(990)
    expect(device.paths[0]!.state).toBe('up')
    const hung = target.path(0)
    target.path(0).keepsIos = true
    await host.clock.advance(20)
    expect(device.paths[0]).toMatchObject({ failures: 1, inflight: 0 })
    hung.complete()
    hung.complete()
    expect([slow.times, inflight(rig)[0]]).toEqual([1, 0])
  })

  it('the first that its fenced path still owes is answered by the second', async () => {
    const rig = await learned()
    const { device, target, host } = rig
    const slow = send(device)
    await host.clock.advance(4)
    const kept = target.path(0)
    kept.keepsIos = true
    await device.failPath('fake:0')
    expect([slow.status, inflight(rig)]).toEqual([undefined, [0, 1]])
    answer(target.path(1), 1)
    expect([slow.status, slow.times, byteOf(slow)]).toEqual([OK, 1, 2])
    kept.complete()
    expect([slow.times, device.inflight]).toEqual([1, 0])
  })

  it('neither outlives a close, a policy that is exchanged, nor a client that goes', async () => {
    const rig = await learned()
    const { device, target, host } = rig
    const slow = send(device)
    await host.clock.advance(4)
    device.setSelector(() => ({ name: 'first', update() {}, select: () => undefined }))
    const closing = device.close({ signal: AbortSignal.abort() })
    await host.clock.advance(10)
    await closing
    expect([slow.status, slow.times, inflight(rig)]).toEqual([Errno.ESHUTDOWN, 1, [0, 0]])
    expect(target.path(0).held.length + target.path(1).held.length).toBe(0)
  })

  it('the one that waits for room is not among: a full path gets no second try', async () => {
    const target = new FakeTarget(2)
    target.limits = { ...target.limits, queueDepth: 1 }
    const host = virtualHost(1)
    const rig = await open(2, { multipath: { hedgeReads: true, ioTimeout: 10_000 }, host }, target)
    for (let read = 0; read < LEARNED; read += 2) {
      send(rig.device)
      send(rig.device)
      await host.clock.advance(1.5)
      for (const index of [0, 1]) answer(target.path(index), index)
    }
    const both = [send(rig.device), send(rig.device), send(rig.device)]
    await host.clock.advance(10)
    expect(rig.device.paths.map(({ inflight }) => inflight)).toEqual([1, 1])
    for (const index of [0, 1, 0, 1, 0, 1]) answer(target.path(index), index)
    expect(both.map(({ status }) => status)).toEqual([OK, OK, OK])
  })
})

it('what is slow is learned: 99 in 100 are below, and it follows what changes', () => {
  const { random } = virtualHost(7)
  const tail = new Tail()
  for (let read = 0; read < 19; read++) tail.learn(100)
  expect(tail.value).toBe(Number.POSITIVE_INFINITY)
  for (let read = 0; read < 20_000; read++) tail.learn(1000 * random())
  expect(tail.value).toBeGreaterThan(850)
  expect(tail.value).toBeLessThan(1150)
  for (let read = 0; read < 100; read++) tail.learn(10_000)
  expect(tail.value).toBeGreaterThan(8000)
  for (let read = 0; read < 10_000; read++) tail.learn(10 * random())
  expect(tail.value).toBeLessThan(20)
})

it('second tries are one in twenty over time, however long nothing was slow', () => {
  const budget = new Budget()
  let spent = 0
  for (let read = 0; read < 10_000; read++) budget.earn()
  for (let read = 0; read < 1000; read++) {
    budget.earn()
    if (!budget.allows(1000)) continue
    budget.spend()
    budget.out--
    spent++
  }
  expect(spent).toBeGreaterThan(50)
  expect(spent).toBeLessThanOrEqual(50 + 16)
  const few = new Budget()
  for (let read = 0; read < 100; read++) few.earn()
  few.spend()
  expect([few.allows(39), few.allows(40)]).toEqual([false, true])
})

it('views of any lengths are copied into views of any others', () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, index) => index)
  const cut = (from: Uint8Array, at: readonly number[]): Uint8Array[] =>
    [0, ...at].map((start, index) => from.subarray(start, [...at, from.length][index]))
  for (const [one, other] of [
    [[], [10]],
    [
      [10, 10, 50],
      [50, 51],
    ],
    [[99], [1]],
  ] as const) {
    const into = new Uint8Array(100)
    scatter(cut(bytes, one), cut(into, other))
    expect(into).toEqual(bytes)
  }
})
