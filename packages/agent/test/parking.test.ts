import type { BlockDevicePair, PairEvents } from '@blockbraid/core'
import { createEmitter } from '@blockbraid/core'
import { createVirtualClock } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import { formatListing } from '../src/format/listing.ts'
import { formatStats } from '../src/format/stats.ts'
import { createLog } from '../src/log/log.ts'
import { reportEvents } from '../src/pairs/notices.ts'
import type { PairListing } from '../src/snapshot/listing.ts'

it('what waits for long is in the log, with how much time it has left', () => {
  const events = createEmitter<PairEvents>()
  const lines: string[] = []
  const log = createLog(createVirtualClock(), (line, severity = 'info') => lines.push(`${severity}: ${line}`))
  reportEvents({ id: 'vol-0', events, paths: [], guards: [], limits: {} } as unknown as BlockDevicePair, log)
  events.emit('parking', { parked: 12, bytes: 49_152, waited: 15_000, left: 15_000 })
  expect(lines).toEqual([
    'warning: vol-0: 12 I/Os wait (48 KiB) for a path or a fence, the first for 15 s; in 15 s that ends with EIO',
  ])
})

it('ls says of a path how many changes wait for its fence, and for how long; stats says how much was refused', () => {
  const pair = {
    name: 'vol-0',
    volume: 'naa.60',
    size: 2 ** 30,
    blockSize: 512,
    policy: 'round-robin',
    state: 'degraded',
    node: '',
    tookOver: false,
    parked: 3,
    paths: [
      {
        id: 'a',
        target: 'array',
        address: '192.0.2.1',
        access: 'optimized',
        state: 'fencing',
        inflight: 0,
        ios: 1,
        bytes: 0,
        errors: 3,
        latencyUs: 1,
        since: '2026-11-26T00:00:00.000Z',
        reason: 'the cable was pulled; waits for its fence: time, assumed',
        held: { ios: 3, bytes: 12_288 },
      },
    ],
  } as PairListing
  const listing = formatListing({ pairs: [pair] }, new Map(), 160, Date.parse('2026-11-26T00:00:12.000Z'))
  expect(listing.join('\n')).toContain(
    'the cable was pulled; waits for its fence: time, assumed; 3 changes wait for that, for 12 s so far',
  )
  const stats = { name: 'vol-0', policy: '', state: 'stalled', parked: 2, queued: 0, refused: 7, paths: [] }
  expect(formatStats({ pairs: [stats] }, 100)[0]).toContain('2 I/Os wait, 7 I/Os refused: too much waited')
})
