import { virtualHost } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import type { MemoryArray } from '../src/index.ts'
import { createMemoryArray, memory } from '../src/index.ts'

/** An array of two controllers with a port each, and a path of one host to each of them. */
async function scene(options: Parameters<typeof createMemoryArray>[0] = {}) {
  const host = virtualHost(1)
  const array = createMemoryArray({ ports: 2, ...options }, host)
  const target = memory({ array }, host)
  const infos = await target.discover()
  const paths = await Promise.all(infos.map((info) => target.connect(info)))
  return { host, array, paths: [paths[0]!, paths[1]!] as const }
}

const accesses = (array: MemoryArray): (string | undefined)[] => array.ports.map(({ luns }) => luns[0]?.access)

describe('a port that the array prefers', () => {
  it('is told by its paths, by an event that may tell the access as it was', async () => {
    const { array, paths } = await scene()
    const told: string[] = []
    paths[1].events.on('access', (access) => void told.push(`${access} ${paths[1].preferred}`))
    array.prefer(0, { controller: 1 }, true)
    array.prefer('all', { port: 1 }, true)
    expect(paths.map(({ preferred }) => preferred)).toEqual([false, true])
    expect(array.ports[1]?.luns[0]).toMatchObject({ access: 'optimized', preferred: true })
    array.run('volume 0 prefer all off')
    array.run('volume all prefer port 0 on')
    expect(paths.map(({ preferred }) => preferred)).toEqual([true, false])
    expect(told).toEqual(['optimized true', 'optimized false'])
    expect(() => array.prefer(0, 'all', 'yes' as never)).toThrow('on is "yes"; it must be true or false')
  })
})

describe('a volume that another host takes', () => {
  it('is at the controller that was asked for', async () => {
    const { array, paths } = await scene()
    array.setAccess(0, { controller: 1 }, 'standby')
    array.take(0, { controller: 1 })
    expect(accesses(array)).toEqual(['standby', 'optimized'])
    array.run('volume 0 take controller 0')
    expect(paths.map(({ access }) => access)).toEqual(['optimized', 'standby'])
    array.unmap(0, 1)
    array.run('volume 0 take port 0')
    expect(() => array.take(0, { port: 1 })).toThrow(/^where is .*port.*; it must be where the volume is mapped$/)
  })
})

describe('a transition that takes its time', () => {
  it('is what the paths are in until it is done, and refuses whoever asks for another one', async () => {
    const { host, array, paths } = await scene({ transitionDelay: 2_000_000, transitionTime: 10_000 })
    array.setAccess(0, { controller: 1 }, 'standby')
    expect(paths[0].transitionTime).toBe(10_000)
    await paths[1].activate?.()
    expect(accesses(array)).toEqual(['transitioning', 'transitioning'])
    await expect(paths[0].activate?.()).rejects.toMatchObject({ code: 'IO_FAILED' })
    await host.clock.advance(1999)
    expect(accesses(array)).toEqual(['transitioning', 'transitioning'])
    await host.clock.advance(2)
    expect(accesses(array)).toEqual(['standby', 'optimized'])
  })

  it('is none where no time is given, and not told where it is not', async () => {
    const { array, paths } = await scene()
    array.setAccess(0, { controller: 1 }, 'non-optimized')
    await paths[1].activate?.()
    expect(accesses(array)).toEqual(['non-optimized', 'optimized'])
    expect(paths[0].transitionTime).toBe(undefined)
    expect(() => createMemoryArray({ transitionTime: 0 })).toThrow(/^transitionTime is 0/)
  })
})
