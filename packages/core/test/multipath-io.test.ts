import { describe, expect, it } from 'vitest'
import type { PathSelector, PathView } from '../src/index.ts'
import { Errno, IoOp, NO_BUFFERS, OK } from '../src/index.ts'
import { FakeTarget, LIMITS, LOST, open, REFUSED, send } from './support/rig.ts'

describe('I/O', () => {
  it('goes where the selector says, with the same bytes and the device-supplied views', async () => {
    const { device, target } = await open(4)
    const sent = Array.from({ length: 8 }, (_, index) => send(device, IoOp.Read, index * 512))
    expect([0, 1, 2, 3].map((index) => target.path(index).held.length)).toEqual([2, 2, 2, 2])
    expect(target.path(1).held[0]?.buffers).toBe(sent[1]?.io.buffers)
    target.completeAll()
    expect(sent.map(({ status, times }) => [status, times])).toEqual(Array(8).fill([OK, 1]))

    const view = new Uint8Array(512)
    const read = send(device)
    read.io.buffers = NO_BUFFERS
    const held = target.path(0).held[0]
    if (held !== undefined) held.buffers = [view]
    target.completeAll()
    expect(read.io.buffers).toEqual([view])
  })

  it('counts per path', async () => {
    const { device, target, host } = await open(2)
    send(device, IoOp.Write, 0, 4096)
    send(device, IoOp.Write, 0, 4096)
    expect(device.paths.map(({ inflight }) => inflight)).toEqual([1, 1])
    await host.clock.advance(3)
    target.path(0).complete()
    target.path(1).complete(Errno.ENODATA)
    expect(device.paths[0]).toMatchObject({ inflight: 0, ios: 1, bytes: 4096, errors: 0, latency: 3000 })
    expect(device.paths[1]).toMatchObject({ inflight: 0, ios: 1, bytes: 0, errors: 1, retries: 0 })
    expect(device.paths[0]?.latencyHistogram.reduce((sum, count) => sum + count, 0)).toBe(1)
  })

  it('ends with an error of the data at once: no retry, the path stays', async () => {
    const { device, target } = await open(2)
    for (const errno of [Errno.ENODATA, Errno.EBADE, Errno.EINVAL, Errno.ENOSPC]) {
      const sent = send(device)
      target.completeAll(errno)
      expect(sent.status).toBe(errno)
    }
    expect(device.state).toBe('active')
  })

  it('retries a read on another path at once, before the fence', async () => {
    const { device, target } = await open(2)
    target.path(0).fence = new Promise(() => {})
    const sent = send(device, IoOp.Read)
    target.path(0).complete(LOST)
    expect(target.path(1).held.length).toBe(1)
    expect(device.paths[0]).toMatchObject({ state: 'fencing', errors: 1, retries: 1, failures: 1 })
    target.path(1).complete()
    expect([sent.status, sent.times]).toEqual([OK, 1])
  })

  for (const op of [IoOp.Write, IoOp.Trim, IoOp.WriteZeroes]) {
    it(`keeps op ${op} back until the failed path is fenced`, async () => {
      const { device, target, host } = await open(2)
      let fenced: () => void = () => {}
      target.path(0).fence = new Promise((resolve) => (fenced = resolve))
      const sent = send(device, op)
      target.path(0).complete(LOST)
      await host.clock.advance(1000)
      expect(target.path(1).held.length).toBe(0)
      expect(device.parked).toBe(1)
      fenced()
      await host.clock.advance(0)
      expect(target.path(1).held.length).toBe(1)
      target.path(1).complete()
      expect([sent.status, sent.times]).toEqual([OK, 1])
    })
  }

  it('takes every I/O in flight along when one finds the path lost', async () => {
    const { device, target, host } = await open(2)
    const sent = Array.from({ length: 10 }, (_, index) => send(device, index < 6 ? IoOp.Read : IoOp.Write, index * 512))
    target.path(0).complete(LOST, 1)
    await host.clock.advance(0)
    expect(device.paths[0]?.inflight).toBe(0)
    target.path(1).complete()
    expect(sent.map(({ status }) => status)).toEqual(Array(10).fill(OK))
  })

  it('moves a write at once when the array says it did not run it, and rests the path', async () => {
    const { device, target, host } = await open(2)
    const sent = send(device, IoOp.Write)
    target.path(0).complete(REFUSED)
    expect(target.path(1).held.length).toBe(1)
    for (let index = 0; index < 4; index++) send(device)
    expect(target.path(0).held.length).toBe(0)
    target.completeAll()
    expect(sent.status).toBe(OK)
    expect(target.path(0).closed).toBe(false)
    await host.clock.advance(200)
    send(device)
    send(device)
    expect(target.path(0).held.length).toBe(1)
  })

  it('ends a write with EIO when its fence takes longer than noPathTimeout, and never sends it again', async () => {
    const { device, target, host } = await open(2, { multipath: { noPathTimeout: 5000 } })
    let fenced: () => void = () => {}
    target.path(0).fence = new Promise((resolve) => (fenced = resolve))
    const sent = send(device, IoOp.Write)
    target.path(0).complete(LOST)
    await host.clock.advance(4990)
    expect(sent.status).toBeUndefined()
    await host.clock.advance(20)
    expect(sent.status).toBe(Errno.EIO)
    fenced()
    await host.clock.advance(1000)
    expect(target.path(1).seen.length).toBe(0)
    expect(sent.times).toBe(1)
  })

  it('does not connect a path again before it is fenced', async () => {
    const { device, target, host } = await open(2)
    let fenced: () => void = () => {}
    target.path(0).fence = new Promise((resolve) => (fenced = resolve))
    target.path(0).events.emit('down', new Error('connection reset'))
    expect(device.paths[0]).toMatchObject({ state: 'fencing', reason: 'connection reset' })
    await host.clock.advance(60_000)
    expect(target.connects.length).toBe(2)
    fenced()
    await host.clock.advance(1000)
    expect(target.connects.length).toBe(3)
    expect(device.state).toBe('active')
  })

  it('tries a fence that fails again, and holds writes until one succeeds', async () => {
    const { device, target, host } = await open(2)
    const failed = target.path(0)
    failed.fence = Promise.reject(new Error('no answer'))
    failed.fence.catch(() => {})
    const sent = send(device, IoOp.Write)
    failed.complete(LOST)
    await host.clock.advance(500)
    expect(device.paths[0]).toMatchObject({ state: 'fencing', reason: 'the fence failed: no answer' })
    expect(target.path(1).held.length).toBe(0)
    failed.fence = undefined
    await host.clock.advance(30_000)
    target.path(1).complete()
    expect(sent.status).toBe(OK)
  })

  it('lets a late completion of a closed path reach nobody', async () => {
    const { device, target, host } = await open(2)
    const broken = target.path(0)
    broken.keepsIos = true
    const sent = send(device, IoOp.Write)
    broken.events.emit('down', new Error('gone'))
    await host.clock.advance(0)
    expect(target.path(1).held.length).toBe(1)
    broken.complete(Errno.ENODATA)
    expect(sent.status).toBeUndefined()
    target.path(1).complete()
    expect([sent.status, sent.times]).toEqual([OK, 1])
    const again = send(device)
    target.completeAll()
    await host.clock.advance(500)
    target.completeAll()
    expect([again.status, again.times]).toEqual([OK, 1])
  })

  it('fails a path whose I/O has no answer for ioTimeout', async () => {
    const { device, target, host } = await open(2, { multipath: { ioTimeout: 1000 } })
    const sent = send(device, IoOp.Read)
    await host.clock.advance(1300)
    expect(device.paths[0]).toMatchObject({ failures: 1 })
    target.path(1).complete()
    expect(sent.status).toBe(OK)
  })

  it('leaves no timer behind when it is idle', async () => {
    const { device, target, host } = await open(4)
    for (let index = 0; index < 100; index++) send(device)
    target.completeAll()
    await host.clock.advance(60_000)
    expect(host.clock.timers).toBe(0)
  })
})

describe('room', () => {
  it('never has more in flight on a path than its queue depth; the rest waits in order', async () => {
    const target = new FakeTarget(2)
    target.limits = { ...LIMITS, queueDepth: 3 }
    const { device } = await open(2, {}, target)
    const sent = Array.from({ length: 10 }, (_, index) => send(device, IoOp.Read, index * 512))
    expect(device.paths.map(({ inflight }) => inflight)).toEqual([3, 3])
    expect(device.queued).toBe(4)
    target.path(1).complete(OK, 1)
    expect(device.queued).toBe(3)
    expect(target.path(1).held.at(-1)?.offset).toBe(6 * 512)
    while (sent.some(({ status }) => status === undefined)) target.completeAll()
    expect(device.queued).toBe(0)
  })

  it('goes to a path with room when the selector picks a full one', async () => {
    const target = new FakeTarget(2)
    target.limits = { ...LIMITS, queueDepth: 2 }
    const always0 = (): PathSelector => {
      let paths: readonly PathView[] = []
      return { name: 'zero', update: (usable) => void (paths = usable), select: () => paths[0] }
    }
    const { device } = await open(2, { selector: always0 }, target)
    for (let index = 0; index < 4; index++) send(device)
    expect(device.paths.map(({ inflight }) => inflight)).toEqual([2, 2])
    expect(device.policyFaults).toBe(0)
  })
})

describe('no usable path', () => {
  it('parks I/O, says so once, and goes on when a path is back', async () => {
    const { device, target, host } = await open(2)
    const edges: string[] = []
    device.events.on('stalled', () => edges.push('stalled'))
    device.events.on('resumed', ({ expired }) => edges.push(`resumed ${expired}`))
    target.refuse.set('fake:0', 'down').set('fake:1', 'down')
    const before = send(device, IoOp.Write)
    target.path(0).events.emit('down', new Error('gone'))
    target.path(1).events.emit('down', new Error('gone'))
    const after = send(device, IoOp.Read)
    await host.clock.advance(5000)
    expect(device.state).toBe('stalled')
    expect(device.parked).toBe(2)
    target.refuse.clear()
    await host.clock.advance(10_000)
    expect(device.state).toBe('active')
    target.completeAll()
    expect([before.status, after.status]).toEqual([OK, OK])
    expect(edges).toEqual(['stalled', 'resumed 0'])
  })

  it('ends what waited for noPathTimeout with EIO, each at its own time', async () => {
    const { device, target, host } = await open(1, { multipath: { noPathTimeout: 3000 } })
    target.refuse.set('fake:0', 'down')
    target.path(0).events.emit('down', new Error('gone'))
    const first = send(device)
    await host.clock.advance(1000)
    const second = send(device)
    await host.clock.advance(2001)
    expect([first.status, second.status]).toEqual([Errno.EIO, undefined])
    await host.clock.advance(1000)
    expect(second.status).toBe(Errno.EIO)
    expect([first.times, second.times]).toEqual([1, 1])
  })

  it('ends an I/O that every path keeps failing', async () => {
    const { device, target, host } = await open(2, { multipath: { noPathTimeout: 3000 } })
    const sent = send(device)
    for (let round = 0; round < 2000 && sent.status === undefined; round++) {
      target.completeAll(LOST)
      await host.clock.advance(10)
    }
    expect(sent.status).toBe(Errno.EIO)
    expect(host.clock.now()).toBeLessThan(10_000_000)
  })

  it('asks a standby path to become active when nothing better is left', async () => {
    const target = new FakeTarget(2)
    target.prepare = (path) => {
      if (path.id === 'fake:0') return
      path.access = 'standby'
      path.activate = async () => path.setAccess('optimized')
    }
    const { device, host } = await open(2, {}, target)
    target.refuse.set('fake:0', 'down')
    target.path(0).events.emit('down', new Error('gone'))
    const sent = send(device)
    await host.clock.advance(0)
    target.path(1).complete()
    expect(sent.status).toBe(OK)
  })
})
