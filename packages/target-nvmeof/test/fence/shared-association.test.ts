import { BlockError, delay } from '@blockbraid/core'
import { virtualHost } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import { SharedAssociations } from '../../src/fence/shared-associations.ts'
import { DoubleAssociation, place, resetter } from './double.ts'
import { after, QUIESCE, rig } from './rig.ts'

const owner = {}
const refused = new BlockError('CONNECT_FAILED', 'refused')

/** Associations that take a second to open, or fail. */
function slow(fails = () => false) {
  const host = virtualHost()
  const opened: DoubleAssociation[] = []
  const aborted: AbortSignal[] = []
  let tries = 0
  const all = new SharedAssociations(
    host,
    {
      forgets: () => Promise.reject(new Error('nobody asks')),
      open: async (to, { signal }) => {
        tries++
        await delay(host.clock, 1000, signal)
        if (signal?.aborted) {
          aborted.push(signal)
          throw new BlockError('ABORTED', 'aborted')
        }
        if (fails()) throw refused
        const association = new DoubleAssociation(host, {}, to)
        opened.push(association)
        return association
      },
    },
    QUIESCE,
  )
  return { host, all, opened, aborted, tries: () => tries }
}

test('paths of all namespaces share one association, which ends a moment after the last has given it back', async () => {
  const { host, all, opened } = slow()
  const shared = all.at(place)
  expect(all.at({ ...place })).toBe(shared)
  const both = Promise.all([shared.acquire(), shared.acquire()])
  const [first, second] = await host.clock.runUntil(both)
  expect(first).toBe(second)
  expect(await shared.acquire()).toBe(first)
  expect(opened).toHaveLength(1)
  for (let user = 0; user < 3; user++) shared.release()
  await host.clock.advance(100)
  // Discovery is followed by a connect.
  expect(await shared.acquire()).toBe(first)
  await host.clock.advance(5000)
  expect(opened[0]!.closed).toBe(0)
  shared.release()
  await host.clock.advance(1000)
  expect(opened[0]!.closed).toBe(1)
  expect(host.clock.timers).toBe(0)
})

test('another portal, subsystem or host identity has its own', () => {
  const { all } = slow()
  const others = [
    { portal: { host: '10.0.0.2', port: 4420, address: '10.0.0.2:4420' } },
    { subNqn: 'nqn.2026-11.io.blockbraid:other' },
    { hostNqn: 'nqn.2026-11.io.blockbraid:host' },
    { hostId: '00000000-0000-0000-0000-000000000000' },
  ]
  const shared = new Set([all.at(place), ...others.map((other) => all.at({ ...place, ...other }))])
  expect(shared.size).toBe(5)
})

test('a try that nobody waits for any more is called off', async () => {
  const { host, all, aborted, opened } = slow()
  const shared = all.at(place)
  const [one, other] = [new AbortController(), new AbortController()]
  const tries = [one, other].map(({ signal }) => shared.acquire({ signal }).catch((error) => error.code))
  await host.clock.advance(100)
  one.abort()
  await host.clock.advance(100)
  expect(aborted).toHaveLength(0)
  other.abort()
  expect(await host.clock.runUntil(Promise.all(tries))).toEqual(['ABORTED', 'ABORTED'])
  expect(aborted).toHaveLength(1)
  // And who comes then has a new one.
  await host.clock.runUntil(shared.acquire())
  expect(opened).toHaveLength(1)
})

test('a portal that refuses is not asked for each path', async () => {
  const { host, all, tries } = slow(() => true)
  const shared = all.at(place)
  const asked = Array.from({ length: 100 }, () => shared.acquire({ recent: true }).catch((error) => error))
  for (const error of await host.clock.runUntil(Promise.all(asked))) expect(error).toBe(refused)
  expect(tries()).toBe(1)
  await expect(shared.acquire({ recent: true })).rejects.toBe(refused)
  expect(tries()).toBe(1)
  await host.clock.advance(50)
  await host.clock.runUntil(shared.acquire({ recent: true }).catch(() => {}))
  expect(tries()).toBe(2)
})

test('an association that is lost soon again and again is opened less and less often', async () => {
  const { host, all, opened, tries } = slow()
  const shared = all.at(place)
  for (let loss = 0; loss < 5; loss++) {
    await host.clock.runUntil(shared.acquire())
    opened.at(-1)!.lose()
  }
  await expect(shared.acquire({ recent: true })).rejects.toMatchObject({ message: 'cut by the test' })
  expect(tries()).toBe(5)
})

test('a new one is opened while the one before is not fenced, and is no proof', async () => {
  const { host, at } = rig()
  const { shared, association } = await at('a')
  association.open(owner)
  association.lose()
  const fence = shared.fenced(association, owner)
  const again = (await at('a', { id: 2 })).association
  expect(again.usable).toBe(true)
  expect(await after(host, 19_000, fence)).toBe('open')
  expect(await after(host, 2000, fence)).toMatchObject({ by: 'time' })
})

test('one that was lost while it was handed over is not given out', async () => {
  const host = virtualHost()
  const made: DoubleAssociation[] = []
  const all = new SharedAssociations(
    host,
    {
      forgets: () => Promise.reject(new Error('nobody asks')),
      open: async (to) => {
        const association = new DoubleAssociation(host, {}, to)
        if (made.push(association) === 1) association.lose()
        return association
      },
    },
    QUIESCE,
  )
  const shared = all.at(place)
  await expect(shared.acquire()).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
  expect(made[0]!.released).toBe(1)
  await host.clock.advance(100)
  expect(await shared.acquire()).toBe(made[1])
})

test('when the host ends, what is unused is closed, and the rest as soon as it is', async () => {
  const { host, all, at } = rig()
  const { shared, association } = await at('a')
  const { shared: unused, association: idle } = await at('b', { id: 2 })
  unused.release()
  await all.close()
  expect([idle.closed, association.closed]).toEqual([1, 0])
  shared.release()
  await host.clock.advance(0)
  expect(association.closed).toBe(1)
  await expect(shared.acquire()).rejects.toBeDefined()
  expect(host.clock.timers).toBe(0)
})

test('one that ends in order no longer resets others', async () => {
  const { host, all, at } = rig()
  const { association: lost } = await at('a')
  const { shared, association } = await at('b', { id: 2, crossResets: 1 })
  association.answers = resetter(host, 0).answers
  expect(all.fenceBy(lost)).toMatchObject({ by: 'cross-controller reset' })
  shared.release()
  await host.clock.advance(1000)
  expect(association.closed).toBe(1)
  expect(all.fenceBy(lost)).toMatchObject({ by: 'time' })
})
