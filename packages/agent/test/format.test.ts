import { describe, expect, it } from 'vitest'
import { formatGuards } from '../src/format/guards.ts'
import { formatListing, rateKey, ratesBetween } from '../src/format/listing.ts'
import { formatNodes } from '../src/format/nodes.ts'
import { formatStats } from '../src/format/stats.ts'
import { formatVolumes, groupByVolume } from '../src/format/volumes.ts'
import type { GuardListing } from '../src/snapshot/guards.ts'
import type { Listing, PairListing, PathListing } from '../src/snapshot/listing.ts'
import type { Stats } from '../src/snapshot/stats.ts'
import { formatCount, formatMicroseconds, formatSize } from '../src/text/amounts.ts'
import { formatTable, shorten, shortenAlike } from '../src/text/table.ts'

const path = (port: number, change: Partial<PathListing> = {}): PathListing => ({
  id: `memory:array0/port${port}/lun0`,
  target: 'array0',
  address: `port${port}`,
  access: 'optimized',
  state: 'up',
  inflight: 8,
  ios: 1000,
  bytes: 4_096_000,
  errors: 0,
  latencyUs: 85,
  since: '2026-11-22T10:00:00.000Z',
  reason: '',
  ...change,
})

const listing: Listing = {
  pairs: [
    {
      name: 'vol-0',
      volume: 'naa.6b1d0f3a5c7e9b1d0f3a5c7e9b1d0f3a',
      size: 64 * 2 ** 20,
      blockSize: 4096,
      policy: 'round-robin',
      state: 'degraded',
      node: 'nbd+unix:///vol-0?socket=/run/blockbraid/vol-0.sock',
      tookOver: false,
      parked: 0,
      paths: [
        path(0),
        path(1, { access: 'non-optimized', inflight: 128, latencyUs: 12_345 }),
        path(2, { access: 'transitioning', state: 'connecting', inflight: 0, latencyUs: 0 }),
        path(3, { access: null, state: 'waiting', inflight: 0, latencyUs: 0, reason: 'port 3 is down\u001b[2J' }),
      ],
    },
    {
      name: 'vol-1',
      volume: 'eui.0123456789abcdef',
      size: 1.5 * 2 ** 40,
      blockSize: 512,
      policy: '',
      state: 'stalled',
      node: '/dev/nbd0',
      tookOver: true,
      parked: 12,
      paths: [path(0, { id: `iscsi:iqn.2026-11.io.blockbraid:${'x'.repeat(60)}/lun1`, state: 'disabled' })],
    },
    {
      name: 'vol-2',
      volume: 'eui.0',
      size: 512,
      blockSize: 512,
      policy: '',
      state: 'stalled',
      node: '',
      tookOver: false,
      parked: 0,
      paths: [],
    },
  ],
}

describe('ls', () => {
  it('is printed on any terminal, however narrow', () => {
    for (const width of [1, 40, 53, 56, 200]) expect(formatListing(listing, new Map(), width).length).toBeGreaterThan(5)
  })

  it('is a tree within 80 columns', () => {
    const rates = new Map([
      [rateKey('vol-0', 'memory:array0/port0/lun0'), 12_345],
      [rateKey('vol-0', 'memory:array0/port1/lun0'), 950],
    ])
    const lines = formatListing(listing, rates, 80)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(`\n${lines.join('\n')}\n`).toMatchInlineSnapshot(`
      "
                                    access        state      in flight   IOPS  latency
      vol-0  naa.6b1d0f3a5c7e9b1d0f3a5c7e9b1d0f3a
        64 MiB in blocks of 4 KiB, round-robin, degraded
        nbd+unix:///vol-0?socket=/run/blockbraid/vol-0.sock
      |- memory:array0/port0/lun0   optimized     up                 8  12.3k    85 us
      |- memory:array0/port1/lun0   non-optimized up               128    950  12.3 ms
      |- memory:array0/port2/lun0   transitioning connecting         0      0        -
      \`- memory:array0/port3/lun0   -             waiting            0      0        -
           port 3 is down?[2J
      vol-1  eui.0123456789abcdef
        1.5 TiB in blocks of 512 B, no policy, STALLED, 12 I/Os wait
        /dev/nbd0, kernel node, taken over
      \`- iscsi:iq..xxxxxxxxxxx/lun1 optimized     disabled           8      0    85 us
      vol-2  eui.0
        512 B in blocks of 512 B, no policy, STALLED, 0 I/Os wait

      \`- no paths
      "
    `)
  })

  it('keeps long ids apart on a terminal, and whole where none is read', () => {
    const ids = ['10.0.0.1', '10.0.1.1', '10.0.0.11'].map(
      (portal) => `iscsi:iqn.2026-11.io.blockbraid:array/${portal}:3260/lun1`,
    )
    const long: Listing = { pairs: [{ ...listing.pairs[0]!, paths: ids.map((id) => path(0, { id })) }] }
    const lines = formatListing(long, new Map(), 80)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(lines.slice(4).map((line) => line.split(' ')[1])).toEqual([
      'iscsi../10.0.0.1:3260/lun1',
      'iscsi../10.0.1.1:3260/lun1',
      'iscs../10.0.0.11:3260/lun1',
    ])
    const whole = formatListing(long, new Map(), Number.POSITIVE_INFINITY)
    for (const [index, id] of ids.entries()) expect(whole[4 + index]).toContain(`- ${id} `)
  })

  it('says so when there is nothing', () => {
    expect(formatListing({ pairs: [] }, new Map(), 80)).toEqual(['no pairs'])
  })

  it('says what is guarded within 80 columns, the first three of many, whatever the names', () => {
    const now = Date.parse('2026-11-22T10:00:00.000Z')
    const guard = (change: Partial<GuardListing>): GuardListing => ({
      offset: 0,
      length: 65_536,
      reads: true,
      path: `iscsi:iqn.2026-11.io.blockbraid:${'x'.repeat(60)}/192.0.2.2:3260/lun1`,
      since: '2026-11-22T09:59:48.000Z',
      reason: '',
      ...change,
    })
    const guards = [
      guard({}),
      guard({ length: null, since: '2026-11-22T09:50:00.000Z', reason: `${'because '.repeat(12)}\u001b[2J` }),
      guard({ offset: 2 ** 53 - 4096, length: null, since: '2026-11-22T02:00:00.000Z' }),
      guard({ offset: 4096 }),
      guard({ offset: 8192 }),
    ]
    const lines = formatListing({ pairs: [{ ...listing.pairs[2]!, guards }] }, new Map(), 80, now)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(`\n${lines.slice(3).join('\n')}\n`).toMatchInlineSnapshot(`
      "

        guarded: 64 KiB at 0: a write through iscs..0/lun1 may still land (since 12 s)
        guarded: all of it: a write through iscs..0/lun1 may still land (since 10 min)
          because because because because because because because because because
          because because because ?[2J
        guarded: all from 9007199254736896 on:
          a write through iscsi:iqn.2../192.0.2.2:3260/lun1 may still land (since 8 h)
        and 2 more: blockbraid guards vol-2
      \`- no paths
      "
    `)
    const whole = formatGuards([{ ...listing.pairs[2]!, guards }, listing.pairs[0]!], 80, now)
    expect(Math.max(...whole.map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(whole.filter((line) => line.includes('reads and writes wait'))).toHaveLength(5)
    // An agent of an earlier version tells of none.
    const { guards: _none, ...older } = listing.pairs[2]!
    expect(formatListing({ pairs: [older as PairListing] }, new Map(), 80)).not.toHaveLength(0)
  })

  it('counts IOPS between two listings, and none for a path that came between them', () => {
    const before: Listing = { pairs: [{ ...listing.pairs[0]!, paths: [path(0), path(1)] }] }
    const after: Listing = {
      pairs: [{ ...listing.pairs[0]!, paths: [path(0, { ios: 1500 }), path(1, { ios: 3 }), path(2)] }],
    }
    expect([...ratesBetween(before, after, 0.25)]).toEqual([
      ['vol-0 memory:array0/port0/lun0', 2000],
      ['vol-0 memory:array0/port1/lun0', 0],
    ])
  })
})

describe('nodes', () => {
  const node = { node: '/dev/nbd0', name: 'vol-0', volume: 'naa.6b1d0f3a5c7e9b1d0f3a5c7e9b1d0f3a' }

  it('are a table within 80 columns, with who uses them', () => {
    const users = Array.from({ length: 4 }, (_value, n) => `mounted at /srv/data/${n}/${'x'.repeat(10)}`)
    const lines = formatNodes(
      [
        { ...node, served: true, users: [] },
        { node: '/dev/ublkb12', name: 'v'.repeat(128), volume: `t10.${'y'.repeat(100)}`, served: false, users },
        { node: '/dev/nbd3', name: '', volume: '', served: false, users: ['process 7 (dd\u001b[2J)'] },
      ],
      80,
    )
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(`\n${lines.join('\n')}\n`).toMatchInlineSnapshot(`
      "
      node          name                        state     volume
      /dev/nbd0     vol-0                       served    naa.6b1d0..d0f3a5c7e9b1d0f3a
      /dev/ublkb12  vvvvvvvv..vvvvvvvvvvvvvvvv  orphaned  t10.yyyyy..yyyyyyyyyyyyyyyyy
        used by  mounted at /srv/data/0/xxxxxxxxxx, mounted at /srv/data/1/xxxxxxxxxx,
                 mounted at /srv/data/2/xxxxxxxxxx, mounted at /srv/data/3/xxxxxxxxxx
      /dev/nbd3     -                           orphaned  -
        used by  process 7 (dd?[2J)
      "
    `)
    expect(formatNodes([], 80)).toEqual(['no kernel nodes'])
  })
})

describe('stats', () => {
  it('is a table a pair within 80 columns', () => {
    const stats: Stats = {
      pairs: [
        {
          name: 'vol-0',
          policy: 'queue-depth',
          state: 'stalled',
          parked: 3,
          queued: 1,
          paths: [0, 1].map((port) => ({
            id: `memory:array0/port${port}/a-rather-long-name-of-a-volume/lun0`,
            state: 'up',
            inflight: 3,
            ios: 123_456_789 * (port + 1),
            bytes: 1_234_567_890_123 * (port + 1),
            errors: 12,
            retries: 34,
            failures: 5,
            latencyUs: 87,
            p50Us: 80,
            p99Us: 2560,
          })),
        },
      ],
    }
    const lines = formatStats(stats, 80)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(`\n${lines.join('\n')}\n`).toMatchInlineSnapshot(`
      "
      vol-0  queue-depth, stalled, 4 I/Os wait
        path                        I/Os    bytes  errors  moved  downs    p50     p99
        memory:a..of-a-volume/lun0  123M  1.1 TiB      12     34      5  80 us  2.6 ms
        memory:a..of-a-volume/lun0  247M  2.2 TiB      12     34      5  80 us  2.6 ms
      "
    `)
    expect(formatStats({ pairs: [] }, 80)).toEqual(['no pairs'])
  })
})

describe('discover', () => {
  it('joins paths of all targets by volume', () => {
    const info = (id: string, volume: 'eui.0123456789abcdef' | 'eui.0123456789abcdee') => ({
      id,
      address: `${id}-portal`,
      volume,
      size: 2 ** 30,
      blockSize: 4096,
      lun: '1',
      product: 'ACME array',
    })
    const volumes = groupByVolume([
      { target: 'a', paths: [info('a/0', 'eui.0123456789abcdef'), info('a/1', 'eui.0123456789abcdee')] },
      { target: 'b', paths: [info('b/0', 'eui.0123456789abcdef')] },
    ])
    expect(volumes.volumes.map(({ paths }) => paths.map(({ id }) => id))).toEqual([['a/0', 'b/0'], ['a/1']])
    expect(`\n${formatVolumes(volumes, 80).join('\n')}\n`).toMatchInlineSnapshot(`
      "
      eui.0123456789abcdef
        1 GiB in blocks of 4 KiB, ACME array
        path  address     lun
        a/0   a/0-portal  1
        b/0   b/0-portal  1
      eui.0123456789abcdee
        1 GiB in blocks of 4 KiB, ACME array
        path  address     lun
        a/1   a/1-portal  1
      "
    `)
    expect(formatVolumes({ volumes: [] }, 80)).toEqual(['no volumes'])
  })
})

describe('amounts', () => {
  it('are short', () => {
    expect([0, 512, 4096, 1536, 2 ** 29, 2 ** 53].map(formatSize)).toEqual([
      '0 B',
      '512 B',
      '4 KiB',
      '1.5 KiB',
      '512 MiB',
      '8 PiB',
    ])
    expect(
      [0, 9999, 10_000, 99_949, 99_950, 999_499, 999_500, 12_345_678, 999_499_999, 999_500_000].map(formatCount),
    ).toEqual(['0', '9999', '10.0k', '99.9k', '100k', '999k', '1.0M', '12.3M', '999M', '1.0G'])
    expect([0, 0.4, 85, 999, 1000, 12_345, 3_000_000].map(formatMicroseconds)).toEqual([
      '-',
      '0 us',
      '85 us',
      '999 us',
      '1.0 ms',
      '12.3 ms',
      '3.0 s',
    ])
  })

  it('texts lose what they begin with alike', () => {
    expect(shortenAlike([], 10)).toEqual([])
    expect(shortenAlike(['short', 'abcdefghijkl'], 10)).toEqual(['short', shorten('abcdefghijkl', 10)])
    expect(shortenAlike(['common-start-A-end-of-it', 'common-start-B-end-of-it'], 16)).toEqual([
      'com..A-end-of-it',
      'com..B-end-of-it',
    ])
    // They differ from the first letter on: there is nothing to leave out but the middle.
    expect(shortenAlike(['A-common-end', 'B-common-end'], 8)).toEqual(['A-..-end', 'B-..-end'])
    for (const width of [0, 1, 2, 3, 4, 5, 9])
      for (const text of shortenAlike(['common-start-A-end', 'common-start-B-end'], width))
        expect(text.length).toBeLessThanOrEqual(width)
  })

  it('texts lose their middle', () => {
    expect(shorten('abcdefghij', 10)).toBe('abcdefghij')
    expect(shorten('abcdefghijk', 8)).toBe('ab..hijk')
    expect(shorten('abcdefghijk', 9)).toBe('abc..hijk')
    expect(shorten('abcdefghijk', 3)).toBe('abc')
    expect(
      formatTable(
        [
          { title: 'a', elastic: true },
          { title: 'b', align: 'right' },
        ],
        [['x'.repeat(30), '5']],
        20,
      ),
    ).toEqual(['a                  b', `${'x'.repeat(5)}..${'x'.repeat(10)}  5`])
  })
})
