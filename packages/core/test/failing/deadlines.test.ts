import { expect, it } from 'vitest'
import { IoOp, IoSource } from '../../src/index.ts'
import { LOST, open, send, virtualHost } from '../support/rig.ts'

const TIMES = { ioTimeout: 1000, flushTimeout: 5000, trimTimeout: 7000, zeroTimeout: 9000, keepAlive: 0 }

for (const [op, limit] of [
  [IoOp.Read, 1000],
  [IoOp.Write, 1000],
  [IoOp.Flush, 5000],
  [IoOp.Trim, 7000],
  [IoOp.WriteZeroes, 9000],
] as const) {
  it(`op ${op} fails its path after its own time, to the millisecond, whatever else is in flight`, async () => {
    const { device, target, host } = await open(3, { multipath: TIMES })
    for (let at = 0; at < limit - 700; at += 350) {
      // On paths 1 and 2: what is in flight there ends in time.
      if (at === 0) send(device, op)
      for (let sent = 0; sent < 2; sent++) send(device, IoOp.Read)
      await host.clock.advance(350)
      target.path(1).complete()
      target.path(2).complete()
      if (at > 0) target.path(0).complete(undefined, 0)
      for (const io of target.path(0).held.splice(1)) io.done(io, 0)
    }
    const begun = Math.ceil((limit - 700) / 350) * 350
    await host.clock.advance(limit - begun - 1)
    expect(device.paths[0]!.state).toBe('up')
    await host.clock.advance(2)
    expect(device.paths[0]!.state).not.toBe('up')
  })
}

it('looks no more once nothing is in flight, and nothing waits', async () => {
  const host = virtualHost(1)
  let pending = 0
  const { after } = host.clock
  host.clock.after = (milliseconds, callback) => {
    pending++
    let ended = false
    const end = (): void => {
      if (!ended) pending--
      ended = true
    }
    const timer = after.call(host.clock, milliseconds, () => {
      end()
      callback()
    })
    return {
      cancel() {
        end()
        timer.cancel()
      },
    }
  }
  const { device, target } = await open(2, { multipath: { ...TIMES, slow: false }, host })
  await host.clock.advance(5000)
  expect(pending).toBe(0)
  for (let index = 0; index < 100; index++) send(device)
  expect(pending).toBe(1)
  target.completeAll()
  await host.clock.advance(2000)
  expect(pending).toBe(0)
})

it('what hangs on one path is moved: reads at once, writes after the fence, in order', async () => {
  const { device, target, host } = await open(2, { multipath: TIMES })
  let fenced: () => void = () => {}
  target.path(0).fence = new Promise((resolve) => (fenced = resolve))
  target.refuse.set('fake:0', 'down')
  for (let block = 0; block < 8; block++) send(device, block % 4 < 2 ? IoOp.Read : IoOp.Write, block * 512)
  target.path(1).complete()
  const before = target.path(1).seen.length
  await host.clock.advance(1001)
  const moved = (): number[] =>
    target
      .path(1)
      .seen.slice(before)
      .map(([, offset]) => offset / 512)
  expect(moved()).toEqual([0, 4])
  expect(device.paths[0]).toMatchObject({ state: 'fencing', held: { ios: 2, bytes: 1024 } })
  await host.clock.advance(500)
  fenced()
  await host.clock.advance(0)
  expect(moved()).toEqual([0, 4, 2, 6])
})

// What goes on while ends are told must see each I/O once, whatever it does with it.
it.each([1, 2, 3, 4, 5, 6, 7, 8])('each I/O ends once at random ends of waits, seed %i', async (seed) => {
  const host = virtualHost(seed)
  const { random } = host
  const multipath = { noPathTimeout: 40, ioTimeout: 15, reconnectDelay: 2, reconnectDelayMax: 8, maxParked: 20 }
  const { device, target } = await open(3, { multipath: { ...multipath, hedgeReads: seed % 2 === 0 }, host })
  const counts: number[] = []
  const sources = [new IoSource(1), new IoSource(2), null]
  const submit = (depth: number): void => {
    const index = counts.push(0) - 1
    const source = sources[Math.floor(random() * 3)]!
    const op = [IoOp.Read, IoOp.Write, IoOp.Flush, IoOp.Trim][Math.floor(random() * 4)]!
    const flags = random() < 0.2 ? 8 : 0
    const { io } = send(device, op, Math.floor(random() * 8) * 512, op === IoOp.Flush ? 0 : 512, flags, source)
    io.done = () => {
      counts[index]!++
      if (depth > 0 && random() < 0.5) submit(depth - 1)
      if (random() < 0.01) void device.failPath('fake:1').catch(() => {})
    }
  }
  for (let round = 0; round < 400; round++) {
    for (let sent = 0; sent < 3; sent++) submit(3)
    for (const path of target.paths.values()) {
      if (random() < 0.6)
        for (const io of path.held) if (io.buffers.length === 0) io.buffers = [new Uint8Array(io.length)]
      if (random() < 0.6) path.complete(random() < 0.05 ? LOST : 0, 1 + Math.floor(random() * 4))
    }
    if (random() < 0.05) for (const path of target.paths.values()) path.events.emit('down', new Error('gone'))
    if (random() < 0.05) for (const id of ['fake:0', 'fake:1']) target.refuse.set(id, 'down')
    if (random() < 0.1) target.refuse.clear()
    if (random() < 0.1) device.restorePath('fake:1')
    if (round === 200) device.abandon!(sources[0] as IoSource)
    await host.clock.advance(random() * 4)
  }
  target.refuse.clear()
  target.prepare = (path) => {
    path.auto = true
  }
  const closing = device.close({ signal: AbortSignal.abort() })
  await host.clock.advance(1000)
  await closing
  expect(counts.every((count) => count === 1)).toBe(true)
  expect([device.inflight, device.parked, device.queued, device.parkedBytes]).toEqual([0, 0, 0, 0])
  expect(device.paths.every(({ inflight }) => inflight === 0)).toBe(true)
})
