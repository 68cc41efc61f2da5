import { queueDepth } from '@blockbraid/policy-queue-depth'
import { memory } from '@blockbraid/target-memory'
import { createIoView, createViews, policyLoad, selectorSuite, virtualHost } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { latency } from '../src/index.ts'

async function openLoad(bases: readonly number[], selector = latency) {
  const host = virtualHost(1)
  const ports = bases.map((base) => ({ latency: { base, jitter: base / 2 } }))
  const target = memory({ volumes: [{ size: '64MiB' }], ports }, host)
  return { host, array: target.array, load: await policyLoad(host, target, selector) }
}

const share = (shares: readonly number[], index: number): number =>
  shares[index]! / shares.reduce((sum, ios) => sum + ios, 0)

describe('latency', () => {
  it('gives equal paths equal shares', async () => {
    const { load } = await openLoad([200, 200, 200, 200])
    await load.run(4000, { depth: 32 })
    for (const ios of load.shares()) expect(Math.abs(ios - 1000)).toBeLessThan(50)
    await load.close()
  })

  it('gives a path at half the speed a fifth of what the other one gets', async () => {
    const { load } = await openLoad([200, 400])
    await load.run(500, { depth: 32 })
    load.shares()
    await load.run(4000, { depth: 32 })
    expect(Math.abs(share(load.shares(), 1) - 1 / 6)).toBeLessThan(0.03)
    await load.close()
  })

  it('gives a path of twice the weight twice as much in flight', () => {
    const selector = latency()
    const views = createViews(2)
    Object.assign(views[0]!, { latency: 99 })
    Object.assign(views[1]!, { latency: 99, weight: 2 })
    selector.update(views)
    for (let count = 0; count < 300; count++) (selector.select(createIoView()) as (typeof views)[number]).inflight++
    expect(Math.abs(views[1]!.inflight - 200)).toBeLessThan(3)
  })

  it('leaves a path that has become slow, and comes back when it has healed', async () => {
    const { load, array } = await openLoad([1000, 1000])
    array.slow(1, 50_000)
    await load.run(2000, { depth: 8 })
    expect(share(load.shares(), 1)).toBeLessThan(0.05)
    array.slow(1, 0)
    await load.run(10_000, { depth: 8 })
    load.shares()
    await load.run(2000, { depth: 8 })
    expect(Math.abs(share(load.shares(), 1) - 0.5)).toBeLessThan(0.05)
    await load.close()
  })

  it('does 1.5 times as much as queue-depth over two paths one of which is 30 ms longer', async () => {
    const rates: number[] = []
    for (const selector of [queueDepth, latency]) {
      const { load, array, host } = await openLoad([4000, 4000], selector)
      array.slow(1, 30_000)
      const next = (io: { length: number }): void => void (io.length = 65_536)
      await load.run(1000, { depth: 24, next })
      const begun = host.clock.now()
      const { bytes } = await load.run(6000, { depth: 24, next })
      rates.push((bytes / (host.clock.now() - begun)) * 1e6)
      await load.close()
    }
    expect(rates[1]! / rates[0]!).toBeGreaterThan(1.5)
  })
})

selectorSuite({ describe, it }, { create: () => latency(), has: { spreads: true } })
