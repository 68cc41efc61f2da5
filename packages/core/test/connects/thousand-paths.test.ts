import { createMemoryArray, memory } from '@blockbraid/target-memory'
import { virtualHost } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import type { BlockDevicePair, ConnectOptions, PathInfo, Target, Transport } from '../../src/index.ts'
import { createEmitter, createHostAgent, OK } from '../../src/index.ts'
import { send } from '../support/submit.ts'

const VOLUMES = 100
const PORTS = 10
// Of each volume's paths the last two lead into a black hole when all come back.
const SILENT = 2

interface Start {
  readonly id: string
  readonly at: number
}

/** A hundred pairs with ten paths each, over one array; `starts` are their tries to connect. */
async function thousand(seed: number) {
  const host = virtualHost(seed)
  const { clock, random } = host
  const array = createMemoryArray(
    { volumes: Array.from({ length: VOLUMES }, () => ({ size: '1MiB' })), ports: PORTS },
    host,
  )
  const inner = memory({ array }, host)
  const starts: Start[] = []
  const holes = new Set<number>()
  /** Tries that have a place. */
  const young = new Set<Start>()
  let most = 0
  const portOf = (id: string): number => Number(/port(\d+)/.exec(id)?.[1])
  const target: Target = {
    name: inner.name,
    events: inner.events!,
    discover: (options) => inner.discover(options),
    async connect(info: PathInfo, options: ConnectOptions = {}) {
      const start: Start = { id: info.id, at: clock.now() }
      starts.push(start)
      young.add(start)
      most = Math.max(most, young.size)
      clock.after(249, () => young.delete(start))
      if (holes.has(portOf(info.id)))
        await new Promise((_, reject) => options.signal?.addEventListener('abort', reject))
      await new Promise<void>((resolve) => clock.after(2 + random() * 10, resolve))
      young.delete(start)
      return inner.connect(info, options)
    },
    close: (options) => inner.close(options),
  }
  const transport: Transport = {
    name: 'fake',
    attach: async (_, { name }) => ({
      node: name,
      events: createEmitter<{ lost: Error }>(),
      resize: async () => {},
      detach: async () => {},
    }),
    close: async () => {},
  }
  const multipath = { connectTimeout: 1000, keepAlive: 0 }
  const agent = createHostAgent({ targets: [target], host })
  await clock.runUntil(agent.rescan())
  const volumes = agent.devices().filter(({ kind }) => kind === 'multipath')
  const pairs: BlockDevicePair[] = await clock.runUntil(
    Promise.all(volumes.map(({ id }, index) => agent.pair({ name: `v${index}`, device: id, transport, multipath }))),
  )
  const up = (): number => pairs.flatMap(({ paths }) => paths).filter(({ state }) => state === 'up').length
  return { host, clock, array, agent, pairs, starts, holes, up, portOf, most: () => most }
}

/** The most tries that were begun within one turn. */
function mostAtOnce(starts: readonly Start[]): number {
  return Math.max(...Array.from(Map.groupBy(starts, ({ at }) => at).values(), ({ length }) => length))
}

it('a thousand paths come back at once: in order, a few at a time, all up in five seconds, though 200 of them hang', async () => {
  const { clock, array, agent, pairs, starts, holes, up, portOf, most } = await thousand(1)
  expect(up()).toBe(VOLUMES * PORTS)
  expect(mostAtOnce(starts)).toBeLessThanOrEqual(8)
  starts.length = 0
  const asked: string[] = []
  let count = up()
  for (const pair of pairs) {
    const states = new Map(pair.paths.map(({ id, state }) => [id, state]))
    pair.events.on('path', ({ id, state }) => {
      if (state === 'connecting' && states.get(id) !== state) asked.push(id)
      if (state === 'up' && states.get(id) !== state) count++
      else if (state !== 'up' && states.get(id) === 'up') count--
      states.set(id, state)
    })
  }
  for (let port = 0; port < PORTS; port++) array.portDown(port)
  await clock.advance(2000)
  expect(count).toBe(0)

  for (let port = PORTS - SILENT; port < PORTS; port++) holes.add(port)
  for (let port = 0; port < PORTS; port++) array.portUp(port)
  const before = starts.length
  for (const pair of pairs) for (const { id } of pair.paths) pair.restorePath(id)
  const begun = clock.now()
  await clock.runUntil(() => count === VOLUMES * (PORTS - SILENT), 60_000)
  const took = Math.round((clock.now() - begun) / 1000)
  console.log(`800 of 1000 paths were up after ${took} ms, and ${starts.length - before} tries`)
  expect(took).toBeLessThan(5000)
  // Those that had no answer are tried again behind the others.
  const begunIds = starts.map(({ id }) => id).filter((id) => !holes.has(portOf(id)))
  const askedIds = asked.filter((id) => !holes.has(portOf(id)))
  expect(begunIds).toEqual(askedIds.slice(0, begunIds.length))
  expect(mostAtOnce(starts)).toBeLessThanOrEqual(8)
  expect(most()).toBe(32)

  // I/O is as fast as ever while 200 hang, and each of those is tried again.
  const { user } = pairs[0]!
  for (let round = 0; round < 5; round++) {
    const { ended } = send(user, 0, 0, 4096)
    const sentAt = clock.now()
    expect(await clock.runUntil(ended)).toBe(OK)
    expect(clock.now() - sentAt).toBeLessThan(1000)
    await clock.advance(1000)
  }
  const silent = starts.filter(({ id }) => holes.has(portOf(id)))
  const tries = Array.from(Map.groupBy(silent, ({ id }) => id).values(), ({ length }) => length)
  expect([tries.length, Math.min(...tries)]).toEqual([VOLUMES * SILENT, expect.any(Number)])
  expect(Math.min(...tries)).toBeGreaterThan(1)
  holes.clear()
  await clock.runUntil(() => count === VOLUMES * PORTS, 30_000)
  await clock.runUntil(agent.close())
})
