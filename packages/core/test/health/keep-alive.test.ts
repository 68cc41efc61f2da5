import { randomInt, simulate } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { delay, openMultipath } from '../../src/index.ts'
import { FakeTarget, inTurn, send, VOLUME, virtualHost } from '../support/rig.ts'
import { load, openWard, wait } from './rig.ts'

describe('keep-alive', () => {
  it('knows a path that goes silent under load within keepAlive and keepAliveTimeout, whatever ioTimeout is', async () => {
    await simulate(12, async (host) => {
      const ward = await openWard(host, { multipath: { ioTimeout: 0 } })
      const io = load(ward, 4, 20 + randomInt(host.random, 200))
      await delay(host.clock, randomInt(host.random, 20_000))
      ward.array.hang(1)
      await wait(host, 10.1)
      expect(ward.path(1).state).not.toBe('up')
      expect(ward.path(1).troubles).toMatchObject({ silent: 1 })
      expect([0, 2, 3].map((port) => ward.path(port).failures)).toEqual([0, 0, 0])
      ward.array.release(1)
      await wait(host, 15)
      expect(ward.path(1).state).toBe('up')
      await io.stop()
      expect(io.longest).toBeLessThan(11_000)
      await ward.device.close()
    })
  })

  it('also one that is idle, or on standby, with the reason in words', async () => {
    await simulate(20, async (host) => {
      const { array, device, path } = await openWard(host)
      array.setAccess('all', { port: 2 }, 'standby')
      await delay(host.clock, randomInt(host.random, 20_000))
      array.hang(0)
      array.hang(2)
      await wait(host, 10.1)
      for (const port of [0, 2]) {
        expect(path(port).state).not.toBe('up')
        expect(path(port).reason).toMatch(/silent for \d+ s: no answer to a keep-alive within 5 s/)
      }
      expect([1, 3].map((port) => path(port).state)).toEqual(['up', 'up'])
      await device.close({ signal: AbortSignal.abort() })
    })
  })

  it('all paths, the last one too: I/O waits, and goes on when one is back', async () => {
    await simulate(10, async (host) => {
      const ward = await openWard(host)
      const io = load(ward, 4, 100)
      await delay(host.clock, randomInt(host.random, 9000))
      for (let port = 0; port < 4; port++) ward.array.hang(port)
      await wait(host, 10.1)
      expect(ward.device.state).toBe('stalled')
      ward.array.release(3)
      await wait(host, 12)
      await io.stop()
      await ward.device.close({ signal: AbortSignal.abort() })
    })
  })

  it('leaves a path alone that answers pings, though it has no I/O for an hour, and one that answers I/O', async () => {
    const host = virtualHost(3)
    const { device, path } = await host.clock.runUntil(openWard(host))
    await host.clock.advance(3_600_000)
    expect([0, 1, 2, 3].map((port) => path(port).failures)).toEqual([0, 0, 0, 0])
    await host.clock.runUntil(device.close())
    await host.clock.advance(60_000)
    expect(host.clock.timers).toBe(0)
  })

  it('asks nothing of a path whose I/O comes back', async () => {
    const { host, device, target, pings } = await rig(() => new Promise(() => {}))
    for (let turn = 0; turn < 100; turn++) {
      for (let path = 0; path < 2; path++) send(device)
      target.completeAll()
      await host.clock.advance(1000)
    }
    expect(pings()).toBe(0)
    await host.clock.advance(10_001)
    expect(device.state).toBe('stalled')
  })

  it('takes what comes back after the question for an answer', async () => {
    const { host, device, target } = await rig(() => new Promise(() => {}))
    send(device)
    send(device)
    for (let turn = 0; turn < 20; turn++) {
      await host.clock.advance(7000)
      for (const path of target.paths.values()) path.complete(0, 1)
      send(device)
      send(device)
    }
    expect(device.paths.map(({ failures }) => failures)).toEqual([0, 0])
  })

  it('is late itself: what has come meanwhile is read before anybody is blamed', async () => {
    const inner = virtualHost(1)
    // The event loop stands still: timers fire late, and the answer, which is there, is read in the turn after that.
    let stands = false
    const late: (() => void)[] = []
    const clock = {
      ...inner.clock,
      now: () => inner.clock.now(),
      after: (ms: number, callback: () => void) =>
        inner.clock.after(ms, () => (stands ? void late.push(callback) : callback())),
    }
    const target = new FakeTarget(1)
    const answers: (() => void)[] = []
    target.prepare = (path) => {
      path.ping = () => new Promise((resolve) => answers.push(resolve))
    }
    const opening = openMultipath(VOLUME, target.sources, { selector: inTurn, host: { clock, random: inner.random } })
    const device = await inner.clock.runUntil(opening)
    await inner.clock.advance(5001)
    expect(answers.length).toBe(1)
    stands = true
    await inner.clock.advance(60_000)
    stands = false
    for (const callback of late) callback()
    await inner.clock.advance(30)
    answers[0]!()
    await inner.clock.advance(4000)
    expect(device.paths[0]).toMatchObject({ state: 'up', failures: 0 })
  })

  it('fails a path whose ping throws, with what it threw', async () => {
    const { host, device } = await rig(() => {
      throw new Error('the plugin is wrong')
    })
    await host.clock.advance(10_001)
    expect(device.paths[0]?.reason).toMatch(/silent for 1?\d s: .* within 5 s: the plugin is wrong/)
  })

  it('asks no path without ping, and none at all with keepAlive 0', async () => {
    const { host, device } = await rig(undefined)
    await host.clock.advance(100_000)
    expect(device.state).toBe('active')
    const off = await rig(() => Promise.reject(new Error('no')), { keepAlive: 0 })
    await off.host.clock.advance(100_000)
    expect(off.device.state).toBe('active')
  })
})

async function rig(ping: (() => Promise<void>) | undefined, multipath = {}) {
  const host = virtualHost(1)
  const target = new FakeTarget(2)
  let pings = 0
  target.prepare = (path) => {
    if (ping === undefined) return
    path.ping = () => {
      pings++
      return ping()
    }
  }
  const device = await host.clock.runUntil(openMultipath(VOLUME, target.sources, { selector: inTurn, host, multipath }))
  return { host, target, device, pings: () => pings }
}
