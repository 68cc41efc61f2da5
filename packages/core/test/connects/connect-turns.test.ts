import type { VirtualHost } from '@blockbraid/testkit'
import { virtualHost } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import { ConnectTurns } from '../../src/multipath/connects/connect-turns.ts'

const never = new AbortController().signal

/** Enters one that takes so many milliseconds; `begun` gets its name when it has its place. */
async function enter(
  turns: ConnectTurns,
  { clock }: VirtualHost,
  begun: [string, number][],
  name: string,
  { takes = 5, silent = false, signal = never } = {},
): Promise<void> {
  const place = turns.tryEnter() ?? (await turns.enter(silent, signal))
  begun.push([name, clock.now() / 1000])
  if (takes !== Number.POSITIVE_INFINITY) clock.after(takes, place.leave)
}

const names = (count: number, what: string): string[] => Array.from({ length: count }, (_, index) => `${what}${index}`)

it('a few begin in one turn, the others in their order one by one, each within two milliseconds of the one before', async () => {
  const host = virtualHost(1)
  const turns = new ConnectTurns(host)
  const begun: [string, number][] = []
  for (const name of names(200, 'p')) void enter(turns, host, begun, name)
  await host.clock.advance(0)
  expect(begun.map(([name]) => name)).toEqual(names(8, 'p'))
  await host.clock.advance(400)
  expect(begun.map(([name]) => name)).toEqual(names(200, 'p'))
  const gaps = begun.slice(8).map(([, at], index) => at - begun[index + 7]![1])
  expect(Math.max(...gaps)).toBeLessThanOrEqual(2)
  expect(new Set(gaps).size).toBeGreaterThan(150)
  expect([turns.waiting, host.clock.timers]).toEqual([0, 0])
})

it('32 have a place at most; those that hang give theirs away after a quarter of a second', async () => {
  const host = virtualHost(1)
  const turns = new ConnectTurns(host)
  const begun: [string, number][] = []
  for (const name of names(64, 'hangs')) void enter(turns, host, begun, name, { takes: Number.POSITIVE_INFINITY })
  for (const name of names(10, 'fine')) void enter(turns, host, begun, name)
  await host.clock.advance(249)
  expect(begun).toHaveLength(32)
  await host.clock.advance(300)
  expect(begun.slice(64).map(([name]) => name)).toEqual(names(10, 'fine'))
})

it('those that had no answer last time go behind the others, and are not forgotten', async () => {
  const host = virtualHost(1)
  const turns = new ConnectTurns(host)
  const begun: [string, number][] = []
  for (const name of names(8, 'first')) void enter(turns, host, begun, name)
  for (const name of names(12, 'silent')) void enter(turns, host, begun, name, { silent: true })
  for (const name of names(12, 'fine')) void enter(turns, host, begun, name)
  await host.clock.advance(100)
  const order = begun.slice(8).map(([name]) => name)
  expect(order.slice(0, 16).filter((name) => name.startsWith('fine'))).toEqual(names(12, 'fine'))
  expect(order.filter((name) => name.startsWith('silent'))).toEqual(names(12, 'silent'))
})

it('one that is taken out while it waits does not begin, and keeps nobody', async () => {
  const host = virtualHost(1)
  const turns = new ConnectTurns(host)
  const begun: [string, number][] = []
  for (const name of names(8, 'first')) void enter(turns, host, begun, name)
  const out = new AbortController()
  const waits = enter(turns, host, begun, 'out', { signal: out.signal })
  void enter(turns, host, begun, 'next')
  out.abort()
  await expect(waits).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(enter(turns, host, begun, 'late', { signal: out.signal })).rejects.toMatchObject({ code: 'CLOSED' })
  await host.clock.advance(100)
  expect(begun.map(([name]) => name)).toEqual([...names(8, 'first'), 'next'])
})
