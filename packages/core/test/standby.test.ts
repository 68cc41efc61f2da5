import type { VirtualHost } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import type { MultipathDevice, MultipathOptions } from '../src/index.ts'
import { BlockError, Errno, IoOp, OK, openMultipath } from '../src/index.ts'
import type { FakePath } from './support/rig.ts'
import { FakeTarget, open, send, VOLUME, virtualHost } from './support/rig.ts'

/** Four paths in standby that can be activated, two to each controller; `asked` tells which were. */
async function standby(
  multipath: MultipathOptions = {},
  activate: (path: FakePath, target: FakeTarget) => Promise<void> = async (path, target) => wake(target, path),
) {
  const target = new FakeTarget(4)
  const asked: string[] = []
  target.prepare = (path) => {
    path.access = 'standby'
    path.auto = true
    path.activate = () => {
      asked.push(path.id)
      return activate(path, target)
    }
  }
  return { ...(await open(4, { multipath }, target)), asked }
}

const controllerOf = (id: string): number => Math.floor(Number(id.slice(-1)) / 2)

/** The controller of `path` becomes optimized, the other one goes to standby. */
function wake(target: FakeTarget, path: FakePath): void {
  for (const each of target.paths.values()) {
    const access = controllerOf(each.id) === controllerOf(path.id) ? 'optimized' : 'standby'
    if (each.access !== access && !each.closed) each.setAccess(access)
  }
}

describe('a volume whose every path is in standby', () => {
  it('is asked for elsewhere where a plugin throws instead of rejecting', async () => {
    const { device, host, asked } = await standby({}, (path, target) => {
      if (path.id === 'fake:0') throw new Error('a slip of the plugin')
      return Promise.resolve(wake(target, path))
    })
    const sent = send(device)
    await host.clock.advance(10_000)
    expect([sent.status, asked]).toEqual([OK, ['fake:0', 'fake:1']])
  })

  it('is activated once, through one path', async () => {
    const { device, host, asked } = await standby()
    const sent = send(device)
    await host.clock.advance(120_000)
    expect(sent.status).toBe(OK)
    expect(asked).toEqual(['fake:0'])
  })

  it('is activated through the path that the storage prefers, then by priority', async () => {
    const target = new FakeTarget(4)
    const asked: string[] = []
    target.prepare = (path) => {
      path.access = 'standby'
      path.preferred = path.id === 'fake:2' || path.id === 'fake:3'
      path.activate = async () => void asked.push(path.id)
    }
    const multipath = { priorities: { 'fake:3': 1 }, transitionTimeout: 1000, noPathTimeout: 60_000 }
    const { host } = await open(4, { multipath }, target)
    await host.clock.advance(20_000)
    expect(asked.slice(0, 4)).toEqual(['fake:3', 'fake:2', 'fake:0', 'fake:1'])
  })

  it('has its time to become active after it has said yes: nobody else is asked meanwhile', async () => {
    const { device, host, asked } = await standby({}, async () => {})
    const sent = send(device)
    await host.clock.advance(19_000)
    expect(asked).toEqual(['fake:0'])
    expect(device.paths[0]?.reason).toBe('in standby: its activation was asked for')
    await host.clock.advance(2000)
    expect(asked).toEqual(['fake:0', 'fake:1'])
    await host.clock.advance(10_000)
    expect(sent.status).toBe(Errno.EIO)
  })

  it('has the time that the storage says it needs', async () => {
    const { host, asked } = await standby({}, async (path) => {
      path.transitionTime = 3000
    })
    await host.clock.advance(2900)
    expect(asked.length).toBe(1)
    await host.clock.advance(200)
    expect(asked.length).toBe(2)
  })

  it('is asked for less and less often where each path refuses, and says why', async () => {
    const { device, host, asked } = await standby({ noPathTimeout: 600_000 }, async () => {
      throw new BlockError('IO_FAILED', 'this controller cannot take over')
    })
    const sent = send(device)
    await host.clock.advance(60_000)
    expect(asked.slice(0, 5)).toEqual(['fake:0', 'fake:1', 'fake:2', 'fake:3', 'fake:0'])
    expect(asked.length).toBeLessThan(20)
    expect(device.paths[3]?.reason).toMatch(
      /^its activation has failed: this controller cannot take over; the next try is in \d+ s$/,
    )
    await host.clock.advance(600_000)
    expect(sent.status).toBe(Errno.EIO)
  })

  it('goes on with the next path where the one that said yes dies', async () => {
    const { device, host, target, asked } = await standby({}, async (path) => {
      if (path.id !== 'fake:0') wake(target, path)
    })
    const sent = send(device)
    await host.clock.advance(1500)
    target.refuse.set('fake:0', 'dead')
    target.path(0).events.emit('down', new Error('dead'))
    await host.clock.advance(100)
    expect(asked).toEqual(['fake:0', 'fake:1'])
    expect(sent.status).toBe(OK)
  })

  it('is not activated while a path that may need none is still to come up', async () => {
    const target = new FakeTarget(2)
    const asked: string[] = []
    target.prepare = (path) => {
      path.access = path.id === 'fake:0' ? 'standby' : 'optimized'
      path.auto = true
      path.activate = async () => void asked.push(path.id)
    }
    const connect = target.connect.bind(target)
    const host = virtualHost(1)
    target.connect = async (info) => {
      if (info.id === 'fake:1') await new Promise<void>((resolve) => void host.clock.after(700, resolve))
      return connect(info)
    }
    await host.clock.runUntil(openMultipath(VOLUME, target.sources, { host }))
    await host.clock.advance(60_000)
    expect(asked).toEqual([])
    // Where it does not come the other one is activated all the same.
    target.refuse.set('fake:1', 'dead')
    target.path(1).events.emit('down', new Error('dead'))
    await host.clock.advance(1)
    expect(asked).toEqual(['fake:0'])
  })

  it('is not touched while a non-optimized path is usable', async () => {
    const { device, host, target, asked } = await standby()
    await host.clock.advance(100)
    target.path(0).setAccess('non-optimized')
    target.path(1).setAccess('standby')
    send(device)
    await host.clock.advance(60_000)
    expect(asked).toEqual(['fake:0'])
  })

  it('is left alone for a moment where the storage has moved it to a port that this host sees', async () => {
    const { device, host, target, asked } = await standby()
    await host.clock.advance(61_000)
    const sent = send(device)
    for (const number of [0, 1]) target.path(number).setAccess('standby')
    const waiting = send(device, IoOp.Write)
    await host.clock.advance(300)
    for (const number of [2, 3]) target.path(number).setAccess('optimized')
    await host.clock.advance(60_000)
    expect([sent.status, waiting.status]).toEqual([OK, OK])
    expect(asked).toEqual(['fake:0'])
  })
})

describe('a transition', () => {
  it('is waited for: I/O neither fails nor has another path activated', async () => {
    const { device, host, target, asked } = await standby()
    await host.clock.advance(1000)
    for (const number of [0, 1]) target.path(number).setAccess('transitioning')
    const sent = send(device)
    await host.clock.advance(15_000)
    expect(sent.status).toBe(undefined)
    expect(device.paths[0]?.reason).toBe('in transition for 15 s, and may be for 20 s')
    expect(device.state).toBe('stalled')
    for (const number of [0, 1]) target.path(number).setAccess('optimized')
    await host.clock.advance(1)
    expect(sent.status).toBe(OK)
    expect(asked).toEqual(['fake:0'])
    expect(device.paths[0]?.reason).toBe('')
  })

  it('that takes longer than the storage says counts as none: the path is unavailable, and another is activated', async () => {
    const { device, host, target, asked } = await standby()
    await host.clock.advance(1000)
    for (const number of [0, 1]) {
      target.path(number).transitionTime = 4000
      target.path(number).setAccess('transitioning')
    }
    const sent = send(device)
    await host.clock.advance(3900)
    expect([sent.status, asked.length]).toEqual([undefined, 1])
    await host.clock.advance(200)
    expect(sent.status).toBe(OK)
    expect(asked).toEqual(['fake:0', 'fake:2'])
    // What it has become since is what the storage says.
    target.path(0).access = 'transitioning'
    target.path(0).setAccess('transitioning')
    expect(device.paths[0]?.access).toBe('transitioning')
  })

  it('that never ends is told in words, and I/O fails after noPathTimeout', async () => {
    const { device, host, target } = await open(1, { multipath: { transitionTimeout: 5000 } })
    target.path(0).setAccess('transitioning')
    const sent = send(device)
    await host.clock.advance(6000)
    expect(device.paths[0]).toMatchObject({
      access: 'unavailable',
      state: 'up',
      reason: 'in transition for more than 5 s: counts as unavailable',
    })
    // Told again, it is still the same one.
    target.path(0).setAccess('transitioning')
    expect(device.paths[0]?.access).toBe('unavailable')
    await host.clock.advance(24_100)
    expect(sent.status).toBe(Errno.EIO)
    target.path(0).auto = true
    target.path(0).setAccess('optimized')
    const next = send(device)
    await host.clock.advance(1)
    expect(next.status).toBe(OK)
  })

  it('of a storage that says it may take minutes holds I/O no longer than noPathTimeout', async () => {
    const { device, host, target } = await open(1)
    target.path(0).transitionTime = 255_000
    target.path(0).setAccess('transitioning')
    const sent = send(device)
    await host.clock.advance(29_900)
    expect(sent.status).toBe(undefined)
    await host.clock.advance(200)
    expect(sent.status).toBe(Errno.EIO)
  })

  it('that is broken off leaves no timer behind', async () => {
    const { device, host, target } = await open(2)
    target.path(0).setAccess('transitioning')
    target.path(0).events.emit('down', new Error('dead'))
    target.path(1).setAccess('transitioning')
    await host.clock.runUntil(device.close({ signal: AbortSignal.abort() }))
    expect(host.clock.timers).toBe(0)
  })
})

/** An array of two controllers, and a host at each that sees only its own: who activates takes the volume. */
async function twoHosts(seed: number, multipath: MultipathOptions = {}) {
  const host = virtualHost(seed)
  const takes: { by: number; at: number }[] = []
  const troubles: string[] = []
  const targets = [0, 1].map((number) => new FakeTarget(2, `host${number}`))
  const own = (by: number): void => {
    takes.push({ by, at: host.clock.now() / 1000 })
    for (const [number, target] of targets.entries()) {
      for (const path of target.paths.values()) path.setAccess(number === by ? 'optimized' : 'standby')
    }
  }
  const devices: MultipathDevice[] = []
  for (const [number, target] of targets.entries()) {
    target.prepare = (path) => {
      path.access = 'standby'
      path.auto = true
      path.activate = async () => own(number)
    }
    const device = await host.clock.runUntil(openMultipath(VOLUME, target.sources, { host, multipath }))
    device.events.on('trouble', ({ kind, text }) => void troubles.push(`${number} ${kind}: ${text}`))
    devices.push(device)
  }
  return { host, devices, takes, troubles }
}

/** Reads through a device as long as it is asked to; counts what failed. */
function load(device: MultipathDevice, host: VirtualHost) {
  const counts = { done: 0, failed: 0, longest: 0, stop: false }
  const run = async (): Promise<void> => {
    while (!counts.stop) {
      const since = host.clock.now()
      const status = await send(device).ended
      counts.longest = Math.max(counts.longest, (host.clock.now() - since) / 1000)
      if (status === OK) counts.done++
      else counts.failed++
      await new Promise<void>((resolve) => void host.clock.after(10, resolve))
    }
  }
  void run()
  return counts
}

describe('two hosts that each see one controller', () => {
  it.each([1, 2, 3])(
    'take the volume from each other less and less often, and no I/O fails (seed %i)',
    async (seed) => {
      const { host, devices, takes, troubles } = await twoHosts(seed)
      const loads = devices.map((device) => load(device, host))
      await host.clock.advance(300_000)
      for (const one of loads) one.stop = true
      expect(loads.map(({ failed }) => failed)).toEqual([0, 0])
      for (const { done } of loads) expect(done).toBeGreaterThan(1000)
      const inMinute = (minute: number): number =>
        takes.filter(({ at }) => at >= minute * 60_000 && at < (minute + 1) * 60_000).length
      // Pauses are bounded at ten seconds, each shortened by chance to no less than half of that.
      expect(inMinute(4)).toBeLessThanOrEqual(12)
      expect(takes.length).toBeLessThan(80)
      for (const { longest } of loads) expect(longest).toBeLessThan(11_000)
      expect(troubles.length).toBeGreaterThan(10)
      expect(troubles.at(-1)).toMatch(
        /^[01] taken back: another host, or the storage itself, has taken the volume back \d+\.\d s after this host activated it, \d+ times in a row; this host waits \d+\.\d s before it asks for it again$/,
      )
    },
  )

  it('of which one is idle leave it with the other', async () => {
    const { host, devices, takes } = await twoHosts(1)
    const busy = load(devices[0] as MultipathDevice, host)
    await host.clock.advance(60_000)
    const { length } = takes
    expect(length).toBeLessThanOrEqual(3)
    await host.clock.advance(600_000)
    busy.stop = true
    expect(takes.length).toBe(length)
    expect(busy.failed).toBe(0)
    expect(devices[1]?.paths[0]?.reason).toMatch(/; the next try is when I\/O waits for it$/)
    const sent = send(devices[1] as MultipathDevice)
    await host.clock.advance(2000)
    expect(sent.status).toBe(OK)
  })

  it('leave no timer behind', async () => {
    const { host, devices } = await twoHosts(7)
    for (const device of devices) send(device)
    await host.clock.advance(20_000)
    for (const device of devices) await host.clock.runUntil(device.close({ signal: AbortSignal.abort() }))
    expect(host.clock.timers).toBe(0)
  })
})
