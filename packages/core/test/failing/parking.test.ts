import { describe, expect, it } from 'vitest'
import type { ParkingDetail } from '../../src/index.ts'
import { Errno, IoFlag, IoOp, IoSource, OK } from '../../src/index.ts'
import type { Rig, Sent } from '../support/rig.ts'
import { FakeTarget, LOST, open, send } from '../support/rig.ts'

const offsets = (rig: Rig, index: number): number[] => rig.target.path(index).seen.map(([, offset]) => offset / 512)

/** No path is usable, and none comes back before `allowAll`. */
async function stalled(rig: Rig): Promise<void> {
  for (const { id } of rig.target.infos) rig.target.refuse.set(id, 'down')
  for (const path of rig.target.paths.values()) path.events.emit('down', new Error('gone'))
  await rig.host.clock.advance(0)
  expect(rig.device.state).toBe('stalled')
}

async function back(rig: Rig): Promise<void> {
  rig.target.refuse.clear()
  for (const { id } of rig.target.infos) rig.device.restorePath(id)
  await rig.host.clock.advance(0)
}

const read = (rig: Rig, block: number, source: IoSource | null = null): Sent =>
  send(rig.device, IoOp.Read, block * 512, 512, 0, source)

describe('what waits goes on in the order in which it arrived', () => {
  it('whoever sent it, and whether it was in flight, waited for room or came later', async () => {
    const target = new FakeTarget(1)
    target.limits = { ...target.limits, queueDepth: 3 }
    const rig = await open(1, {}, target)
    const clients = [new IoSource(1), new IoSource(2)]
    for (let block = 0; block < 6; block++) read(rig, block, clients[block % 2]!)
    expect([rig.device.queued, rig.device.parked]).toEqual([3, 0])
    await stalled(rig)
    for (let block = 6; block < 9; block++) read(rig, block, clients[block % 2]!)
    expect([rig.device.queued, rig.device.parked]).toEqual([0, 9])
    await back(rig)
    expect(offsets(rig, 0)).toEqual([0, 1, 2])
    expect([rig.device.queued, rig.device.parked]).toEqual([6, 0])
    // What comes now stands behind what has waited.
    read(rig, 9)
    for (let round = 0; round < 4; round++) target.path(0).complete()
    expect(offsets(rig, 0)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it('writes that waited for a fence go before reads that came after them and wait for room', async () => {
    const target = new FakeTarget(2)
    target.limits = { ...target.limits, queueDepth: 2 }
    const rig = await open(2, {}, target)
    let fenced: () => void = () => {}
    target.path(0).fence = new Promise((resolve) => (fenced = resolve))
    for (let block = 0; block < 4; block++) send(rig.device, IoOp.Write, block * 512)
    target.refuse.set('fake:0', 'down')
    target.path(0).complete(LOST, 1)
    expect(rig.device.parked).toBe(2)
    for (let block = 4; block < 7; block++) read(rig, block)
    expect(rig.device.queued).toBe(3)
    fenced()
    await rig.host.clock.advance(0)
    for (let round = 0; round < 4; round++) target.path(1).complete()
    expect(offsets(rig, 1)).toEqual([1, 3, 0, 2, 4, 5, 6])
  })

  it('what is sent from inside a `done` does not go first', async () => {
    const target = new FakeTarget(1)
    target.limits = { ...target.limits, queueDepth: 1 }
    const rig = await open(1, { multipath: { noPathTimeout: 1000 } }, target)
    await stalled(rig)
    const first = read(rig, 0)
    const { done } = first.io
    first.io.done = (io, status) => {
      done(io, status)
      read(rig, 9)
    }
    await rig.host.clock.advance(500)
    for (let block = 1; block < 4; block++) read(rig, block)
    await rig.host.clock.advance(501)
    expect(first.status).toBe(Errno.EIO)
    await back(rig)
    for (let round = 0; round < 4; round++) target.path(0).complete()
    expect(offsets(rig, 0)).toEqual([1, 2, 3, 9])
  })
})

describe('what waits is bounded', () => {
  it('in number: more ends with EIO at once, but not from inside submit', async () => {
    const rig = await open(2, { multipath: { maxParked: 3 } })
    const expired: number[] = []
    rig.device.events.on('resumed', (detail) => expired.push(detail.expired))
    await stalled(rig)
    const sent = Array.from({ length: 5 }, (_, block) => read(rig, block))
    expect(sent.map(({ status }) => status)).toEqual(Array(5).fill(undefined))
    await rig.host.clock.advance(0)
    expect(sent.map(({ status, times }) => [status, times])).toEqual([
      ...Array(3).fill([undefined, 0]),
      ...Array(2).fill([Errno.EIO, 1]),
    ])
    expect(rig.device).toMatchObject({ parked: 3, parkedBytes: 3 * 512, refused: 2 })
    await back(rig)
    rig.target.completeAll()
    expect(sent.map(({ status }) => status)).toEqual([OK, OK, OK, Errno.EIO, Errno.EIO])
    expect(expired).toEqual([2])
  })

  it('in bytes of reads and writes', async () => {
    const rig = await open(2, { multipath: { maxParkedBytes: 8192 } })
    await stalled(rig)
    const sent = [
      send(rig.device, IoOp.Write, 0, 4096),
      send(rig.device, IoOp.Read, 0, 4096),
      send(rig.device, IoOp.Read, 0, 512),
      send(rig.device, IoOp.Trim, 0, 65_536),
      send(rig.device, IoOp.Flush),
    ]
    await rig.host.clock.advance(0)
    expect(sent.map(({ status }) => status)).toEqual([undefined, undefined, Errno.EIO, undefined, undefined])
  })

  it('also of what is in flight, or waits for room, when the last path goes: the first that arrived stay', async () => {
    const target = new FakeTarget(1)
    target.limits = { ...target.limits, queueDepth: 2 }
    const rig = await open(1, { multipath: { maxParked: 3 } }, target)
    const sent = Array.from({ length: 5 }, (_, block) => read(rig, block))
    await stalled(rig)
    await rig.host.clock.advance(0)
    expect(sent.filter(({ status }) => status === Errno.EIO).length).toBe(2)
    expect([rig.device.parked, rig.device.refused]).toEqual([3, 2])
  })

  it('a write that may not wait for its fence leaves its range guarded', async () => {
    const rig = await open(2, { multipath: { maxParked: 0 } })
    rig.target.path(0).fence = new Promise(() => {})
    const write = send(rig.device, IoOp.Write, 4096)
    rig.target.path(0).complete(LOST)
    await rig.host.clock.advance(0)
    expect(write.status).toBe(Errno.EIO)
    expect(rig.device.guards).toMatchObject([{ offset: 4096, length: 512, path: 'fake:0' }])
  })

  it('in time, to the millisecond, however many wait', async () => {
    const rig = await open(2, { multipath: { noPathTimeout: 1000 } })
    await stalled(rig)
    const ends: number[] = []
    for (let block = 0; block < 200; block++) {
      const due = rig.host.clock.now() + 1_000_000
      const { io } = read(rig, block)
      io.done = () => ends.push(rig.host.clock.now() - due)
      await rig.host.clock.advance(3)
    }
    await rig.host.clock.advance(1100)
    expect(ends.length).toBe(200)
    expect(Math.min(...ends)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...ends)).toBeLessThanOrEqual(1000)
  })
})

describe('the event `parking`', () => {
  async function heard(noPathTimeout = 30_000): Promise<{ rig: Rig; news: ParkingDetail[] }> {
    const rig = await open(2, { multipath: { noPathTimeout } })
    const news: ParkingDetail[] = []
    rig.device.events.on('parking', (detail) => news.push(detail))
    return { rig, news }
  }

  it('tells once that half of noPathTimeout is over, with what waits', async () => {
    const { rig, news } = await heard()
    await stalled(rig)
    await rig.host.clock.advance(5000)
    read(rig, 0)
    await rig.host.clock.advance(1000)
    send(rig.device, IoOp.Write, 0, 4096)
    await rig.host.clock.advance(13_990)
    expect(news).toEqual([])
    await rig.host.clock.advance(20)
    expect(news).toEqual([{ parked: 2, bytes: 4608, waited: 15_000, left: 15_000 }])
    await rig.host.clock.advance(20_000)
    expect([news.length, rig.device.parked]).toEqual([1, 0])
  })

  it('tells it once of an I/O that stalls and resumes all the while', async () => {
    const { rig, news } = await heard(1000)
    await stalled(rig)
    read(rig, 0)
    await rig.host.clock.advance(600)
    for (let round = 0; round < 3; round++) {
      await back(rig)
      await stalled(rig)
      await rig.host.clock.advance(50)
    }
    expect([news.length, rig.device.parked]).toEqual([1, 1])
  })

  it('tells it again where something waits anew, also soon after', async () => {
    const { rig, news } = await heard(1000)
    for (let round = 1; round < 4; round++) {
      await stalled(rig)
      read(rig, 0)
      await rig.host.clock.advance(600)
      expect(news.length).toBe(round)
      await back(rig)
      rig.target.completeAll()
    }
  })

  it('tells it of a write whose fence takes long, and `held` of its path says how many wait', async () => {
    const { rig, news } = await heard(10_000)
    rig.target.path(0).fence = new Promise(() => {})
    rig.target.path(0).fenceBy = { by: 'time', assumed: true }
    const since = rig.host.clock.now()
    send(rig.device, IoOp.Write, 0, 4096)
    rig.target.path(0).complete(LOST)
    await rig.host.clock.advance(5001)
    expect(news).toMatchObject([{ parked: 1, bytes: 4096 }])
    expect(rig.device.paths[0]).toMatchObject({ state: 'fencing', since, held: { ios: 1, bytes: 4096 } })
    expect(rig.device.paths[0]!.reason).toMatch(/waits for its fence: time, assumed$/)
    expect(rig.device.paths[1]!.held).toBeUndefined()
    await rig.host.clock.advance(5001)
    expect(rig.device.paths[0]!.held).toBeUndefined()
  })
})

describe('an I/O that is to fail fast', () => {
  const fast = (rig: Rig, op: IoOp, offset = 0, source: IoSource | null = null): Sent =>
    send(rig.device, op, offset, 512, IoFlag.FailFast, source)

  it('ends with EIO at once without a path, and others wait', async () => {
    const rig = await open(2)
    await stalled(rig)
    const sent = [IoOp.Read, IoOp.Write, IoOp.Trim, IoOp.Flush].map((op) => fast(rig, op))
    const patient = read(rig, 0)
    await rig.host.clock.advance(0)
    expect(sent.map(({ status }) => status)).toEqual(Array(4).fill(Errno.EIO))
    expect([patient.status, rig.device.refused]).toEqual([undefined, 0])
  })

  it('is tried on another path where that may be at once, and no path sees the flag', async () => {
    const rig = await open(2)
    rig.target.path(0).fence = new Promise(() => {})
    const flags: number[] = []
    const { submit } = rig.target.path(0)
    rig.target.path(0).submit = function (io) {
      flags.push(io.flags)
      submit.call(this, io)
    }
    const [one, , other] = [fast(rig, IoOp.Read), fast(rig, IoOp.Read), fast(rig, IoOp.Write, 4096)]
    expect(flags).toEqual([0, 0])
    rig.target.path(0).complete(LOST)
    await rig.host.clock.advance(0)
    rig.target.path(1).complete()
    expect([one!.status, other!.status]).toEqual([OK, Errno.EIO])
    expect(rig.device.guards.length).toBe(1)
  })

  it('ends at once behind a guard, and behind an earlier change as soon as that is in trouble', async () => {
    const rig = await open(2)
    rig.target.path(0).fence = new Promise(() => {})
    const [old, young] = [new IoSource(1), new IoSource(2)]
    const earlier = send(rig.device, IoOp.Write, 0, 512, 0, old)
    const behind = fast(rig, IoOp.Write, 0, young)
    await rig.host.clock.advance(1000)
    expect([behind.status, rig.device.parked]).toEqual([undefined, 1])
    rig.target.path(0).complete(LOST)
    await rig.host.clock.advance(0)
    expect([earlier.status, behind.status, rig.device.parked]).toEqual([undefined, Errno.EIO, 1])
    const later = fast(rig, IoOp.Write, 0, young)
    await rig.host.clock.advance(0)
    expect(later.status).toBe(Errno.EIO)
  })
})

describe('at the edges nothing is lost, and nothing is done twice', () => {
  it('a device that is closed, or a client that goes, while something is about to end', async () => {
    const rig = await open(2, { multipath: { maxParked: 1 } })
    await stalled(rig)
    const client = new IoSource(5)
    const sent = [read(rig, 0), read(rig, 1, client), read(rig, 2)]
    rig.device.abandon!(client)
    const closing = rig.device.close({ signal: AbortSignal.abort() })
    await rig.host.clock.advance(10)
    await closing
    expect(sent.map(({ times }) => times)).toEqual([1, 1, 1])
    expect(sent.map(({ status }) => status)).toEqual([Errno.ESHUTDOWN, Errno.ECANCELED, Errno.EIO])
    expect([rig.device.parked, rig.device.queued, rig.device.inflight]).toEqual([0, 0, 0])
  })

  it('a policy that takes the last path out inside select, with others waiting for room', async () => {
    const target = new FakeTarget(1)
    target.limits = { ...target.limits, queueDepth: 2 }
    const rig = await open(1, {}, target)
    const sent = Array.from({ length: 4 }, (_, block) => read(rig, block))
    rig.device.setSelector(() => ({
      name: 'hostile',
      update() {},
      select() {
        void rig.device.failPath('fake:0').catch(() => {})
        return undefined
      },
    }))
    target.path(0).complete(OK, 1)
    await rig.host.clock.advance(0)
    expect([rig.device.state, rig.device.parked]).toEqual(['stalled', 3])
    rig.device.setSelector(() => ({ name: 'none', update() {}, select: () => undefined }))
    await back(rig)
    for (let round = 0; round < 3; round++) rig.target.completeAll()
    expect(sent.map(({ status, times }) => [status, times])).toEqual(Array(4).fill([OK, 1]))
    expect(offsets(rig, 0)).toEqual([1, 2, 3])
  })
})
