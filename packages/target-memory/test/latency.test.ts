import { Errno, PATH_ERROR } from '@blockbraid/core'
import { simulate } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import { memory } from '../src/index.ts'
import { block, flush, rig, turn, write } from './helpers.ts'

it('answers after the latency of the port, and no earlier', async () => {
  const { open, array, host } = rig({ ports: [{ latency: { base: 300 } }, {}] })
  const slow = await open(0)
  const sent = write(slow, 0, block(1))
  await host.clock.advance(0.299)
  expect(sent.status).toBeUndefined()
  expect(array.peek(0, 0, 1)[0]).toBe(0)
  await host.clock.advance(0.002)
  expect(sent.status).toBe(0)
  const fast = write(await open(1), 0, block(2))
  await turn()
  expect(fast.status).toBe(0)
})

it('executes in the order of submit what is due at the same time', async () => {
  const { open, array, host } = rig({ latency: { base: 100 } })
  const path = await open(0)
  const sent = Array.from({ length: 20 }, (_, n) => write(path, 0, block(n)))
  await host.clock.advance(1)
  expect(sent.every(({ status }) => status === 0)).toBe(true)
  expect(array.peek(0, 0, 1)[0]).toBe(19)
})

it('draws jitter from the host, the same for the same seed', async () => {
  const run = async (seed: number): Promise<number[]> => {
    const { open, host } = rig({ latency: { base: 100, jitter: 400 } }, seed)
    const path = await open(0)
    const ends: number[] = []
    const sent = Array.from({ length: 50 }, (_, n) => write(path, n * 4096, block(1)))
    for (const [n, { io }] of sent.entries()) {
      io.done = () => {
        ends[n] = host.clock.now()
      }
    }
    await host.clock.advance(1)
    return ends
  }
  const ends = await run(3)
  expect(ends).toEqual(await run(3))
  expect(ends).not.toEqual(await run(4))
  expect(ends.length).toBe(50)
  expect(Math.min(...ends)).toBeGreaterThanOrEqual(100)
  expect(Math.max(...ends)).toBeLessThanOrEqual(500)
  expect(Math.max(...ends) - Math.min(...ends)).toBeGreaterThan(200)
})

it('works on no more than the queue depth at once, over all paths of the port', async () => {
  const { open, host } = rig({ latency: { base: 100 }, queueDepth: 4 })
  const paths = [await open(0), await open(0)]
  expect(paths[0]!.limits.queueDepth).toBe(4)
  const ends: number[] = []
  for (let n = 0; n < 12; n++) {
    write(paths[n % 2]!, 0, block(1)).io.done = () => ends.push(host.clock.now())
  }
  await host.clock.advance(10)
  expect(ends).toEqual([100, 100, 100, 100, 200, 200, 200, 200, 300, 300, 300, 300])
})

it('adds what slow says, from then on', async () => {
  const { open, array, host } = rig()
  const path = await open(0)
  array.slow(0, 2000)
  const sent = flush(path)
  await host.clock.advance(1.9)
  expect(sent.status).toBeUndefined()
  await host.clock.advance(0.2)
  expect(sent.status).toBe(0)
  array.slow(0, 0)
  const fast = flush(path)
  await turn()
  expect(fast.status).toBe(0)
})

it('gives a fenced path’s room to others', async () => {
  const { open, host } = rig({ latency: { base: 1000 }, queueDepth: 2 })
  const [one, two] = [await open(0), await open(0)]
  for (let n = 0; n < 6; n++) write(one, 0, block(1))
  const other = write(two, 4096, block(2))
  await turn()
  await one.close()
  await host.clock.advance(1.001)
  expect(other.status).toBe(0)
})

// Whatever happens to ports: each Io is done once, nothing succeeds that is not there, nothing changes after the fence.
it('holds its promises over random schedules', async () => {
  await simulate(150, async (host) => {
    const pick = (n: number): number => Math.floor(host.random() * n)
    const latency = pick(2) === 0 ? {} : { base: 50, jitter: 500 }
    const target = memory(
      { volumes: [{ size: '1MiB' }], latency, queueDepth: 1 + pick(8), fenceDelay: pick(300) },
      host,
    )
    const { array } = target
    const infos = await target.discover()
    const wait = (ms: number): Promise<void> => new Promise((resolve) => void host.clock.after(ms, resolve))
    const last = new Map<number, number>()
    const mayBe = new Map<number, Set<number>>()
    let version = 0
    // Each lane owns its block: retry a write until it succeeds, and through a new path only after the fence.
    const lane = async (number: number): Promise<void> => {
      let at = pick(4)
      for (let round = 0; round < 12; round++) {
        const value = 1 + (version++ % 255)
        mayBe.set(number, new Set([...(mayBe.get(number) ?? []), value]))
        for (;;) {
          const path = await target.connect(infos[at]!).catch(() => undefined)
          if (path === undefined) {
            at = (at + 1) % 4
            await wait(0.2)
            continue
          }
          const sent = write(path, number * 4096, block(value))
          const timeout = wait(5 + pick(5)).then(() => 'late' as const)
          const status = await Promise.race([sent.end, timeout])
          await path.close()
          if (sent.status === undefined) throw new Error('close settled before done')
          if (status === 0) break
          if (status !== 'late' && (status & PATH_ERROR) === 0) throw new Error(`status ${status}`)
          at = (at + 1) % 4
        }
        last.set(number, value)
        const found = array.peek(0, number * 4096, 1)[0]
        if (found !== value) throw new Error(`block ${number} holds ${found} after ${value} was acknowledged`)
      }
    }
    let busy = true
    const trouble = (async () => {
      while (busy) {
        const port = pick(4)
        await wait(host.random())
        const kind = pick(6)
        if (kind === 0) array.portDown(port)
        else if (kind === 1) array.hang(port)
        else if (kind === 2) array.slow(port, pick(3) * 200)
        else if (kind === 3) array.fail({ port, rate: 0.5, status: Errno.EIO | PATH_ERROR })
        else if (kind === 4) array.heal()
        for (const { number } of array.ports) {
          if (pick(3) > 0) continue
          array.portUp(number)
          array.release(number)
        }
      }
      for (const { number } of array.ports) {
        array.portUp(number)
        array.release(number)
      }
    })()
    await Promise.all([0, 1, 2, 3, 4, 5].map(lane))
    busy = false
    await trouble
    await wait(100)
    for (const [number, value] of last) {
      const found = array.peek(0, number * 4096, 1)[0]
      if (found !== value) throw new Error(`block ${number} holds ${found} in the end, not ${value}`)
    }
    for (const { commands, paths } of array.ports)
      if (commands + paths > 0) throw new Error('something was left behind')
  })
})
