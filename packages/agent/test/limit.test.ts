import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BlockDevicePair, Rates } from '@blockbraid/core'
import { createEmitter } from '@blockbraid/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseConfig } from '../src/config/load.ts'
import { parseByteRate } from '../src/config/units.ts'
import { oddities } from '../src/format/oddities.ts'
import type { InProcess, Outcome } from './fixtures/terminal.ts'
import { begin, run } from './fixtures/terminal.ts'

const config = (rates: string, socket = '/tmp/x'): string => `control: ${socket}.control
targets: [{ use: memory, volumes: [{ size: 1MiB }], ports: 2 }]
devices:
  - volume: "*"
    name: "vol-{n}"
    rates: ${rates}
    transport: { use: nbd, socket: ${socket} }
`

describe('rates in a config', () => {
  it('have units', () => {
    const rates = '{ iops: 5000, bytesPerSecond: 200MiB/s, burst: 1s }'
    expect(parseConfig(config(rates), 'bb.yaml').devices[0]!.rates).toEqual({
      iops: 5000,
      bytesPerSecond: 200 * 2 ** 20,
      burst: 1000,
    })
    expect([parseByteRate('1.5MiB'), parseByteRate('8 KiB/s'), parseByteRate(9000), parseByteRate('5k')]).toEqual([
      1_572_864,
      8192,
      9000,
      undefined,
    ])
  })

  it.each([
    ['{ iops: 0 }', '6:20: devices[0].rates.iops is 0: it must be a whole number of 1 or more such as 5000'],
    ['{ iops: 1.5 }', '6:20: devices[0].rates.iops is 1.5: it must be a whole number of 1 or more such as 5000'],
    [
      '{ bytesPerSecond: 5k }',
      '6:30: devices[0].rates.bytesPerSecond is "5k": it must be 4096 bytes a second or more, also with a unit KiB, MiB, GiB, TiB or PiB, such as 200MiB/s',
    ],
    [
      '{ bytesPerSecond: 100B }',
      '6:30: devices[0].rates.bytesPerSecond is "100B": it must be 4096 bytes a second or more',
    ],
    ['{ bytes: 5MiB }', '6:14: devices[0].rates.bytes is not a known option: known here: iops, bytesPerSecond, burst'],
    ['{ iops: 5, burst: 2h }', '6:12: devices[0].rates.burst is 7200000; it must be 0 to 3600000 milliseconds'],
  ])('are refused with the place: %s', (rates, text) => {
    expect(() => parseConfig(config(rates), 'bb.yaml')).toThrow(text)
  })
})

it('what a pair is held to is said in words, with how many wait', () => {
  const rates: Rates = { iops: 5000, bytesPerSecond: 200 * 2 ** 20, burst: 100 }
  expect(oddities({ rates })).toEqual(['rates: 5000 IOPS, 200 MiB/s, burst 100 ms'])
  expect(oddities({ rates: { iops: 1, burst: 0 }, throttled: 1 })).toEqual([
    'rates: 1 IOPS, burst 0 ms; 1 I/O waits for them',
  ])
  expect(oddities({ rates, throttled: 63 })[0]).toContain('; 63 I/Os wait for them')
})

describe('blockbraid limit', () => {
  let folder: string
  let agent: InProcess

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bb-limit-'))
    await writeFile(join(folder, 'config.yaml'), config('{ iops: 5000 }', join(folder, 'sock')))
    agent = begin(folder, ['up', 'config.yaml'])
    await expect.poll(() => agent.output.out, { timeout: 10_000 }).toContain('vol-0')
  })
  afterEach(async () => {
    agent.interrupt()
    await agent.ended
    await rm(folder, { recursive: true, force: true })
  })
  const limit = (...words: string[]): Promise<Outcome> =>
    run(folder, 'limit', ...words, '--control', join(folder, 'sock.control'))

  it('shows, exchanges what it names, lifts one or all; ls and stats show it', async () => {
    expect((await limit('vol-0')).out).toBe('vol-0 is held to 5000 IOPS, burst 100 ms\n')
    expect((await limit('vol-0', 'bytes=8MiB/s', 'burst=1s')).out).toBe(
      'vol-0 is held to 5000 IOPS, 8 MiB/s, burst 1000 ms\n',
    )
    const { out } = await limit('vol-0', 'iops=none', '--json')
    expect(JSON.parse(out)).toEqual({
      pair: 'vol-0',
      rates: { bytesPerSecond: 8 * 2 ** 20, burst: 1000 },
      throttled: 0,
    })
    const control = ['--control', join(folder, 'sock.control')]
    for (const command of ['ls', 'stats']) {
      expect((await run(folder, command, ...control)).out).toContain('\n  rates: 8 MiB/s, burst 1000 ms\n')
      const [pair] = JSON.parse((await run(folder, command, '--json', ...control)).out).pairs
      expect(pair.rates).toEqual({ bytesPerSecond: 8 * 2 ** 20, burst: 1000 })
    }
    expect((await limit('vol-0', 'none', 'iops=7')).out).toBe('vol-0 is held to 7 IOPS, burst 100 ms\n')
    expect((await limit('vol-0', 'none')).out).toBe('vol-0 is held to no rates\n')
    expect(agent.output.err).toContain('info: vol-0: held to 7 IOPS, burst 100 ms')
  })

  it.each([
    [['vol-0', 'iops=fast'], 2, 'iops is "fast"; it must be none, or such as 5000'],
    [['vol-0', 'bytes=5 apples'], 2, 'bytes is "5 apples"; it must be none, or such as 200MiB/s'],
    [['vol-0', 'burst=5'], 2, 'burst is "5"; it must be none, or such as 500ms'],
    [['vol-0', 'speed=5'], 2, '"speed=5" is no limit: it must be of iops=5000, bytes=200MiB/s, burst=500ms, or none'],
    [['vol-0', 'toString=5'], 2, '"toString=5" is no limit: it must be of iops=5000'],
    [['vol-0', 'bytes=100'], 1, 'bytesPerSecond is 100; it must be a whole number of 4096 or more'],
    [['vol-7'], 1, 'there is no pair vol-7; up are vol-0'],
  ])('says what is wrong: %j', async (words, code, text) => {
    const outcome = await limit(...words)
    expect(outcome).toMatchObject({ code, out: '' })
    expect(outcome.err).toContain(`blockbraid: ${text}`)
    expect((await limit('vol-0')).out).toBe('vol-0 is held to 5000 IOPS, burst 100 ms\n')
  })
})

it('a double of a pair without rates, as programs have them, is listed as before', async () => {
  const { listOddities } = await import('../src/snapshot/limits.ts')
  const pair = { limits: {}, policyFaults: 0, behind: '', events: createEmitter() } as unknown as BlockDevicePair
  expect(Object.keys(listOddities(pair, (text) => text))).not.toContain('rates')
})
