import { memory } from '@blockbraid/target-memory'
import { createIoView, createViews, policyLoad, selectorSuite, virtualHost } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { failover } from '../src/index.ts'

describe('failover', () => {
  const io = createIoView()
  const [a, b, c] = createViews(3)

  it('stays on a path as long as that is there', () => {
    const selector = failover()
    selector.update([a!, b!, c!])
    expect(selector.select(io)).toBe(a)
    selector.update([b!, c!])
    expect(selector.select(io)).toBe(b)
    selector.update([a!, b!, c!])
    expect(selector.select(io)).toBe(b)
  })

  it.each([
    ['id', 'path1'],
    ['address', 'port 1'],
  ])('goes back to the path that is preferred by its %s', (_by, prefer) => {
    const selector = failover({ prefer })
    selector.update([a!, b!, c!])
    expect(selector.select(io)).toBe(b)
    selector.update([a!, c!])
    expect(selector.select(io)).toBe(a)
    selector.update([c!, a!])
    expect(selector.select(io)).toBe(a)
    selector.update([a!, b!, c!])
    expect(selector.select(io)).toBe(b)
  })

  it('keeps to the order of a list, and to its path where a target has several', () => {
    const other = { ...createViews(1, 'other')[0]!, target: 'second' }
    const selector = failover({ prefer: ['second', 'array'] })
    selector.update([a!, other])
    expect(selector.select(io)).toBe(other)
    selector.update([a!, b!])
    expect(selector.select(io)).toBe(a)
    selector.update([b!, a!])
    expect(selector.select(io)).toBe(a)
  })

  it('says what is wrong with prefer', () => {
    const must = 'it must be the id, the address or the target of a path, or a list of those'
    for (const [prefer, is] of [
      [5, '5'],
      [[''], '[]'],
      [['x', 7], '[x, 7]'],
      [null, 'null'],
    ] as const) {
      expect(() => failover({ prefer } as never)).toThrow(new TypeError(`prefer is ${is}; ${must}`))
    }
  })

  it('has all I/O of a device on one path, and on another one when that goes', async () => {
    const host = virtualHost(1)
    const target = memory({ volumes: [{ size: '1MiB' }], ports: 4, latency: { base: 100 } }, host)
    const load = await policyLoad(host, target, () => failover({ prefer: 'array0 controller 0 port 2' }))
    const preferred = load.device.paths.findIndex(({ address }) => address.endsWith('port 2'))
    await load.run(200, { depth: 8 })
    const expected = [0, 0, 0, 0]
    expected[preferred] = 200
    expect(load.shares()).toEqual(expected)
    target.array.portDown(2)
    await host.clock.advance(10)
    await load.run(200, { depth: 8 })
    expect(load.shares().filter((ios) => ios > 0)).toEqual([200])
    await load.close()
  })
})

selectorSuite({ describe, it }, { create: () => failover(), has: { spreads: false } })
