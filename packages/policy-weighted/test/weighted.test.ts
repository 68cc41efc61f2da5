import { memory } from '@blockbraid/target-memory'
import { createIoView, createViews, policyLoad, selectorSuite, virtualHost } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { weighted } from '../src/index.ts'

/** The order in which paths of these weights are picked. */
function order(weights: readonly number[], count: number): string {
  const selector = weighted()
  const views = createViews(weights.length, '')
  for (const [index, view] of views.entries()) view.weight = weights[index]!
  selector.update(views)
  return Array.from({ length: count }, () => selector.select(createIoView())!.id).join('')
}

const count = (text: string, letter: string): number => text.split(letter).length - 1

describe('weighted', () => {
  it('spreads each path over the round, as evenly as can be', () => {
    expect(order([5, 1, 1], 14)).toBe('00102000010200')
    expect(order([1, 1, 1], 6)).toBe('012012')
  })

  it('keeps to the proportions exactly, for whole weights', () => {
    const picked = order([7, 3, 2, 1], 1300)
    expect(['0', '1', '2', '3'].map((id) => count(picked, id))).toEqual([700, 300, 200, 100])
  })

  it('keeps to them for fractions, and for weights a million times larger than others', () => {
    const picked = order([0.5, 0.25], 300)
    expect(['0', '1'].map((id) => count(picked, id))).toEqual([200, 100])
    expect(count(order([1e6, 1], 1000), '0')).toBeGreaterThanOrEqual(999)
    expect(count(order([1e300, 1e300], 1000), '0')).toBe(500)
  })

  it('gives each path its turn also where the list changes all the time', () => {
    const selector = weighted()
    const views = createViews(3)
    const shares = new Map(views.map((view) => [view.id, 0]))
    for (let step = 0; step < 300; step++) {
      selector.update([...views])
      const { id } = selector.select(createIoView())!
      shares.set(id, shares.get(id)! + 1)
    }
    expect([...shares.values()]).toEqual([100, 100, 100])
  })

  it('sends what the weights say through the paths of a device', async () => {
    const host = virtualHost(1)
    const target = memory({ volumes: [{ size: '1MiB' }], ports: 4, latency: { base: 100 } }, host)
    const load = await policyLoad(host, target, weighted)
    await load.run(2000, { depth: 16 })
    expect(load.shares()).toEqual([500, 500, 500, 500])
    await load.close()
  })
})

selectorSuite({ describe, it }, { create: () => weighted(), has: { spreads: true } })
