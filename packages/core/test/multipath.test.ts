import { describe, expect, it } from 'vitest'
import { Errno, IoOp, OK } from '../src/index.ts'
import { FakeTarget, LIMITS, open, send, VOLUME } from './support/rig.ts'

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
