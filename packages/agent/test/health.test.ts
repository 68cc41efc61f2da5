import type { Transport } from '@blockbraid/core'
import { createEmitter, createHostAgent } from '@blockbraid/core'
import { memory } from '@blockbraid/target-memory'
import { virtualHost } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { parseConfig } from '../src/config/load.ts'
import { formatListing } from '../src/format/listing.ts'
import { formatStats } from '../src/format/stats.ts'
import { createLog } from '../src/log/log.ts'
import { reportEvents } from '../src/pairs/notices.ts'
import { listPairs } from '../src/snapshot/listing.ts'
import { countPairs } from '../src/snapshot/stats.ts'

const transport: Transport = {
  name: 'none',
  attach: async () => ({ node: 'none', events: createEmitter(), resize: async () => {}, detach: async () => {} }),
  close: async () => {},
}

describe('a path that is not well', () => {
  it('is shown by ls in the column of the state, with the reason, and told by the log and by stats', async () => {
    const host = virtualHost(1)
    const { clock } = host
    const target = memory({ ports: 2, volumes: [{ size: '1MiB' }] }, host)
    const agent = createHostAgent({ targets: [target], host })
    await clock.runUntil(agent.rescan())
    const device = target.array.volumes[0]!.id
    const pair = await clock.runUntil(agent.pair({ name: 'vol', device, transport }))
    const lines: string[] = []
    reportEvents(
      pair,
      createLog(clock, (line, severity = 'info') => lines.push(`${severity}: ${line}`)),
    )
    for (let time = 0; time < 5; time++) {
      target.array.portDown(0)
      await clock.advance(10)
      target.array.portUp(0)
      await clock.advance(3000)
    }
    const show = () =>
      formatListing(
        listPairs([pair], clock, 0, (text) => text),
        new Map(),
        120,
        0,
      ).join('\n')
    expect(show()).toMatch(/port0\S*\s+optimized\s+probation /)
    expect(show()).toMatch(/on probation for \d+ s: it has failed 5 times within 60 s; takes no I\/O while others do/)
    expect(show()).toMatch(/, degraded$/m)
    await clock.advance(70_000)
    expect(show()).toMatch(/port0\S*\s+optimized\s+up /)
    expect(lines).toContainEqual(
      expect.stringMatching(/^warning: vol: path \S+port0\S+ is on probation: it has failed 5 times within 60 s; has/),
    )
    expect(lines).toContainEqual(
      expect.stringMatching(/^info: vol: path \S+port0\S+ is well again: has stayed up for 60 s on probation$/),
    )
    expect(
      formatStats(
        countPairs([pair], (text) => text),
        100,
      ).join('\n'),
    ).toMatch(/not well: probation 1/)
    await clock.runUntil(pair.close())
  })
})

describe('the config of health', () => {
  const config = (multipath: string): string =>
    `targets: [{ use: memory }]\ndevices:\n  - volume: "*"\n    transport: { use: nbd, socket: /run/x.sock }\n    multipath: ${multipath}\n`

  it('has times with units, and false for what is not wanted', () => {
    const text = config(
      '{ keepAlive: 2s, keepAliveTimeout: 500ms, flapping: { failures: 3, window: 5m }, slow: false }',
    )
    expect(parseConfig(text, 'bb.yaml', {}).devices[0]?.multipath).toEqual({
      keepAlive: 2000,
      keepAliveTimeout: 500,
      flapping: { failures: 3, window: 300_000 },
      slow: false,
    })
  })

  it.each([
    ['{ keepAlive: 5 }', 'multipath.keepAlive is 5: write 5s, or 5ms'],
    ['{ slow: { faktor: 3 } }', 'multipath.slow.faktor is not a known option: did you mean factor?'],
    ['{ slow: { errors: 2 } }', 'multipath.slow.errors is 2: it must be a number from 0 to 1'],
    ['{ flapping: often }', 'multipath.flapping is "often": it must be a mapping, or false'],
  ])('%s is refused', (multipath, message) => {
    expect(() => parseConfig(config(multipath), 'bb.yaml', {})).toThrow(message)
  })
})
