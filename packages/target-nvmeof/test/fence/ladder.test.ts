import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { delay } from '@blockbraid/core'
import { afterEach, expect, test } from 'vitest'
import type { FenceNews } from '../../src/fence/news.ts'
import type { DoubleAssociation } from './double.ts'
import { Opcode } from './double.ts'
import { after, QUIESCE, rig } from './rig.ts'

const owner = {}
const aborts = ({ sent }: DoubleAssociation): number => sent.filter(([opcode]) => opcode === Opcode.Abort).length
// Nearly all of the time that two periods of 5 s and the assumed 10 s take, and a little more than that.
const ALMOST = 20_100
const REST = 2000

const news: FenceNews[] = []
const hear = (message: unknown): void => void news.push(message as FenceNews)

afterEach(() => {
  unsubscribe('blockbraid.nvmeof.fence', hear)
  news.length = 0
})

test('where nothing that may change data was open, nothing has to be proven, dead or alive', async () => {
  const { host, at } = rig()
  const { shared, association } = await at('a')
  association.open(owner, false)
  expect(await after(host, 0, shared.fenced(association, owner))).toBeUndefined()
  expect(aborts(association)).toBe(0)
  association.lose()
  expect(await after(host, 0, shared.fenced(association, owner))).toBeUndefined()
  expect(association.released).toBe(1)
})

test('a live controller is asked to abort, and its answers are the proof', async () => {
  const { host, at } = rig()
  const { shared, association } = await at('a', { identify: Buffer.alloc(4096) })
  const commands = [association.open(owner), association.open(owner), association.open({})]
  let atOnce = 0
  let most = 0
  association.answers = async () => {
    most = Math.max(most, ++atOnce)
    await delay(host.clock, 10)
    atOnce--
    return {}
  }
  subscribe('blockbraid.nvmeof.fence', hear)
  const fence = shared.fenced(association, owner)
  expect(await after(host, 500, fence)).toBe('open')
  expect(association.sent).toEqual([
    [Opcode.Abort, 1],
    [Opcode.Abort, 1],
  ])
  // ACL 0 is one at once.
  expect(most).toBe(1)
  association.answer(commands[0]!)
  expect(await after(host, 500, fence)).toBe('open')
  association.answer(commands[1]!)
  expect(await after(host, 0, fence)).toEqual({ by: 'answered', assumed: false, took: 1000 })
  expect(association.error).toBeUndefined()
  expect(news).toMatchObject([{ by: 'answered', controller: 1, portal: 'a:4420' }])
})

test('a live controller that does not answer is disabled, which is the proof for all', async () => {
  const { host, at } = rig()
  const { shared, association } = await at('a')
  const other = {}
  association.open(owner)
  association.open(other)
  association.disabling = () => delay(host.clock, 300).then(() => true)
  const fence = shared.fenced(association, owner)
  expect(await after(host, 1900, fence)).toBe('open')
  expect(association.error).toBeUndefined()
  const proof = await after(host, 500, fence)
  expect(proof).toMatchObject({ by: 'controller disabled', assumed: false })
  expect(association.error).toMatchObject({ code: 'TIMED_OUT' })
  expect(await after(host, 0, shared.fenced(association, other))).toMatchObject({
    by: 'controller disabled',
    took: 300,
  })
  expect(association.released).toBe(1)
})

test('a lost path whose admin queue answers is disabled at once, before anybody asks, and no sibling is troubled', async () => {
  const { host, at } = rig()
  const { shared, association } = await at('a')
  const { association: sibling } = await at('b', { id: 2, crossResets: 4 })
  association.open(owner)
  association.disabling = () => delay(host.clock, 150).then(() => true)
  subscribe('blockbraid.nvmeof.fence', hear)
  association.lose()
  expect(await after(host, 150, new Promise(() => {}))).toBe('open')
  expect(await after(host, 0, shared.fenced(association, owner))).toEqual({
    by: 'controller disabled',
    assumed: false,
    took: 150,
  })
  expect(sibling.sent).toEqual([])
  expect(news).toMatchObject([{ subsystem: association.place.subNqn, by: 'controller disabled', took: 150 }])
})

test('where neither can be had, time is the proof, and not before', async () => {
  const { host, at } = rig()
  const { shared, association } = await at('a')
  association.open(owner)
  association.lose()
  const fence = shared.fenced(association, owner)
  expect(await after(host, ALMOST, fence)).toBe('open')
  expect(await after(host, REST, fence)).toMatchObject({ by: 'time', assumed: true })
})

test('a target that has raised KATO, or states its quiesce time, is given that time', async () => {
  const { host, at } = rig()
  const { shared, association } = await at('a', { keepAliveTimeout: 60_000, quiesceTime: 1000 })
  association.open(owner)
  association.lose()
  const fence = shared.fenced(association, owner)
  expect(await after(host, 121_000, fence)).toBe('open')
  expect(await after(host, REST, fence)).toMatchObject({ by: 'time', assumed: false })
})

test('time begins when nothing is sent any more: an admin queue that is mute does not hold it up for long', async () => {
  const { host, at } = rig()
  const { shared, association } = await at('a', { keepAliveTimeout: 2000, trafficBased: true, quiesceTime: 1000 })
  association.open(owner)
  association.disabling = () => new Promise(() => {})
  await host.clock.advance(5000)
  const begun = host.clock.now()
  association.lose()
  const fence = shared.fenced(association, owner)
  await host.clock.runUntil(() => association.released === 1)
  const quiet = (host.clock.now() - begun) / 1000
  expect(quiet).toBe(1000)
  // Two periods more from then on: the controller may have heard the last of it just before.
  expect(await after(host, 5000, fence)).toBe('open')
  expect(await after(host, 1100, fence)).toMatchObject({ by: 'time' })
})

test('an admin queue that goes on answering is waited for', async () => {
  const { host, at } = rig()
  const { shared, association } = await at('a', { keepAliveTimeout: 500, quiesceTime: 100 })
  association.open(owner)
  association.disabling = async (signal) => {
    for (let poll = 0; poll < 50; poll++) {
      await delay(host.clock, 200)
      if (signal?.aborted) return false
      association.heardAt = host.clock.now()
    }
    return true
  }
  association.lose()
  const fence = shared.fenced(association, owner)
  expect(await after(host, 9900, fence)).toBe('open')
  expect(await after(host, 200, fence)).toMatchObject({ by: 'controller disabled' })
})

test('no time ends a controller that watches nobody', async () => {
  const { host, all, at } = rig()
  const { shared, association } = await at('a', { keepAliveTimeout: 0 })
  expect(all.fenceBy(association)).toEqual({ by: 'nothing', assumed: false })
  association.open(owner)
  association.lose()
  expect(await after(host, 600_000, shared.fenced(association, owner))).toBe('open')
})

test('what could be had in the worst case is told beforehand', async () => {
  const { all, at } = rig()
  const { association } = await at('a')
  expect(all.fenceBy(association)).toEqual({ by: 'time', assumed: true })
  const { association: told } = await at('b', { id: 2, quiesceTime: 100, crossResets: 1 })
  expect(all.fenceBy(told)).toEqual({ by: 'time', assumed: false })
  expect(all.fenceBy(association)).toEqual({ by: 'cross-controller reset', assumed: false })
  told.lose()
  expect(all.fenceBy(association)).toEqual({ by: 'time', assumed: true })
})

test('who ends does not claim a proof', async () => {
  const { host, all, at } = rig()
  const { shared, association } = await at('a')
  association.open(owner)
  association.lose()
  const fence = shared.fenced(association, owner)
  const ended = all.close()
  expect(await after(host, 2 * (ALMOST + QUIESCE), fence)).toBe('open')
  await ended
  expect(association.released).toBe(1)
  expect(host.clock.timers).toBe(0)
})
