import type { Debt } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import { ANYTHING, BlockHistory, createSharedLedger, killableHost, virtualHost } from '../src/index.ts'

describe('a block history', () => {
  it('lets a change land until a later one is acknowledged', () => {
    const history = new BlockHistory(0)
    history.submit(1)
    const second = history.submit(2)
    expect([history.read(0), history.read(1)]).toEqual([true, true])
    // What was read does not go back.
    expect(history.read(0)).toBe(false)
    history.acknowledge(second, false)
    expect([history.read(1), history.read(2), history.read(9)]).toEqual([false, true, false])
    expect([0, 1, 2, 9].map((value) => history.mayStandAfterCrash(value))).toEqual([true, true, true, false])
  })

  it('knows what is durable by itself, or by a flush that began after it', () => {
    const history = new BlockHistory(0)
    history.acknowledge(history.submit(1), false)
    const { mark } = history
    history.acknowledge(history.submit(2), false)
    history.flushed(mark, 0)
    expect([0, 1, 2].map((value) => history.mayStandAfterCrash(value))).toEqual([false, true, true])
    history.acknowledge(history.submit(3), true)
    expect([1, 2, 3].map((value) => history.mayStandAfterCrash(value))).toEqual([false, false, true])
  })

  it('lets a lost cache bring older values back, until its user is told, and does not believe a flush that hides it', () => {
    const history = new BlockHistory(0)
    history.acknowledge(history.submit(1), false)
    history.cacheLost(1)
    expect(history.read(0)).toBe(true)
    // Whoever knows of the loss relies on nothing that it may have taken.
    history.flushed(history.mark, 1)
    expect([history.read(0), history.read(1)]).toEqual([true, true])
    // Whoever does not relies on all.
    history.flushed(history.mark, 0)
    expect([history.read(0), history.read(1)]).toEqual([false, true])
  })

  it('allows anything after a trim', () => {
    const history = new BlockHistory(0)
    history.acknowledge(history.submit(ANYTHING), false)
    expect(history.read(77)).toBe(true)
    history.acknowledge(history.submit(1), false)
    expect(history.read(77)).toBe(false)
    expect(history.mayStandAfterCrash(77)).toBe(true)
  })
})

it('a shared ledger shows what ended processes have left, and nothing that they had not written yet', async () => {
  const { clock, random } = virtualHost(1)
  const ledger = createSharedLedger(clock, random)
  const [one, two] = [ledger.process('one'), ledger.process('two')]
  const debt = (token: string): Debt => ({ volume: 'naa.60000000000000000000000000000001', token, path: 'p' })
  await clock.runUntil(Promise.all([one.put(debt('a')), one.put(debt('b'))]))
  await clock.runUntil(one.drop('b'))
  void one.put(debt('late'))
  expect(await two.left(debt('a').volume)).toEqual([])
  one.end()
  await clock.advance(10)
  const left = await two.left(debt('a').volume)
  expect(left).toMatchObject([{ owner: 'one', token: 'a' }])
  await clock.runUntil(left[0]!.settle())
  expect([await two.left(debt('a').volume), ledger.size]).toEqual([[], 0])
})

it('a host that was killed calls nothing back', async () => {
  const below = virtualHost(1)
  const host = killableHost(below)
  const called: string[] = []
  host.clock.after(1, () => called.push('early'))
  host.clock.after(3, () => called.push('late'))
  await below.clock.advance(2)
  host.clock.defer(() => called.push('deferred'))
  host.kill()
  await below.clock.advance(2)
  expect(called).toEqual(['early'])
})
