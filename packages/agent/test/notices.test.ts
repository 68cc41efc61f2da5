import { createHostAgent, Errno, NOT_EXECUTED, PATH_ERROR } from '@blockbraid/core'
import { memory } from '@blockbraid/target-memory'
import { virtualHost } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { createLog } from '../src/log/log.ts'
import { reportEvents } from '../src/pairs/notices.ts'
import { noTransport as transport } from './fixtures/no-transport.ts'

async function pairs(count: number) {
  const host = virtualHost(1)
  const { clock } = host
  const target = memory({ ports: 2, volumes: Array.from({ length: count }, () => ({ size: '1MiB' as const })) }, host)
  const agent = createHostAgent({ targets: [target], host })
  await clock.runUntil(agent.rescan())
  const lines: string[] = []
  const log = createLog(clock, (line, severity = 'info') => lines.push(`${severity}: ${line}`))
  const ids = agent.devices().flatMap(({ kind, id }) => (kind === 'multipath' ? [id] : []))
  const made = []
  for (const [n, device] of ids.entries()) {
    const pair = await clock.runUntil(agent.pair({ name: `vol-${n}`, device, transport }))
    reportEvents(pair, log)
    made.push(pair)
  }
  return { clock, array: target.array, pairs: made, lines, agent }
}

describe('the log of an agent', () => {
  it('has a dozen lines of one LUN that is not ready for three minutes, and stalls and resumes all the while', async () => {
    const { clock, array, pairs: made, lines } = await pairs(1)
    const [pair] = made
    let stalls = 0
    pair!.events.on('stalled', () => stalls++)
    const later = (): void => void clock.after(20, read)
    const read = (): void => void pair!.user.read(0, 4096).then(later, later)
    array.fail({ volume: 0, status: Errno.EAGAIN | PATH_ERROR | NOT_EXECUTED })
    read()
    await clock.advance(180_000)
    array.heal()
    await clock.advance(120_000)
    expect(stalls).toBeGreaterThan(900)
    expect(lines.slice(0, 3)).toEqual([
      expect.stringMatching(/^warning: vol-0: not ready \(EAGAIN .*\); read at block 0, LUN 0 through port [01]$/),
      'error: vol-0: stalled: no usable path, I/O waits',
      'info: vol-0: resumed',
    ])
    expect(lines.some((line) => /stalled and resumed \d{3,4} times in the last 60 s; now: /.test(line))).toBe(true)
    expect(lines.at(-1)).toMatch(/vol-0: .*resumed/)
    expect(lines.length).toBeLessThan(14)
  })

  it('has a few lines where thirty volumes lose a port, and it comes and goes', async () => {
    const { clock, array, lines } = await pairs(30)
    for (let n = 0; n < 20; n++) {
      array.portDown(0)
      await clock.advance(5000)
      array.portUp(0)
      await clock.advance(5000)
    }
    await clock.advance(120_000)
    expect(lines[0]).toMatch(/^warning: vol-0: path memory:\S+\/port0\/lun0 is down: /)
    expect(lines.some((line) => /^warning: 27 more paths through .* are down \(vol-3, /.test(line))).toBe(true)
    expect(lines.length).toBeLessThan(60)
  })
})
