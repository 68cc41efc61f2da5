import { describe, expect, it } from 'vitest'
import type { PathView } from '../src/index.ts'
import { OK } from '../src/index.ts'
import { FakeTarget, open, send } from './support/rig.ts'

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
