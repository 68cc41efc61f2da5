import { createHostAgent } from '@blockbraid/core'
import { memory } from '@blockbraid/target-memory'
import { virtualHost } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import { formatStats } from '../src/format/stats.ts'
import { formatWhy } from '../src/format/why.ts'
import { countPairs } from '../src/snapshot/stats.ts'
import { explainPair } from '../src/snapshot/why.ts'
import { noTransport } from './fixtures/no-transport.ts'

const WALL = Date.UTC(2026, 10, 26, 6, 0, 0)
const hide = (text: string): string => text

it('I/Os that have ended with EIO are counted, and `why` says when the first and the last of them did', async () => {
  const host = virtualHost(1)
  const { clock } = host
  const target = memory({ ports: 1, volumes: [{ size: '1MiB' }] }, host)
  const agent = createHostAgent({ targets: [target], host })
  await clock.runUntil(agent.rescan())
  const device = agent.devices().find(({ kind }) => kind === 'multipath')!.id
  const multipath = { noPathTimeout: 3000, maxParked: 1 }
  const pair = await clock.runUntil(agent.pair({ name: 'vol-0', device, transport: noTransport, multipath }))
  expect(countPairs([pair], hide).pairs[0]).not.toHaveProperty('expired')
  await clock.runUntil(pair.failPath(pair.paths[0]!.id))
  const ended: unknown[] = []
  const read = () => void pair.user.read(0, 4096).catch((error: unknown) => ended.push(error))
  const told = (): string => formatWhy(explainPair(pair, clock, WALL + clock.now() / 1000, hide), 80).join('\n')
  read()
  await clock.advance(4000)
  expect(formatStats(countPairs([pair], hide), 80)[0]).toBe('vol-0  no policy, stalled, 1 I/O ended with EIO')
  expect(told()).toMatch(/:03\.\d{3} +\+3\.00 s {2}1 I\/O waited too long: it ends with EIO/)
  // The second of two is refused at once.
  read()
  read()
  await clock.advance(4000)
  read()
  await clock.advance(4000)
  expect(ended).toHaveLength(4)
  expect(countPairs([pair], hide).pairs[0]).toMatchObject({ refused: 1, expired: 4 })
  expect(formatStats(countPairs([pair], hide), 80)[0]).toContain(', 4 I/Os ended with EIO')
  expect(told().replace(/\s+/g, ' ')).toMatch(
    /06:00:03\.\d{3} \+3\.00 s 4 I\/Os waited too long, the last at 06:00:11\.\d{3}: they end with EIO/,
  )
})
