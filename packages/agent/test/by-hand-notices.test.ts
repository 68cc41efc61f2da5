import { createHostAgent } from '@blockbraid/core'
import { memory } from '@blockbraid/target-memory'
import { virtualHost } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { exchangePolicy } from '../src/control/policy.ts'
import { createLog } from '../src/log/log.ts'
import { reportEvents } from '../src/pairs/notices.ts'
import type { Running } from '../src/running/running.ts'
import { listOddities } from '../src/snapshot/limits.ts'
import { noTransport } from './fixtures/no-transport.ts'

async function bed() {
  const host = virtualHost(1)
  const { clock } = host
  const target = memory({ ports: 2, volumes: [{ size: '1MiB' }] }, host)
  const agent = createHostAgent({ targets: [target], host })
  await clock.runUntil(agent.rescan())
  const lines: string[] = []
  const log = createLog(clock, (line, severity) => lines.push(`${severity}: ${line}`))
  const device = agent.devices().find(({ kind }) => kind === 'multipath')!.id
  const pair = await clock.runUntil(agent.pair({ name: 'vol-0', device, transport: noTransport }))
  reportEvents(pair, log)
  const running = { agent, log, host, config: { folder: import.meta.dirname } } as unknown as Running
  return { clock, array: target.array, pair, lines, running }
}

const path = (end: string): string => `vol-0: path memory:array0/port1/lun0 ${end}`

describe('the log of what is done by hand', () => {
  it('has each time that a path is taken out and let in, with a severity but for the first', async () => {
    const { clock, pair, lines } = await bed()
    const { id } = pair.paths[1]!
    for (let n = 0; n < 3; n++) {
      await clock.runUntil(pair.failPath(id))
      pair.restorePath(id)
      await clock.advance(1000)
    }
    const [down, up] = [path('is down: taken out by hand'), path('is up again')]
    expect(lines).toEqual([
      `undefined: ${down}`,
      `undefined: ${up}`,
      `info: ${down}`,
      `info: ${up}`,
      `info: ${down}`,
      `info: ${up}`,
    ])
  })

  it('counts what goes on and on', async () => {
    const { clock, pair, lines } = await bed()
    const { id } = pair.paths[1]!
    for (let n = 0; n < 20; n++) {
      await clock.runUntil(pair.failPath(id))
      pair.restorePath(id)
      await clock.advance(1000)
    }
    await clock.advance(120_000)
    expect(lines).toHaveLength(11)
    expect(lines[10]).toBe(`info: ${path('is up again')}; 30 more in the last 60 s`)
  })

  it('has a path that is taken out while it is down, and tells of what it fails with later as before', async () => {
    const { clock, array, pair, lines } = await bed()
    array.portDown(1)
    await clock.advance(1000)
    const { id } = pair.paths[1]!
    await clock.runUntil(pair.failPath(id))
    array.portUp(1)
    pair.restorePath(id)
    await clock.advance(1000)
    expect(lines).toEqual([
      expect.stringMatching(/^warning: vol-0: path \S+ is down: /),
      `undefined: ${path('was down, and is taken out by hand')}`,
      `info: ${path('is up again')}`,
    ])
  })

  it('does not put the failures of one policy down to the next', async () => {
    const { clock, pair, running } = await bed()
    const throws = () => ({
      name: 'bad',
      update() {},
      select() {
        throw new Error('no')
      },
    })
    pair.setSelector(throws)
    for (let n = 0; n < 3; n++) await clock.runUntil(pair.user.read(0, 4096))
    const told = () => listOddities(pair, (text) => text).policyFaults
    expect(told()).toBe(3)
    await exchangePolicy(running, { pair: 'vol-0', use: 'queue-depth' })
    expect(told()).toBe(undefined)
    pair.setSelector(throws)
    await clock.runUntil(pair.user.read(0, 4096))
    expect(told()).toBe(1)
    expect(pair.policyFaults).toBe(4)
  })

  it('has each exchange of the policy', async () => {
    const { lines, running } = await bed()
    for (const use of ['queue-depth', 'failover']) await exchangePolicy(running, { pair: 'vol-0', use })
    expect(lines).toEqual([
      'info: vol-0: policy queue-depth in place of none',
      'info: vol-0: policy failover in place of queue-depth',
    ])
  })
})
