import { createVirtualClock } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { createLog } from '../src/log/log.ts'
import { formatLine } from '../src/log/report.ts'

function rig() {
  const clock = createVirtualClock()
  const lines: string[] = []
  const log = createLog(clock, (line) => lines.push(line))
  return { clock, lines, log }
}

describe('the log of a running agent', () => {
  it('says of one sick LUN when it begins, a summary a minute, and when it ends', async () => {
    const { clock, lines, log } = rig()
    const stalls = log.flap('vol-1', 'stalled and resumed')
    for (let n = 0; n < 988; n++) {
      stalls.set(true, 'stalled', 'error')
      await clock.advance(91)
      stalls.set(false, 'resumed', 'info')
      await clock.advance(91)
    }
    await clock.advance(300_000)
    expect(lines).toEqual([
      'vol-1: stalled',
      'vol-1: resumed',
      'vol-1: stalled and resumed 330 times in the last 60 s; now: stalled',
      expect.stringMatching(/^vol-1: stalled and resumed 3(29|30) times in the last 60 s; now: /),
      expect.stringMatching(/^vol-1: stalled and resumed 32\d times in the last 6\d s; now: resumed$/),
    ])
    expect(clock.timers).toBe(0)
  })

  it('says each stall at once where they are rare', async () => {
    const { clock, lines, log } = rig()
    const stalls = log.flap('vol-1', 'stalled and resumed')
    for (let n = 0; n < 2; n++) {
      stalls.set(true, 'stalled', 'error')
      await clock.advance(10_000)
      stalls.set(false, 'resumed', 'info')
      await clock.advance(70_000)
    }
    expect(lines).toEqual(['vol-1: stalled', 'vol-1: resumed', 'vol-1: stalled', 'vol-1: resumed'])
  })

  it('says soon that it stays stalled after it went to and fro', async () => {
    const { clock, lines, log } = rig()
    const stalls = log.flap('vol-1', 'stalled and resumed')
    for (let n = 0; n < 20; n++) {
      stalls.set(n % 2 === 0, n % 2 === 0 ? 'stalled' : 'resumed', 'info')
      await clock.advance(100)
    }
    stalls.set(true, 'stalled', 'error')
    await clock.advance(6000)
    expect(lines).toEqual([
      'vol-1: stalled',
      'vol-1: resumed',
      'vol-1: stalled and resumed 10 times in the last 7 s; now: stalled',
    ])
    await clock.advance(200_000)
    stalls.set(false, 'resumed', 'info')
    expect(lines.slice(3)).toEqual(['vol-1: resumed'])
  })

  it('says ever less often of what flaps slowly', async () => {
    const { clock, lines, log } = rig()
    const stalls = log.flap('vol-1', 'stalled and resumed')
    for (let n = 0; n < 60; n++) {
      stalls.set(n % 2 === 0, n % 2 === 0 ? 'stalled' : 'resumed', 'info')
      await clock.advance(6000)
    }
    expect(lines.length).toBeLessThan(14)
  })

  it('says the first trouble of a kind at once, and once a minute how many more', async () => {
    const { clock, lines, log } = rig()
    for (let n = 0; n < 420; n++) {
      log.repeat(`vol-1: medium error; read at block ${n}`, { topic: 'vol-1: medium error', severity: 'error' })
      await clock.advance(100)
    }
    log.repeat('vol-1: busy', { topic: 'vol-1: busy', severity: 'warning', count: 3 })
    await clock.advance(200_000)
    expect(lines).toEqual([
      'vol-1: medium error; read at block 0',
      'vol-1: busy; 3 of them',
      'vol-1: medium error; read at block 419; 419 more in the last 60 s',
    ])
    expect(clock.timers).toBe(0)
  })

  it('says of many that lose the same portal what the first ones say, and then how many', async () => {
    const { clock, lines, log } = rig()
    const crowd = (n: number) => ({ key: 'down p', name: `vol-${n}`, many: 'paths through p are down' })
    for (let n = 0; n < 60; n++) log.flap(`vol-${n}`, 'x').set(true, 'path is down: reset', 'warning', crowd(n))
    await clock.advance(120_000)
    expect(lines).toEqual([
      'vol-0: path is down: reset',
      'vol-1: path is down: reset',
      'vol-2: path is down: reset',
      '57 more paths through p are down (vol-3, vol-4, vol-5, vol-6, vol-7, …); the last: vol-59: path is down: reset',
    ])
    expect(clock.timers).toBe(0)
  })

  it('says the same line once a minute, whoever says it', async () => {
    const { clock, lines, log } = rig()
    for (let n = 0; n < 100; n++) {
      log.report('target a: nobody answers', 'warning')
      await clock.advance(1000)
    }
    expect(lines).toEqual(['target a: nobody answers', 'target a: nobody answers; 59 more in the last 60 s'])
  })

  it('says the first few of what may come in fives, and then how many more', async () => {
    const { clock, lines, log } = rig()
    for (let n = 0; n < 9; n++) log.repeat(`rescan ${n}`, { topic: 'rescan', severity: 'info', atOnce: 5 })
    await clock.advance(200_000)
    expect(lines).toEqual([...[0, 1, 2, 3, 4].map((n) => `rescan ${n}`), 'rescan 8; 4 more in the last 60 s'])
  })

  it('takes no memory for lines that are all different', async () => {
    const { clock, lines, log } = rig()
    for (let n = 0; n < 5000; n++) log.report(`line ${n}`, 'warning')
    expect(lines).toHaveLength(501)
    await clock.advance(61_000)
    expect(lines).toHaveLength(502)
    expect(lines.at(-1)).toBe('line 4999; 4499 more in the last 60 s')
  })

  it('has no timer left when it is closed', () => {
    const { clock, log } = rig()
    log.flap('a', 'b').set(true, 'c', 'error', { key: 'k', name: 'n', many: 'm' })
    log.repeat('a', { topic: 'b', severity: 'error' })
    log.close()
    expect(clock.timers).toBe(0)
  })
})

describe('a line', () => {
  const date = new Date(Date.UTC(2026, 10, 25, 19, 30, 27, 123))

  it('has time and severity, or its priority for the journal, or neither where it answers somebody', () => {
    expect(formatLine('vol-1: stalled', 'error', date, false)).toBe(
      'blockbraid: 2026-11-25T19:30:27.123Z error: vol-1: stalled',
    )
    expect(formatLine('vol-1: stalled', 'error', date, true)).toBe('<3>blockbraid: vol-1: stalled')
    expect(formatLine('vol-1: resumed', 'info', date, true)).toBe('<6>blockbraid: vol-1: resumed')
    for (const journal of [true, false]) {
      expect(formatLine('another agent took over', undefined, date, journal)).toBe(
        'blockbraid: another agent took over',
      )
    }
  })
})
