import { getEventListeners } from 'node:events'
import { expect, it, vi } from 'vitest'
import type { PathSelector, PathView } from '../src/index.ts'
import { Errno, IoOp, OK, PATH_ERROR, userDevice } from '../src/index.ts'
import { FakeTarget, inTurn, LIMITS, LOST, open, openGuarded, send, VOLUME } from './support/rig.ts'

it('queued I/O is never sent to the path that is being closed', async () => {
  const target = new FakeTarget(2)
  target.limits = { ...LIMITS, queueDepth: 2 }
  const { device, host } = await open(2, {}, target)
  const sent = Array.from({ length: 8 }, (_, i) => send(device, IoOp.Write, i * 512))
  expect(device.queued).toBe(4)
  target.path(0).complete(LOST, 1)
  for (let round = 0; round < 50 && sent.some(({ status }) => status === undefined); round++) {
    await host.clock.advance(10)
    for (const p of target.paths.values()) if (!p.closed) p.complete()
  }
  expect(sent.map(({ status }) => status)).toEqual(Array(8).fill(OK))
})
it('a read in flight is not retried on the path that is being closed', async () => {
  const target = new FakeTarget(2)
  const { device, host } = await open(2, {}, target)
  const sent = Array.from({ length: 8 }, (_, i) => send(device, IoOp.Read, i * 512))
  target.path(0).events.emit('down', new Error('x'))
  for (let round = 0; round < 50 && sent.some(({ status }) => status === undefined); round++) {
    await host.clock.advance(10)
    for (const p of target.paths.values()) if (!p.closed) p.complete()
  }
  expect(sent.map(({ status }) => status)).toEqual(Array(8).fill(OK))
})
it('noPathTimeout 0 still fails a read over to a healthy path', async () => {
  const { device, target, host } = await open(2, { multipath: { noPathTimeout: 0 } })
  await host.clock.advance(10)
  const sent = send(device)
  target.path(0).complete(LOST)
  await host.clock.advance(1)
  target.path(1).complete()
  expect(sent.status).toBe(OK)
})
it('an I/O parked later with an earlier deadline expires at its own deadline', async () => {
  const { device, target, host } = await open(2, {
    multipath: { noPathTimeout: 3000, reconnectDelay: 1, reconnectDelayMax: 1, ioTimeout: 0 },
  })
  const a = send(device, IoOp.Read) // path 0
  target.refuse.set('fake:0', 'x').set('fake:1', 'x')
  target.path(0).complete(LOST) // a: deadline t=3000, now in flight on path 1
  await host.clock.advance(2000)
  // something else is held at t=2000: deadline 5000
  target.path(1).fence = new Promise(() => {})
  const w = send(device, IoOp.Write)
  target.path(1).complete(LOST, 1) // completes `a` with LOST first? order: a first
  await host.clock.advance(1100) // t = 3100
  expect(a.status).toBe(Errno.EIO)
  void w
})
it('the same, with the timer started by the later deadline first', async () => {
  const { device, target, host } = await open(3, { multipath: { noPathTimeout: 3000, ioTimeout: 0 } })
  const a = send(device, IoOp.Read) // path 0
  for (const i of [0, 1, 2]) target.refuse.set(`fake:${i}`, 'x')
  target.path(0).complete(LOST) // a: deadline t=3000; in flight on 1 or 2
  await host.clock.advance(2000)
  const at = target.path(1).held.length > 0 ? 1 : 2
  const other = at === 1 ? 2 : 1
  // a write held by the other path's fence: its deadline is 5000, and the timer is set for it
  target.path(other).fence = new Promise(() => {})
  let w = send(device, IoOp.Write)
  if (target.path(other).held.length === 0) w = send(device, IoOp.Write)
  target.path(other).complete(LOST)
  await host.clock.advance(100)
  target.path(at).complete(LOST) // a has no path any more at t=2100; its deadline is 3000
  await host.clock.advance(1000) // t=3100
  expect(a.status).toBe(Errno.EIO)
  void w
})
it('a second done of one attempt does not merge two later I/Os', async () => {
  const { device, target } = await open(1)
  const first = send(device)
  const io = target.path(0).held[0]!
  target.path(0).complete()
  io.done(io, OK) // a broken path says it again
  const a = send(device, IoOp.Write, 512)
  const b = send(device, IoOp.Write, 1024)
  expect(target.path(0).held.map(({ offset }) => offset)).toEqual([512, 1024])
  target.path(0).complete()
  expect([first.times, a.times, b.times]).toEqual([1, 1, 1])
})
it('an I/O submitted inside a policyFault listener that fails the last path is parked, not thrown', async () => {
  const { device, target } = await open(1)
  device.setSelector(() => ({ name: 'bad', update: () => {}, select: () => undefined }))
  device.events.on('policyFault', () => void device.failPath('fake:0'))
  expect(() => send(device)).not.toThrow()
  expect(device.parked).toBe(1)
  void target
})
it('a parked I/O is never larger than what the path takes it is sent to', async () => {
  const target = new FakeTarget(2)
  target.prepare = (p) => {
    if (p.id === 'fake:1') p.limits = { ...LIMITS, maxTransfer: 4096, fua: false, trim: false }
  }
  target.refuse.set('fake:1', 'down')
  const { device, host } = await open(2, {}, target)
  expect(device.limits.maxTransfer).toBe(65536)
  const user = userDevice(device, host.clock)
  target.refuse.set('fake:0', 'down')
  target.path(0).events.emit('down', new Error('gone'))
  send(user, IoOp.Write, 0, 65536)
  send(user, IoOp.Trim, 0, 65536)
  target.refuse.delete('fake:1')
  await host.clock.advance(20_000)
  const seen = target.path(1).seen
  expect(seen.filter(([op, , length]) => op === IoOp.Trim || length > 4096)).toEqual([])
})
it('a retried I/O is never larger than what the path takes (path flaps)', async () => {
  const target = new FakeTarget(2)
  target.prepare = (p) => {
    if (p.id === 'fake:1') p.limits = { ...LIMITS, maxTransfer: 4096 }
  }
  const { device, host } = await open(2, {}, target)
  expect(device.limits.maxTransfer).toBe(4096)
  const user = userDevice(device, host.clock)
  target.path(1).events.emit('down', new Error('gone')) // limits rise to 64 KiB
  await host.clock.advance(0)
  const sent = send(user, IoOp.Read, 0, 65536)
  await host.clock.advance(1000) // path 1 is back
  target.path(0).complete(LOST)
  await host.clock.advance(10)
  expect(target.path(1).seen.filter(([, , length]) => length > 4096)).toEqual([])
  void sent
})
it('device.submit from a path listener during close ends with ESHUTDOWN', async () => {
  const { device, host } = await open(1)
  const sent: ReturnType<typeof send>[] = []
  device.events.on('path', ({ state }) => {
    if (state === 'fencing') sent.push(send(device))
  })
  const closing = device.close()
  await host.clock.runUntil(closing)
  await host.clock.advance(10)
  expect(sent.map(({ status }) => status)).toEqual([Errno.ESHUTDOWN])
})
it('addPath from a path listener during close leaves no path behind', async () => {
  const { device, host, target } = await open(1)
  const extra = new FakeTarget(1, 'other')
  device.events.on('path', ({ state }) => {
    if (state === 'fencing') for (const s of extra.sources) device.addPath(s)
  })
  await host.clock.runUntil(device.close())
  await host.clock.advance(100)
  expect(extra.connects).toEqual([])
  void target
})
it('a second standby path is asked when the first refuses to become active', async () => {
  const target = new FakeTarget(2)
  target.prepare = (path) => {
    path.access = 'standby'
    path.activate = async () => {
      if (path.id === 'fake:0') throw new Error('this controller cannot take over')
      path.setAccess('optimized')
    }
  }
  const { device, host } = await open(2, {}, target)
  const sent = send(device)
  await host.clock.advance(5_000)
  if (target.path(1).held.length > 0) target.path(1).complete()
  expect(sent.status).toBe(OK)
})
it('an activate that hangs does not keep the other standby path out', async () => {
  const target = new FakeTarget(2)
  target.prepare = (path) => {
    path.access = 'standby'
    path.activate = async () => {
      if (path.id === 'fake:0') await new Promise(() => {})
      path.setAccess('optimized')
    }
  }
  const { device, host } = await open(2, {}, target)
  const sent = send(device)
  await host.clock.advance(2_000)
  target.path(0).events.emit('down', new Error('dead')) // even when that path has died
  target.refuse.set('fake:0', 'dead')
  await host.clock.advance(20_000)
  if (target.path(1).held.length > 0) target.path(1).complete()
  expect(sent.status).toBe(OK)
})
it('NOT_EXECUTED during close leaves no timer', async () => {
  const target = new FakeTarget(1)
  const { device, host } = await open(1, { multipath: { reconnectDelay: 5000 } }, target)
  const p = target.path(0)
  p.close = async () => {
    p.closed = true
    p.complete(Errno.ESHUTDOWN | PATH_ERROR | 0x2_0000)
  }
  send(device)
  await host.clock.runUntil(device.close({ signal: AbortSignal.abort() }))
  expect(host.clock.timers).toBe(0)
})
it('a done handler that stalls and resumes the device while expired I/O is ended does not crash', async () => {
  const { device, target, host } = await open(1, { multipath: { noPathTimeout: 1000 } })
  const p = target.path(0)
  p.setAccess('transitioning')
  const first = send(device)
  send(device)
  const parked3 = send(device)
  const done = first.io.done
  first.io.done = (io, status) => {
    done(io, status)
    p.setAccess('transitioning')
    p.setAccess('optimized')
  }
  // time passes the deadline while the event loop is busy: the path comes back before the timer fires
  const now = host.clock.now.bind(host.clock)
  ;(host.clock as { now: () => number }).now = () => now() + 1_000_001
  // only first is expired: give the others more time
  expect(() => p.setAccess('optimized')).not.toThrow()
  void parked3
})
it('resumed counts only what expired while there was no path', async () => {
  const { device, target, host } = await open(2, { multipath: { noPathTimeout: 1000 } })
  const resumed: number[] = []
  device.events.on('resumed', ({ expired }) => resumed.push(expired))
  target.path(0).fence = new Promise(() => {})
  const w = send(device, IoOp.Write)
  target.path(0).complete(LOST)
  await host.clock.advance(1500)
  expect(w.status).toBe(Errno.EIO) // its fence took too long; path 1 was usable all the time
  target.path(1).events.emit('down', new Error('x'))
  await host.clock.advance(2000)
  expect(resumed).toEqual([0])
})
it('a signal given to open and close keeps no listener', async () => {
  const c = new AbortController()
  const { device, host } = await open(1, { signal: c.signal })
  await host.clock.runUntil(device.close({ signal: c.signal }))
  expect(getEventListeners(c.signal, 'abort').length).toBe(0)
})
it('close leaves no timer of an activation behind', async () => {
  const target = new FakeTarget(1)
  target.prepare = (path) => {
    path.access = 'standby'
    path.activate = async () => {
      throw new Error('no')
    }
  }
  const { device, host } = await open(1, { multipath: { reconnectDelay: 5000 } }, target)
  await host.clock.runUntil(device.close())
  expect(host.clock.timers).toBe(0)
})
it('a path listener that throws is told to the process, and the path lives on', async () => {
  const { device, target, host, thrown } = await openGuarded(2)
  device.events.on('path', ({ state }) => {
    if (state === 'waiting') throw new Error('listener')
  })
  target.path(0).events.emit('down', new Error('x'))
  await host.clock.advance(20_000)
  expect(device.state).toBe('active')
  expect(thrown).toEqual(['listener'])
})
it('Trim does not count as bytes moved', async () => {
  const { device, target } = await open(1)
  send(device, IoOp.Trim, 0, LIMITS.size)
  expect(target.path(0).held.length).toBe(1)
  target.path(0).complete()
  expect(device.paths[0]?.bytes).toBe(0)
})
void vi
void userDevice
void VOLUME
void inTurn

export type { PathSelector, PathView }
