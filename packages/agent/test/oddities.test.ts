import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { BlockDevicePair, DeviceLimits, PairEvents, PathStatus } from '@blockbraid/core'
import { createEmitter } from '@blockbraid/core'
import { createVirtualClock } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import { formatListing } from '../src/format/listing.ts'
import { formatStats } from '../src/format/stats.ts'
import { createLog } from '../src/log/log.ts'
import { reportFences } from '../src/pairs/fence-notices.ts'
import { describeLimitChange } from '../src/pairs/limit-changes.ts'
import { listPairs } from '../src/snapshot/listing.ts'
import { countPairs } from '../src/snapshot/stats.ts'

const limits: DeviceLimits = {
  size: 64 * 2 ** 20,
  blockSize: 4096,
  preferredBlockSize: 4096,
  maxTransfer: 2 ** 20,
  queueDepth: 64,
  writeCache: true,
  fua: true,
  trim: true,
  writeZeroes: true,
  readOnly: false,
}

const path: PathStatus = {
  id: 'iscsi:iqn.2026-11.io.example:array/192.0.2.1:3260/lun3',
  target: 'array',
  address: '192.0.2.1:3260',
  state: 'up',
  access: 'optimized',
  inflight: 0,
  ios: 1000,
  bytes: 4_096_000,
  errors: 419,
  retries: 0,
  failures: 0,
  latency: 85,
  latencyHistogram: [],
  since: 0,
  reason: '',
}

const pair = (change: object = {}, paths: readonly PathStatus[] = [path]): BlockDevicePair =>
  ({
    id: 'vol-0',
    volume: 'naa.6b1d0f3a5c7e9b1d0f3a5c7e9b1d0f3a',
    user: { limits },
    limits,
    kernel: { node: '/dev/nbd0' },
    state: 'active',
    parked: 0,
    queued: 0,
    policy: 'round-robin',
    policyFaults: 0,
    behind: '',
    guards: [],
    paths,
    ...change,
  }) as unknown as BlockDevicePair

const hide = (text: string): string => text.replaceAll('hunter2', '(hidden)')
const list = (one: BlockDevicePair) => listPairs([one], createVirtualClock(), 0, hide)

it('what is as usual has no keys of its own', () => {
  expect(Object.keys(list(pair()).pairs[0]!)).not.toContain('limits')
  expect(Object.keys(countPairs([pair()], hide).pairs[0]!)).toEqual([
    ...['name', 'policy', 'state', 'parked', 'queued', 'paths'],
  ])
  expect(Object.keys(countPairs([pair()], hide).pairs[0]!.paths[0]!)).not.toContain('troubles')
})

it('limits and faults of the policy are in ls and stats, in words and as JSON', () => {
  const odd = { readOnly: true, writeCache: false, fua: false, trim: false, writeZeroes: false, maxTransfer: 65536 }
  const sick = pair({ limits: { ...limits, ...odd }, policyFaults: 318 })
  expect(list(sick).pairs[0]).toMatchObject({ limits: odd, policyFaults: 318 })
  expect(countPairs([sick], hide).pairs[0]).toMatchObject({ limits: odd, policyFaults: 318 })
  const words = [
    '  limits: read-only, no write cache, no FUA, no trim, no write zeroes, at most 64 KiB at once',
    '  policy: failed 318 times, the first path served',
  ]
  expect(formatListing(list(sick), new Map(), 100)).toEqual(expect.arrayContaining(words))
  expect(formatStats(countPairs([sick], hide), 100)).toEqual(expect.arrayContaining(words))
})

it('a change of limits in words', () => {
  const now = { ...limits, readOnly: true, writeCache: false, trim: false, maxTransfer: 65536, size: 1 }
  expect(describeLimitChange(limits, now)).toBe(
    'now read-only, write cache off, trim no longer offered, at most 64 KiB at once',
  )
  expect(describeLimitChange(now, limits)).toBe('writable again, write cache on, trim offered, at most 1 MiB at once')
  expect(describeLimitChange(limits, { ...limits, size: 1, queueDepth: 1 })).toBe('')
})

it('a sick path says in ls what was wrong last, and in stats how often, within 80 columns and without secrets', () => {
  const sick = pair({ state: 'degraded' }, [
    {
      ...path,
      reason: `medium error, unrecovered read error (03/11/00); read at block 17, LUN 3 through 192.0.2.1:3260 hunter2`,
      troubles: { busy: 7, 'medium error': 419, 'connection lost hunter2': 1 },
    },
    path,
  ])
  const listing = formatListing(list(sick), new Map(), 80)
  expect(`\n${listing.slice(4).join('\n')}\n`).toMatchInlineSnapshot(`
    "
    |- iscsi:iq...0.2.1:3260/lun3 optimized     up                 0      0    85 us
    |    medium error, unrecovered read error (03/11/00); read at block 17, LUN 3
    |    through 192.0.2.1:3260 (hidden)
    \`- iscsi:iq...0.2.1:3260/lun3 optimized     up                 0      0    85 us
    "
  `)
  const stats = formatStats(countPairs([sick], hide), 80)
  expect(`\n${stats.join('\n')}\n`).toMatchInlineSnapshot(`
    "
    vol-0  round-robin, degraded
      path                             I/Os    bytes  errors  moved  downs  p50  p99
      iscsi:iqn...192.0.2.1:3260/lun3  1000  3.9 MiB     419      0      0    -    -
        medium error 419, busy 7, connection lost (hidden) 1
      iscsi:iqn...192.0.2.1:3260/lun3  1000  3.9 MiB     419      0      0    -    -
    "
  `)
  expect(Math.max(...[...listing, ...stats].map((line) => line.length))).toBeLessThanOrEqual(80)
  expect(countPairs([sick], hide).pairs[0]!.paths[0]!.troubles).toEqual({
    busy: 7,
    'medium error': 419,
    'connection lost (hidden)': 1,
  })
})

const timed = { ...path, fence: { by: 'time', assumed: true } }
const proof = { by: 'time', assumed: true, took: 12_345.6 }

it('ls says where writes would wait for a time that is only assumed, in a line a pair, and JSON for each path', () => {
  const known = { ...path, fence: { by: 'cross-controller reset', assumed: false } }
  const lines = (...paths: PathStatus[]): string[] => formatListing(list(pair({}, paths)), new Map(), 80)
  expect(lines(timed, timed)).toContain('  fence: assumed (time) for every path')
  expect(lines(timed, known)).toContain('  fence: assumed (time) for 1 of 2 paths')
  const none = { ...path, fence: { by: 'nothing', assumed: false } }
  expect(lines(none, known)).toContain('  fence: nothing for 1 of 2 paths')
  expect(lines(known, path).join()).not.toContain('fence')
  expect(list(pair({}, [known, path])).pairs[0]!.paths.map(({ fence }) => fence)).toEqual([known.fence, undefined])
})

it('ls and stats say by what a path was fenced, and how long it took', () => {
  const fenced = { ...path, fenced: proof, fences: { time: 2, 'controller disabled': 7 } }
  expect(list(pair({}, [fenced])).pairs[0]!.paths[0]).toMatchObject({
    fenced: { by: 'time', assumed: true, tookMs: 12_346 },
  })
  const stats = countPairs([pair({}, [fenced])], hide)
  expect(stats.pairs[0]!.paths[0]).toMatchObject({ fences: fenced.fences })
  expect(formatStats(stats, 80).at(-1)).toBe('    fenced: controller disabled 7, time 2')
})

it('each proof is published, and one that took long is in the log', () => {
  const events = createEmitter<PairEvents>()
  const lines: string[] = []
  const log = createLog(createVirtualClock(), (line, severity = 'info') => lines.push(`${severity}: ${line}`))
  const published: unknown[] = []
  const listen = (message: unknown): void => void published.push(message)
  reportFences(pair({ events }), log)
  events.emit('fenced', { path: 'a', by: 'session reinstated', assumed: false, took: 30 })
  subscribe('blockbraid.path.fenced', listen)
  events.emit('fenced', { path: 'b', ...proof })
  unsubscribe('blockbraid.path.fenced', listen)
  expect(published).toEqual([{ pair: 'vol-0', path: 'b', ...proof }])
  expect(lines).toEqual(['info: vol-0: path b was fenced after 12.3 s: time, assumed'])
})
