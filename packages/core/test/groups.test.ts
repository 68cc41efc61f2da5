import { describe, expect, it } from 'vitest'
import type { Access, MultipathOptions } from '../src/index.ts'
import { BlockError, IoOp, OK } from '../src/index.ts'
import { FakeTarget, open, REFUSED, send } from './support/rig.ts'

/** Paths 0 and 1 lead to one controller, optimized, 2 and 3 to the other; all answer at once. */
async function twoControllers(multipath: MultipathOptions = {}, change: (target: FakeTarget) => void = () => {}) {
  const target = new FakeTarget(4)
  target.prepare = (path) => {
    path.access = Number(path.id.slice(-1)) < 2 ? 'optimized' : 'non-optimized'
    path.auto = true
  }
  change(target)
  const rig = await open(4, { multipath }, target)
  // Behind the time in which paths are still expected.
  await rig.host.clock.advance(2000)
  const { device, host } = rig
  return {
    ...rig,
    /** Which paths take I/O, by their numbers. */
    async serving(): Promise<string> {
      const before = device.paths.map(({ ios }) => ios)
      const sent = Array.from({ length: 8 }, (_, index) => send(device, IoOp.Read, index * 512))
      await host.clock.advance(1)
      expect(sent.map(({ status }) => status)).toEqual(sent.map(() => OK))
      return device.paths.flatMap(({ ios }, index) => (ios > (before[index] as number) ? [index] : [])).join()
    },
    /** The connections of some paths break, and they refuse to connect. */
    down(...numbers: number[]): void {
      for (const number of numbers) {
        target.refuse.set(`fake:${number}`, 'the link is down')
        target.path(number).events.emit('down', new BlockError('CONNECT_FAILED', 'the link is down'))
      }
    },
    up(...numbers: number[]): void {
      for (const number of numbers) {
        target.refuse.delete(`fake:${number}`)
        device.restorePath(`fake:${number}`)
      }
    },
    /** The same without a hand in it. */
    async comeUp(...numbers: number[]): Promise<void> {
      for (const number of numbers) target.refuse.delete(`fake:${number}`)
      await host.clock.runUntil(() => numbers.every((number) => device.paths[number]?.state === 'up'))
    },
    setAccess(access: Access, ...numbers: number[]): void {
      for (const number of numbers) target.path(number).setAccess(access)
    },
    reason: (number: number) => device.paths[number]?.reason,
  }
}

describe('the group that I/O goes to', () => {
  it('is the optimized one, whatever is preferred or has priority', async () => {
    const { serving } = await twoControllers({ priorities: { 'fake:2': 9 } }, (target) => {
      const { prepare } = target
      target.prepare = (path) => {
        prepare(path)
        if (path.id === 'fake:3') path.preferred = true
      }
    })
    expect(await serving()).toBe('0,1')
  })

  it('is the one that the storage prefers among those of equal access, and follows the bit under load', async () => {
    const { device, target, serving } = await twoControllers()
    target.path(1).prefer(true)
    expect(await serving()).toBe('1')
    expect(device.paths.map(({ preferred }) => preferred === true)).toEqual([false, true, false, false])
    expect(device.paths[0]?.reason).toBe('in reserve: I/O goes to paths that the storage prefers')
    expect(device.state).toBe('active')
    target.path(0).prefer(true)
    expect(await serving()).toBe('0,1')
    target.path(1).prefer(false)
    expect(await serving()).toBe('0')
    target.path(0).prefer(false)
    expect(await serving()).toBe('0,1')
  })

  it('is that of the largest priority among those that are equal otherwise: by path, by address, by target', async () => {
    const { device, serving, down } = await twoControllers({
      priorities: { fake: 1, port1: 5, 'fake:1': 7, port0: 6, port2: -1 },
    })
    expect(device.paths.map(({ priority }) => priority)).toEqual([6, 7, -1, 1])
    expect(await serving()).toBe('1')
    expect(device.paths[0]?.reason).toBe('in reserve: its priority is 6, and I/O goes to paths of priority 7')
    down(1)
    expect(await serving()).toBe('0')
    down(0)
    expect(await serving()).toBe('3')
    down(3)
    expect(await serving()).toBe('2')
  })

  it('tells nothing of priorities and preference where there are none', async () => {
    const { device } = await twoControllers()
    for (const path of device.paths) expect(Object.keys(path)).not.toContain('priority')
    for (const path of device.paths) expect(Object.keys(path)).not.toContain('preferred')
    expect(device.paths.map(({ reason }) => reason)).toEqual(['', '', '', ''])
  })

  it('is left for a moment where all of it is busy, and is gone back to whatever failback says', async () => {
    const { target, device, host, serving } = await twoControllers({ failback: 'manual' })
    for (const number of [0, 1]) target.path(number).auto = false
    const sent = [send(device), send(device)]
    for (const number of [0, 1]) {
      target.path(number).complete(REFUSED)
      target.path(number).auto = true
    }
    expect(await serving()).toBe('2,3')
    await host.clock.advance(1000)
    expect(sent.map(({ status }) => status)).toEqual([OK, OK])
    expect(await serving()).toBe('0,1')
  })
})

describe('failback', () => {
  it('is immediate by default', async () => {
    const { device, serving, down, comeUp } = await twoControllers()
    down(0, 1)
    expect(await serving()).toBe('2,3')
    await comeUp(1)
    expect(await serving()).toBe('1')
    await comeUp(0)
    expect(await serving()).toBe('0,1')
    expect(device.state).toBe('active')
  })

  it('comes after a delay in which the better group must stay usable, and says how long that is', async () => {
    const { device, host, serving, down, comeUp, reason } = await twoControllers({ failback: 30_000 })
    down(0, 1)
    await comeUp(0)
    const since = host.clock.now()
    expect(await serving()).toBe('2,3')
    expect(reason(0)).toBe('usable again: I/O goes back to it in 30 s, when that has lasted 30 s')
    expect(device.paths[0]?.standsBack).toBe(true)
    expect(device.state).toBe('degraded')
    await host.clock.advance(12_000)
    expect(reason(0)).toBe('usable again: I/O goes back to it in 18 s, when that has lasted 30 s')
    // Another path of it changes nothing.
    await comeUp(1)
    await host.clock.advance(29_990 - (host.clock.now() - since) / 1000)
    expect(await serving()).toBe('2,3')
    await host.clock.advance(20)
    expect(await serving()).toBe('0,1')
    expect(device.state).toBe('active')
    expect(reason(0)).toBe('')
  })

  it('begins to wait anew whenever the better group is lost', async () => {
    const { host, serving, down, comeUp, setAccess } = await twoControllers({ failback: 30_000 })
    down(0, 1)
    for (let flap = 0; flap < 5; flap++) {
      await comeUp(0)
      await host.clock.advance(20_000)
      expect(await serving()).toBe('2,3')
      if (flap % 2 === 0) down(0)
      else setAccess('transitioning', 0)
      await host.clock.advance(1000)
      setAccess('optimized', 0)
    }
    await comeUp(0)
    await host.clock.advance(30_100)
    expect(await serving()).toBe('0')
  })

  it('by hand waits for failBack', async () => {
    const { device, host, serving, down, comeUp, reason } = await twoControllers({ failback: 'manual' })
    down(0, 1)
    await comeUp(0, 1)
    await host.clock.advance(3_600_000)
    expect(await serving()).toBe('2,3')
    expect(reason(1)).toBe('usable again: I/O goes back to it when that is said by hand')
    device.failBack()
    expect(await serving()).toBe('0,1')
    expect(reason(1)).toBe('')
  })

  it('failBack counts once: what fails after it waits again', async () => {
    const { device, serving, down, comeUp } = await twoControllers({ failback: 'manual' })
    device.failBack()
    down(0, 1)
    await comeUp(0, 1)
    expect(await serving()).toBe('2,3')
  })

  it('to a path that is restored by hand is at once', async () => {
    const { device, host, serving, down, up, comeUp } = await twoControllers({ failback: 'manual' })
    down(0, 1)
    await comeUp(0)
    expect(await serving()).toBe('2,3')
    device.restorePath('fake:0')
    expect(await serving()).toBe('0')
    down(0)
    await host.clock.advance(20_000)
    up(0)
    await host.clock.advance(500)
    expect(await serving()).toBe('0')
    // The hand that restored it is not there the next time.
    down(0)
    await comeUp(0)
    expect(await serving()).toBe('2,3')
  })

  it('waits for nothing where the group in use has become worse by itself', async () => {
    const { serving, setAccess } = await twoControllers({ failback: 'manual' })
    setAccess('standby', 0, 1)
    setAccess('optimized', 2, 3)
    expect(await serving()).toBe('2,3')
    // The storage moves the volume back, in one order of news and in the other.
    setAccess('non-optimized', 0, 1)
    setAccess('non-optimized', 2, 3)
    setAccess('optimized', 0, 1)
    expect(await serving()).toBe('0,1')
    setAccess('optimized', 2)
    expect(await serving()).toBe('0,1,2')
    setAccess('non-optimized', 0, 1)
    expect(await serving()).toBe('2')
  })

  it('waits for nothing where the group in use has become worse than one that is no better than it was', async () => {
    const { target, serving, setAccess, down } = await twoControllers({
      failback: 'manual',
      priorities: { 'fake:0': 5, 'fake:1': 5 },
    })
    setAccess('non-optimized', 0, 1)
    setAccess('optimized', 2)
    down(1, 3)
    expect(await serving()).toBe('2')
    target.path(2).setAccess('non-optimized')
    expect(await serving()).toBe('0')
  })

  it('leaves a group that has no path any more for a worse one at once', async () => {
    const { serving, down } = await twoControllers({ failback: 'manual' })
    down(0)
    expect(await serving()).toBe('1')
    down(1)
    expect(await serving()).toBe('2,3')
    down(2)
    expect(await serving()).toBe('3')
  })

  it('does not wait while the paths come up after none was left', async () => {
    const { host, serving, setAccess } = await twoControllers({ failback: 'manual' })
    setAccess('unavailable', 0, 1, 2, 3)
    setAccess('non-optimized', 2, 3)
    await host.clock.advance(900)
    setAccess('optimized', 0)
    expect(await serving()).toBe('0')
    setAccess('unavailable', 0, 1, 2, 3)
    setAccess('non-optimized', 2, 3)
    await host.clock.advance(1100)
    setAccess('optimized', 0)
    expect(await serving()).toBe('2,3')
  })

  it('to a group that never took I/O is no failback', async () => {
    const { host, serving, comeUp } = await twoControllers({ failback: 'manual' }, (target) => {
      for (const number of [0, 1]) target.refuse.set(`fake:${number}`, 'not there yet')
    })
    expect(await serving()).toBe('2,3')
    await host.clock.advance(60_000)
    await comeUp(0)
    expect(await serving()).toBe('0')
  })

  it('is told by the events of its paths', async () => {
    const { device, host, down, comeUp } = await twoControllers({ failback: 5000 })
    const told: string[] = []
    device.events.on('path', ({ id, state, standsBack }) => {
      if (id === 'fake:0' && state === 'up') told.push(standsBack === true ? 'waits' : 'serves')
    })
    down(0, 1)
    await comeUp(0)
    await host.clock.advance(6000)
    expect(told).toEqual(['waits', 'waits', 'serves'])
  })

  it('leaves no timer behind', async () => {
    const { device, host, down, comeUp } = await twoControllers({ failback: 30_000 })
    down(0, 1)
    await comeUp(0)
    await host.clock.runUntil(device.close())
    expect(host.clock.timers).toBe(0)
  })

  it('of a wrong kind is refused, as are wrong priorities', async () => {
    await expect(open(1, { multipath: { failback: 'later' as 'manual' } })).rejects.toThrow(
      'failback is later; it must be immediate, manual, or 0 to 2147483647 milliseconds',
    )
    await expect(open(1, { multipath: { failback: -1 } })).rejects.toThrow('failback is -1')
    await expect(open(1, { multipath: { priorities: { x: Number.NaN } } })).rejects.toThrow(
      'priorities[x] is NaN; it must be a number',
    )
  })
})
