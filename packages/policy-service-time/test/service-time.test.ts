import { memory } from '@blockbraid/target-memory'
import { createIoView, createViews, policyLoad, selectorSuite, virtualHost } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { serviceTime } from '../src/index.ts'

/** A device over ports of these latencies, µs. */
async function openLoad(bases: readonly number[]) {
  const host = virtualHost(1)
  const ports = bases.map((base) => ({ latency: { base, jitter: base / 2 }, queueDepth: 64 }))
  const target = memory({ volumes: [{ size: '64MiB' }], ports }, host)
  return { host, array: target.array, load: await policyLoad(host, target, serviceTime) }
}

const share = (shares: readonly number[], index: number): number =>
  shares[index]! / shares.reduce((sum, ios) => sum + ios, 0)

describe('service-time', () => {
  it('gives equal paths equal shares', async () => {
    const { load } = await openLoad([200, 200, 200, 200])
    await load.run(4000, { depth: 32 })
    for (const ios of load.shares()) expect(Math.abs(ios - 1000)).toBeLessThan(50)
    await load.close()
  })

  it('gives a path at a quarter of the speed less than a tenth', async () => {
    const { load } = await openLoad([200, 200, 200, 800])
    await load.run(500, { depth: 32 })
    load.shares()
    await load.run(4000, { depth: 32 })
    expect(share(load.shares(), 3)).toBeLessThan(0.1)
    await load.close()
  })

  it('lets large I/Os weigh more than small ones', () => {
    const selector = serviceTime()
    const [a, b] = createViews(2)
    selector.update([a!, b!])
    Object.assign(a!, { inflight: 1, inflightBytes: 1048576, throughput: 1e6 })
    Object.assign(b!, { inflight: 4, inflightBytes: 16384, throughput: 1e6 })
    expect(selector.select(createIoView())).toBe(b)
  })

  it('gives a path of twice the weight twice as much in flight', () => {
    const selector = serviceTime()
    const views = createViews(2)
    views[1]!.weight = 2
    selector.update(views)
    for (let count = 0; count < 300; count++) {
      const view = selector.select(createIoView()) as (typeof views)[number]
      view.inflight++
      view.inflightBytes += 4096
      view.throughput = 1e6 * (view.inflight + 1)
    }
    expect(Math.abs(views[1]!.inflight - 200)).toBeLessThan(3)
  })

  it('tries a path that was slow once again each second, and uses it once it has healed', async () => {
    const { load, array, host } = await openLoad([1000, 1000])
    array.slow(1, 50_000)
    await load.run(1000, { depth: 4 })
    expect(share(load.shares(), 1)).toBeLessThan(0.05)
    array.slow(1, 0)
    await host.clock.advance(1000)
    await load.run(500, { depth: 4 })
    load.shares()
    await load.run(4000, { depth: 4 })
    expect(share(load.shares(), 1)).toBeGreaterThan(0.3)
    await load.close()
  })
})

selectorSuite({ describe, it }, { create: () => serviceTime(), has: { spreads: true } })
