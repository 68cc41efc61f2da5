import { describe, expect, it } from 'vitest'
import type { PathSelector, PathView } from '../src/index.ts'
import { Errno, IoOp, NO_BUFFERS, OK } from '../src/index.ts'
import { FakeTarget, LIMITS, LOST, open, REFUSED, send, VOLUME } from './support/rig.ts'

describe('opening', () => {
  it('makes one device of N paths', async () => {
    const { device, target } = await open(4)
    expect(target.connects).toEqual(['fake:0', 'fake:1', 'fake:2', 'fake:3'])
    expect(device.state).toBe('active')
    expect(device.limits.size).toBe(LIMITS.size)
    expect(device.limits.queueDepth).toBe(4 * LIMITS.queueDepth)
  })

  it('opens with the paths that connect, and keeps trying the others with growing waits', async () => {
    const target = new FakeTarget(2)
    target.refuse.set('fake:1', 'connection refused')
    const { device, host } = await open(2, { multipath: { reconnectDelay: 100, reconnectDelayMax: 1000 } }, target)
    expect(device.state).toBe('degraded')
    expect(device.paths[1]).toMatchObject({ state: 'waiting', reason: 'connection refused', access: undefined })
    await host.clock.advance(60_000)
    const tries = target.connects.filter((id) => id === 'fake:1').length
    expect(tries).toBeGreaterThan(60)
    expect(tries).toBeLessThan(130)
    target.refuse.clear()
    await host.clock.advance(1000)
    expect(device.state).toBe('active')
  })

  it('rejects with NO_PATH and every reason when no path connects', async () => {
    const target = new FakeTarget(2)
    target.refuse.set('fake:0', 'port is down').set('fake:1', 'access denied')
    await expect(open(2, {}, target)).rejects.toMatchObject({
      code: 'NO_PATH',
      message: `no path to volume ${VOLUME} could be opened (fake:0: port is down; fake:1: access denied)`,
    })
  })

  it('gives up a connect after connectTimeout and closes what answers later', async () => {
    const target = new FakeTarget(2)
    const connect = target.connect.bind(target)
    let answer: () => void = () => {}
    target.connect = async (info) => {
      if (info.id === 'fake:1') await new Promise<void>((resolve) => (answer = resolve))
      return connect(info)
    }
    const { device, host } = await open(2, { multipath: { connectTimeout: 500 } }, target)
    await host.clock.advance(600)
    expect(device.paths[1]).toMatchObject({ state: 'waiting', reason: 'port1 did not answer within 500 ms' })
    answer()
    await host.clock.advance(0)
    expect(target.path(1).closed).toBe(true)
  })

  it('never uses a path that leads to another volume', async () => {
    const target = new FakeTarget(2)
    target.prepare = (path) => {
      if (path.id === 'fake:1') path.volume = 'naa.60000000000000000000000000000099'
    }
    const { device } = await open(2, {}, target)
    expect(device.paths[1]).toMatchObject({ state: 'waiting' })
    expect(device.paths[1]?.reason).toContain('now leads to volume naa.60000000000000000000000000000099')
    expect(target.path(1).closed).toBe(true)
    for (let index = 0; index < 8; index++) send(device)
    expect(target.path(0).held.length).toBe(8)
  })

  it('refuses a path with another block size', async () => {
    const target = new FakeTarget(2)
    target.prepare = (path) => {
      if (path.id === 'fake:1') path.limits = { ...LIMITS, blockSize: 4096 }
    }
    const { device } = await open(2, {}, target)
    expect(device.paths[1]?.reason).toContain("its block size is 4096 bytes, the volume's is 512")
  })

  it('says which option is wrong', async () => {
    await expect(open(1, { multipath: { noPathTimeout: -1 } })).rejects.toThrow('noPathTimeout is -1')
    await expect(open(1, { multipath: { weights: { 'fake:0': 0 } } })).rejects.toThrow('weights[fake:0] is 0')
  })
})

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

describe('access', () => {
  it('uses the best tier only, and follows its changes', async () => {
    const target = new FakeTarget(3)
    target.prepare = (path) => {
      path.access = path.id === 'fake:0' ? 'optimized' : path.id === 'fake:1' ? 'non-optimized' : 'standby'
    }
    const { device } = await open(3, {}, target)
    const counts = (): number[] => [0, 1, 2].map((index) => target.path(index).held.length)
    for (let index = 0; index < 6; index++) send(device)
    expect(counts()).toEqual([6, 0, 0])
    target.path(0).setAccess('transitioning')
    for (let index = 0; index < 6; index++) send(device)
    expect(counts()).toEqual([6, 6, 0])
    target.path(2).setAccess('optimized')
    for (let index = 0; index < 6; index++) send(device)
    expect(counts()).toEqual([6, 6, 6])
    target.path(0).setAccess('optimized')
    for (let index = 0; index < 6; index++) send(device)
    expect(counts()).toEqual([9, 6, 9])
  })
})

describe('policies', () => {
  it('are exchanged under I/O; what is in flight stays where it is', async () => {
    const { device, target } = await open(2)
    const sent = Array.from({ length: 4 }, () => send(device))
    device.setSelector(() => {
      let last: PathView | undefined
      return { name: 'last', update: (usable) => void (last = usable.at(-1)), select: () => last }
    })
    expect(device.policy).toBe('last')
    for (let index = 0; index < 4; index++) send(device)
    expect([0, 1].map((index) => target.path(index).held.length)).toEqual([2, 6])
    target.completeAll()
    expect(sent.map(({ status }) => status)).toEqual([OK, OK, OK, OK])
  })

  it('keep serving when a new one throws, and the old one stays', async () => {
    const { device } = await open(2)
    expect(() =>
      device.setSelector(() => {
        throw new Error('no such option')
      }),
    ).toThrow('no such option')
    expect(() =>
      device.setSelector(() => ({
        name: 'x',
        update: () => {
          throw new Error('bad update')
        },
        select: () => undefined,
      })),
    ).toThrow('bad update')
    expect(() => device.setSelector(() => ({ name: 'x' }) as never)).toThrow('has no update function')
    expect(device.policy).toBe('in-turn')
  })

  const broken: [string, (paths: readonly PathView[]) => PathView | undefined][] = [
    [
      'throws',
      () => {
        throw new Error('oops')
      },
    ],
    ['returns nothing', () => undefined],
    ['returns a foreign object', () => ({ id: 'x', index: 0 }) as unknown as PathView],
    ['returns a copy', (paths) => ({ ...paths[1] }) as PathView],
  ]
  for (const [name, select] of broken) {
    it(`serve on the first path when select ${name}: counted, said once`, async () => {
      const { device, target } = await open(2)
      const faults: string[] = []
      device.events.on('policyFault', (error) => faults.push(error.message))
      device.setSelector(() => {
        let paths: readonly PathView[] = []
        return { name: 'broken', update: (usable) => void (paths = usable), select: () => select(paths) }
      })
      for (let index = 0; index < 5; index++) send(device)
      expect(target.path(0).held.length).toBe(5)
      expect(device.policyFaults).toBe(5)
      expect(faults.length).toBe(1)
      expect(faults[0]).toMatch(/^policy broken: select /)
    })
  }

  it('cannot reach a path that left the list', async () => {
    const { device, target } = await open(2)
    const seen: PathView[] = []
    device.setSelector(() => ({ name: 'stale', update: (usable) => void seen.push(...usable), select: () => seen[0] }))
    target.refuse.set('fake:0', 'down')
    target.path(0).events.emit('down', new Error('gone'))
    send(device)
    expect(target.path(1).held.length).toBe(1)
    expect(device.policyFaults).toBe(1)
  })
})

describe('paths by hand', () => {
  it('are taken out, fenced, and come back only when asked', async () => {
    const { device, target, host } = await open(2)
    const sent = send(device, IoOp.Write)
    await host.clock.runUntil(device.failPath('fake:0'))
    expect(device.paths[0]).toMatchObject({ state: 'disabled', reason: 'taken out by hand' })
    target.path(1).complete()
    expect(sent.status).toBe(OK)
    await host.clock.advance(120_000)
    expect(target.connects.length).toBe(2)
    device.restorePath('fake:0')
    await host.clock.advance(0)
    expect(device.state).toBe('active')
    expect(() => device.restorePath('nope')).toThrow('has no path nope')
  })

  it('are added and removed under I/O', async () => {
    const { device, target, host } = await open(1)
    const extra = new FakeTarget(1, 'other')
    for (const source of extra.sources) device.addPath(source)
    await host.clock.advance(0)
    for (let index = 0; index < 4; index++) send(device)
    expect([target.path(0).held.length, extra.path(0).held.length]).toEqual([2, 2])
    await host.clock.runUntil(device.removePath('fake:0'))
    expect(device.paths.map(({ id }) => id)).toEqual(['other:0'])
    expect(extra.path(0).held.length).toBe(4)
  })
})

describe('limits', () => {
  it('grow once every path says so', async () => {
    const { device, target } = await open(2)
    const sizes: number[] = []
    device.events.on('resized', ({ size }) => sizes.push(size))
    for (const index of [0, 1]) {
      const path = target.path(index)
      path.limits = { ...LIMITS, size: 2 * LIMITS.size }
      path.events.emit('limits', path.limits)
      expect(device.limits.size).toBe(index === 0 ? LIMITS.size : 2 * LIMITS.size)
    }
    expect(sizes).toEqual([2 * LIMITS.size])
  })
})

describe('extents', () => {
  it('come from another path when the one that was asked fails meanwhile', async () => {
    const target = new FakeTarget(2)
    target.prepare = (path) => {
      path.extents = async (_offset, length) => {
        if (path.id === 'fake:0') {
          path.events.emit('down', new Error('gone'))
          throw new Error('gone')
        }
        return [{ length, hole: true, zero: true }]
      }
    }
    const { device } = await open(2, {}, target)
    expect(await device.extents?.(0, 4096)).toEqual([{ length: 4096, hole: true, zero: true }])
  })

  it('pass on an error of a path that stays up', async () => {
    const target = new FakeTarget(2)
    target.prepare = (path) => {
      path.extents = async () => {
        throw new Error('no such page')
      }
    }
    const { device } = await open(2, {}, target)
    await expect(device.extents?.(0, 4096)).rejects.toThrow('no such page')
  })
})

describe('closing', () => {
  it('waits for what is in flight, refuses what is new, then fences every path', async () => {
    const { device, target, host } = await open(2)
    const sent = send(device)
    let closed = false
    const closing = device.close().then(() => void (closed = true))
    const refused = send(device)
    await host.clock.advance(10)
    expect([closed, refused.status]).toEqual([false, Errno.ESHUTDOWN])
    target.completeAll()
    await host.clock.runUntil(closing)
    expect(sent.status).toBe(OK)
    expect([0, 1].map((index) => target.path(index).closed)).toEqual([true, true])
    expect(host.clock.timers).toBe(0)
    expect(device.state).toBe('closed')
  })

  it('drops what waits for a path when the signal fires', async () => {
    const { device, target, host } = await open(1)
    target.refuse.set('fake:0', 'down')
    target.path(0).events.emit('down', new Error('gone'))
    const parked = send(device, IoOp.Write)
    const controller = new AbortController()
    const closing = device.close({ signal: controller.signal })
    await host.clock.advance(100)
    expect(parked.status).toBeUndefined()
    controller.abort()
    await host.clock.runUntil(closing)
    expect(parked.status).toBe(Errno.ESHUTDOWN)
    expect(host.clock.timers).toBe(0)
  })

  it('ends in time when the signal fires though a fence never settles', async () => {
    const { device, target, host } = await open(1)
    target.path(0).fence = new Promise(() => {})
    const sent = send(device, IoOp.Write)
    const controller = new AbortController()
    const closing = device.close({ signal: controller.signal })
    controller.abort()
    await host.clock.runUntil(closing)
    expect(sent.status).toBe(Errno.ESHUTDOWN)
  })
})
