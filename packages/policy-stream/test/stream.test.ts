import { memory } from '@blockbraid/target-memory'
import {
  createIoView,
  createRandom,
  createViews,
  policyLoad,
  randomInt,
  selectorSuite,
  virtualHost,
} from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { stream } from '../src/index.ts'

const GIB = 2 ** 30

/** Sends sequential streams side by side, with random I/O between; the paths that each stream took. */
function play(streams: number, noise: number, rounds: number): Set<string>[] {
  const selector = stream()
  const views = createViews(4)
  selector.update(views)
  const random = createRandom(3)
  const taken = Array.from({ length: streams }, () => new Set<string>())
  for (let round = 0; round < rounds; round++) {
    for (const [index, paths] of taken.entries()) {
      paths.add(selector.select(createIoView({ offset: index * GIB + round * 65_536, length: 65_536 }))!.id)
      for (let count = 0; count < noise; count++) {
        selector.select(createIoView({ offset: 2 ** 40 + randomInt(random, 2 ** 30) * 4096 }))
      }
    }
  }
  return taken
}

describe('stream', () => {
  it('keeps each of several streams on one path, and gives each path some of them', () => {
    const taken = play(8, 0, 100)
    expect(taken.map(({ size }) => size)).toEqual(Array(8).fill(1))
    expect(new Set(taken.flatMap((paths) => [...paths])).size).toBe(4)
  })

  it('knows a stream again among random I/O', () => {
    for (const paths of play(1, 8, 50)) expect(paths.size).toBeLessThanOrEqual(3)
  })

  it('balances random I/O by what is in flight', () => {
    const selector = stream()
    const views = createViews(4)
    selector.update(views)
    views[0]!.inflight = 5
    const random = createRandom(4)
    for (let count = 0; count < 395; count++) {
      const offset = randomInt(random, 2 ** 30) * 4096
      ;(selector.select(createIoView({ offset })) as (typeof views)[number]).inflight++
    }
    expect(views.map(({ inflight }) => inflight)).toEqual([100, 100, 100, 100])
  })

  it('lets a stream go on elsewhere when its path goes, and keeps the others where they are', () => {
    const selector = stream()
    const views = createViews(3)
    selector.update(views)
    const at = (index: number, step: number): string =>
      selector.select(createIoView({ offset: index * GIB + step * 4096 }))!.id
    const first = [0, 1, 2].map((index) => at(index, 0))
    expect(new Set(first).size).toBe(3)
    selector.update(views.filter(({ id }) => id !== first[1]))
    const second = [0, 1, 2].map((index) => at(index, 1))
    expect([second[0], second[2]]).toEqual([first[0], first[2]])
    expect(second[1]).not.toBe(first[1])
    expect(at(1, 2)).toBe(second[1])
  })

  it('balances flushes', () => {
    const selector = stream()
    const views = createViews(2)
    selector.update(views)
    const picked = Array.from({ length: 4 }, () => selector.select(createIoView({ op: 2, length: 0 }))!.id)
    expect(new Set(picked).size).toBe(2)
  })

  it('has the streams of a device on one path each', async () => {
    const host = virtualHost(1)
    const target = memory({ volumes: [{ size: '64MiB' }], ports: 4, latency: { base: 100, jitter: 50 } }, host)
    const load = await policyLoad(host, target, stream)
    const steps = [0, 0, 0, 0]
    await load.run(400, {
      depth: 4,
      next(io, slot) {
        io.offset = slot * 2 ** 24 + 4096 * steps[slot]!++
        io.length = 4096
      },
    })
    expect(load.shares().toSorted()).toEqual(steps.toSorted())
    await load.close()
  })
})

selectorSuite({ describe, it }, { create: () => stream(), has: { spreads: true } })
