import { delay } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import { createRandom, createVirtualClock, randomInt, simulate, type virtualHost } from '../src/index.ts'
import { TimerHeap } from '../src/time/timer-heap.ts'

describe('createVirtualClock', () => {
  it('fires timers in order of their time, then of their making', async () => {
    const clock = createVirtualClock()
    const seen: string[] = []
    const note = (name: string) => () => void seen.push(`${name}@${clock.now()}`)
    clock.after(5, note('late'))
    clock.after(1, note('a'))
    clock.after(1, note('b'))
    const cancelled = clock.after(2, note('cancelled'))
    cancelled.cancel()
    cancelled.cancel()
    clock.after(0.5, note('half'))
    expect(clock.timers).toBe(4)
    await clock.advance(3)
    expect(seen).toEqual(['half@500', 'a@1000', 'b@1000'])
    expect(clock.now()).toBe(3000)
    await clock.advance(2)
    expect(seen.at(-1)).toBe('late@5000')
    expect(clock.timers).toBe(0)
  })

  it('lets promises and deferred calls run between timers', async () => {
    const clock = createVirtualClock()
    const seen: string[] = []
    const work = async (name: string, step: number) => {
      for (let i = 1; i <= 3; i++) {
        await delay(clock, step)
        clock.defer(() => seen.push(`${name}${i}@${clock.now() / 1000}`))
      }
    }
    await clock.runUntil(Promise.all([work('x', 2), work('y', 3)]))
    expect(seen).toEqual(['x1@2', 'y1@3', 'x2@4', 'y2@6', 'x3@6', 'y3@9'])
  })

  it('draws the order of simultaneous timers from the seed', async () => {
    const order = async (seed?: number): Promise<string> => {
      const clock = createVirtualClock(seed)
      const seen: number[] = []
      for (let i = 0; i < 8; i++) clock.after(1, () => seen.push(i))
      await clock.advance(1)
      return seen.join('')
    }
    expect(await order()).toBe('01234567')
    expect(await order(1)).toBe(await order(1))
    const orders = await Promise.all([1, 2, 3, 4].map(order))
    expect(new Set(orders).size).toBeGreaterThan(1)
  })

  it('runs until a condition holds, and no further', async () => {
    const clock = createVirtualClock()
    let count = 0
    const tick = (): void => {
      count++
      clock.after(1, tick)
    }
    clock.after(1, tick)
    await clock.runUntil(() => count === 5)
    expect(clock.now()).toBe(5000)
    await expect(clock.runUntil(() => count === 100, 10)).rejects.toThrow('not reached within 10 ms')
    expect(clock.now()).toBe(15_000)
  })

  it('hands on results and errors, and tells when nothing is left to happen', async () => {
    const clock = createVirtualClock()
    expect(await clock.runUntil(delay(clock, 10).then(() => 7))).toBe(7)
    await expect(clock.runUntil(delay(clock, 1).then(() => Promise.reject(new Error('no'))))).rejects.toThrow('no')
    await expect(clock.runUntil(new Promise(() => {}))).rejects.toThrow('nothing is left to happen')
    clock.after(1, () => {
      throw new Error('thrown by a timer')
    })
    await expect(clock.advance(2)).rejects.toThrow('thrown by a timer')
  })
})

describe('TimerHeap', () => {
  it('agrees with a sorted list, with timers cancelled on the way', () => {
    const random = createRandom(5)
    const heap = new TimerHeap()
    const timers = Array.from({ length: 2000 }, (_, sequence) => ({
      due: randomInt(random, 500),
      tie: 0,
      sequence,
      callback: () => {},
    }))
    for (const timer of timers) heap.push(timer)
    const kept = timers.filter(() => random() < 0.3)
    for (const timer of timers) if (!kept.includes(timer)) heap.cancel(timer)
    expect(heap.size).toBe(kept.length)
    const wanted = kept.toSorted((a, b) => a.due - b.due || a.sequence - b.sequence)
    for (const timer of wanted) expect(heap.pop()).toBe(timer)
    expect(heap.pop()).toBeUndefined()
  })
})

describe('createRandom', () => {
  it('repeats itself, differs by seed, and is even', () => {
    const draw = (seed: number) => Array.from({ length: 5 }, createRandom(seed))
    expect(draw(1)).toEqual(draw(1))
    expect(draw(1)).not.toEqual(draw(2))
    expect(draw(1)).not.toEqual(draw(2 ** 32 + 1))
    const random = createRandom(3)
    const buckets = new Array<number>(16).fill(0)
    for (let i = 0; i < 160_000; i++) buckets[randomInt(random, 16)]!++
    for (const count of buckets) expect(Math.abs(count - 10_000)).toBeLessThan(500)
    expect(() => createRandom(Number.NaN)).toThrow(TypeError)
  })
})

describe('simulate', () => {
  it('runs each seed in a host of its own, in virtual time', async () => {
    const seen: string[] = []
    await simulate(3, async ({ seed, clock }) => {
      await delay(clock, 60_000)
      seen.push(`${seed}@${clock.now() / 1e6}`)
    })
    expect(seen).toEqual(['1@60', '2@60', '3@60'])
  })

  it('names the seed that failed, which fails again', async () => {
    const schedule = async ({ random, clock }: ReturnType<typeof virtualHost>) => {
      await delay(clock, 1)
      if (random() > 0.9) throw new Error('unlucky')
    }
    const error = await simulate(1000, schedule).then(
      () => undefined,
      (reason: Error) => reason,
    )
    const seed = Number(/^seed (\d+) failed at 1000 µs: unlucky/.exec(error!.message)?.[1])
    expect(error!.message).toContain(`simulate([${seed}]`)
    await expect(simulate([seed], schedule)).rejects.toThrow(error!.message)
    await simulate([seed - 1], schedule)
  })

  it('reports a schedule that gets stuck', async () => {
    await expect(simulate(1, () => new Promise(() => {}))).rejects.toThrow('nothing is left to happen')
  })
})
