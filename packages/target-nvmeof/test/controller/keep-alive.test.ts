import { describe, expect, it } from 'vitest'
import { KeepAlive } from '../../src/controller/keep-alive.ts'

const MS = 1000

/** Runs an engine up to `end`, milliseconds, with what happens meanwhile; returns when it had something to say. */
function run(
  keepAlive: KeepAlive,
  end: number,
  { answers = () => true, work = () => {} }: { answers?: (at: number) => boolean; work?: (at: number) => void } = {},
): string[] {
  const said: string[] = []
  for (let ms = 0; ms <= end; ms++) {
    work(ms)
    const due = keepAlive.due(ms * MS)
    if (due === 'nothing') continue
    said.push(`${due} ${ms}`)
    if (due === 'lost') break
    if (answers(ms)) keepAlive.answered(ms * MS)
  }
  return said
}

const byCommand = (told: number, asked = 1000): KeepAlive =>
  new KeepAlive({ keepAliveTimeout: told, trafficBased: false }, asked, 0)
const byTraffic = (): KeepAlive => new KeepAlive({ keepAliveTimeout: 1000, trafficBased: true }, 1000, 0)

describe('keep-alive by command', () => {
  it('sends one each half of the timeout, whatever else is sent', () => {
    const keepAlive = byCommand(1000)
    expect(run(keepAlive, 2000, { work: () => keepAlive.worked() })).toEqual([
      'ping 500',
      'ping 1000',
      'ping 1500',
      'ping 2000',
    ])
  })

  it('counts by the shorter of what was asked for and what the controller does', () => {
    expect(run(byCommand(10_000), 1000)).toEqual(['ping 500', 'ping 1000'])
    expect(run(byCommand(400), 500)).toEqual(['ping 200', 'ping 400'])
    expect(run(byCommand(0), 500)).toEqual(['ping 500'])
  })

  it('gives a controller up that does not answer for half a timeout', () => {
    expect(run(byCommand(1000), 3000, { answers: (at) => at < 1000 })).toEqual(['ping 500', 'ping 1000', 'lost 1501'])
  })

  it('reads what has come while this process was held up, before it gives up', () => {
    const keepAlive = byCommand(1000)
    expect(keepAlive.due(500 * MS)).toBe('ping')
    // Nothing ran for 10 seconds: the answer stands in the socket.
    expect(keepAlive.due(10_000 * MS)).toBe('nothing')
    expect(keepAlive.deadline).toBe(10_001 * MS)
    keepAlive.answered(10_000 * MS)
    expect(keepAlive.due(10_001 * MS)).toBe('nothing')
    expect(keepAlive.deadline).toBe(10_500 * MS)
  })

  it('is not put off by an answer that nobody asked for', () => {
    const keepAlive = byCommand(1000)
    keepAlive.answered(499 * MS)
    expect(keepAlive.due(500 * MS)).toBe('ping')
  })
})

describe('keep-alive by traffic', () => {
  it('sends none as long as commands are answered, and one as soon as none is', () => {
    const keepAlive = byTraffic()
    const work = (at: number): void => {
      if (at % 100 === 50 && at < 2000) keepAlive.worked()
    }
    expect(run(keepAlive, 2500, { work })).toEqual(['ping 2250', 'ping 2500'])
  })

  it('is not deceived by the answer to a command that is older than the last look', () => {
    const keepAlive = byTraffic()
    // A command of the time 100 is answered at 400: it was sent before the look at 250.
    const work = (at: number): void => {
      if (at === 400 && keepAlive.since <= 100 * MS) keepAlive.worked()
    }
    expect(run(keepAlive, 500, { work })).toEqual(['ping 250', 'ping 500'])
  })

  it('never leaves the controller without a sign for a whole timeout', () => {
    for (let last = 0; last < 1000; last += 7) {
      const keepAlive = byTraffic()
      const work = (at: number): void => {
        if (at <= last) keepAlive.worked()
      }
      const first = run(keepAlive, 3000, { work })[0] as string
      expect(Number(first.split(' ')[1]) - last).toBeLessThanOrEqual(500)
    }
  })
})
