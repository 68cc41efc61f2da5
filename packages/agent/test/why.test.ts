import type { MultipathOptions } from '@blockbraid/core'
import { createHostAgent } from '@blockbraid/core'
import { roundRobin } from '@blockbraid/policy-round-robin'
import type { MemoryOptions } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import { virtualHost } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { formatWhy } from '../src/format/why.ts'
import { explainPair } from '../src/snapshot/why.ts'
import { noTransport as transport } from './fixtures/no-transport.ts'

const WALL = Date.UTC(2026, 10, 26, 6, 0, 0)
const hide = (text: string): string => text

async function open(options: MemoryOptions = {}, multipath: MultipathOptions = {}) {
  const host = virtualHost(1)
  const { clock } = host
  const target = memory({ ports: 2, volumes: [{ size: '1MiB' }], latency: { base: 200, jitter: 0 }, ...options }, host)
  const agent = createHostAgent({ targets: [target], host })
  await clock.runUntil(agent.rescan())
  const [device] = agent.devices().filter(({ kind }) => kind === 'multipath')
  const spec = { name: 'vol-0', device: device!.id, transport, selector: roundRobin, multipath }
  const pair = await clock.runUntil(agent.pair(spec))
  const ios: Promise<unknown>[] = []
  /** Half reads, half writes, in flight. */
  const load = (count = 8): void => {
    for (let n = 0; n < count; n++) {
      const io = n % 4 < 2 ? pair.user.read(n * 4096, 4096) : pair.user.write(n * 4096, new Uint8Array(4096))
      ios.push(io.catch(() => {}))
    }
  }
  /** What the command prints. */
  const told = (): string[] => formatWhy(explainPair(pair, clock, WALL + clock.now() / 1000, hide), 80)
  return { clock, array: target.array, pair, load, told, ios, agent }
}

function fits(lines: readonly string[]): void {
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
}

describe('why', () => {
  it('says that nothing has failed, and since when', async () => {
    const { clock, told } = await open()
    await clock.advance(3_600_000)
    expect(told()).toMatchInlineSnapshot(`
      [
        "vol-0 is active, 2/2 paths up, at 07:00:00Z",
        "no path has failed since 2026-11-26 06:00:00.000Z (60 min), when it was opened",
      ]
    `)
  })

  it('tells of a port that dies under load and comes back: what moved, how it was fenced, how often it was tried', async () => {
    const { clock, array, load, told } = await open({ fenceDelay: 40_000 })
    await clock.advance(1000)
    load()
    await clock.advance(0.1)
    array.portDown(0)
    await clock.advance(3000)
    const during = told()
    array.portUp(0)
    await clock.advance(20_000)
    fits([...during, ...told()])
    expect(during).toMatchInlineSnapshot(`
      [
        "vol-0 is degraded, 1/2 paths up, at 06:00:04Z",
        "  BAD  array0 controller 0 port 0, down since 06:00:01.000 (3 s): port 0 of",
        "       array0 is down; it is tried again by itself",
        "",
        "2026-11-26 06:00:01.000Z, 3 s ago, not over: array0 controller 0 port 0; no I/O",
        "that has ended waited longer than 40 ms",
        "  06:00:01.000      +0 ms  array0 controller 0 port 0 FAILED: port 0 of array0",
        "                           is down",
        "  06:00:01.000      +0 ms  I/O goes through 1 path",
        "  06:00:01.000      +0 ms  2 I/Os of array0 controller 0 port 0 go to other",
        "                           paths at once",
        "  06:00:01.000      +0 ms  2 writes in flight on array0 controller 0 port 0 wait",
        "                           for its fence",
        "  06:00:01.040     +40 ms  array0 controller 0 port 0 is fenced: nothing of it",
        "                           can land any more",
        "  06:00:01.040     +40 ms  2 writes that waited for that go to other paths",
        "  06:00:01.097     +97 ms  array0 controller 0 port 0 cannot be connected, 5",
        "                           tries, the last at 06:00:03.017: port 0 of array0 is",
        "                           down",
      ]
    `)
    expect(told()).toMatchInlineSnapshot(`
      [
        "vol-0 is active, 2/2 paths up, at 06:00:24Z",
        "",
        "2026-11-26 06:00:01.000Z, 23 s ago, over after 4.11 s; no I/O waited longer than",
        "40 ms",
        "  06:00:01.000      +0 ms  array0 controller 0 port 0 FAILED: port 0 of array0",
        "                           is down",
        "  06:00:01.000      +0 ms  I/O goes through 1 path",
        "  06:00:01.000      +0 ms  2 I/Os of array0 controller 0 port 0 go to other",
        "                           paths at once",
        "  06:00:01.000      +0 ms  2 writes in flight on array0 controller 0 port 0 wait",
        "                           for its fence",
        "  06:00:01.040     +40 ms  array0 controller 0 port 0 is fenced: nothing of it",
        "                           can land any more",
        "  06:00:01.040     +40 ms  2 writes that waited for that go to other paths",
        "  06:00:01.097     +97 ms  array0 controller 0 port 0 cannot be connected, 5",
        "                           tries, the last at 06:00:03.017: port 0 of array0 is",
        "                           down",
        "  06:00:05.109    +4.11 s  array0 controller 0 port 0 is up again",
        "  06:00:05.109    +4.11 s  I/O goes through 2 paths",
      ]
    `)
  })

  it('tells of all paths down: since when I/O waits, and what ended with EIO', async () => {
    const { clock, array, load, told, pair } = await open()
    await clock.advance(1000)
    array.portDown(0)
    await clock.advance(200)
    array.portDown(1)
    load(4)
    await clock.advance(5000)
    const during = told()
    await clock.advance(27_000)
    array.portUp(1)
    await clock.advance(15_000)
    expect(pair.state).toBe('degraded')
    fits([...during, ...told()])
    expect(during).toMatchInlineSnapshot(`
      [
        "vol-0 is STALLED, 0/2 paths up, at 06:00:06Z",
        "  BAD  array0 controller 0 port 0, down since 06:00:01.000 (5 s): port 0 of",
        "       array0 is down; it is tried again by itself",
        "  BAD  array0 controller 1 port 1, down since 06:00:01.200 (5 s): port 1 of",
        "       array0 is down; it is tried again by itself",
        "       4 I/Os wait for a path or a fence",
        "",
        "2026-11-26 06:00:01.000Z, 5 s ago, not over: array0 controller 0 port 0, array0",
        "controller 1 port 1",
        "  06:00:01.000      +0 ms  array0 controller 0 port 0 FAILED: port 0 of array0",
        "                           is down",
        "  06:00:01.000      +0 ms  I/O goes through 1 path",
        "  06:00:01.057     +57 ms  array0 controller 0 port 0 cannot be connected, 5",
        "                           tries, the last at 06:00:03.514: port 0 of array0 is",
        "                           down",
        "  06:00:01.200    +200 ms  NO PATH IS USABLE: I/O waits",
        "  06:00:01.200    +200 ms  array0 controller 1 port 1 FAILED: port 1 of array0",
        "                           is down",
        "  06:00:01.254    +254 ms  array0 controller 1 port 1 cannot be connected, 6",
        "                           tries, the last at 06:00:04.972: port 1 of array0 is",
        "                           down",
      ]
    `)
    expect(told()).toMatchInlineSnapshot(`
      [
        "vol-0 is degraded, 1/2 paths up, at 06:00:48Z",
        "  BAD  array0 controller 0 port 0, down since 06:00:01.000 (47 s): port 0 of",
        "       array0 is down; it is tried again by itself",
        "",
        "2026-11-26 06:00:01.000Z, 47 s ago, not over: array0 controller 0 port 0; no I/O",
        "that has ended waited longer than 30.00 s; 4 I/Os ended with EIO",
        "  06:00:01.000      +0 ms  array0 controller 0 port 0 FAILED: port 0 of array0",
        "                           is down",
        "  06:00:01.000      +0 ms  I/O goes through 1 path",
        "  06:00:01.057     +57 ms  array0 controller 0 port 0 cannot be connected, 11",
        "                           tries, the last at 06:00:40.563: port 0 of array0 is",
        "                           down",
        "  06:00:01.200    +200 ms  NO PATH IS USABLE: I/O waits",
        "  06:00:01.200    +200 ms  array0 controller 1 port 1 FAILED: port 1 of array0",
        "                           is down",
        "  06:00:01.254    +254 ms  array0 controller 1 port 1 cannot be connected, 9",
        "                           tries, the last at 06:00:27.995: port 1 of array0 is",
        "                           down",
        "  06:00:31.200   +30.20 s  4 I/Os waited too long: they end with EIO",
        "  06:00:37.214   +36.21 s  array0 controller 1 port 1 is up again",
        "  06:00:37.214   +36.21 s  a path is usable again",
        "  06:00:37.214   +36.21 s  I/O goes through 1 path",
      ]
    `)
  })

  it('tells of a black hole: what had no answer, and how long I/O waited for it', async () => {
    const { clock, array, load, told } = await open()
    await clock.advance(1000)
    array.hang(0)
    load()
    await clock.advance(60_000)
    fits(told())
    expect(told()).toMatchInlineSnapshot(`
      [
        "vol-0 is degraded, 1/2 paths up, at 06:01:01Z",
        "  BAD  array0 controller 0 port 0, down since 06:00:08.843 (52 s): silent for 9",
        "       s: no answer to a keep-alive within 5 s; now: array0 controller 0 port 0",
        "       did not answer within 10000 ms; it is tried again by itself",
        "",
        "2026-11-26 06:00:08.843Z, 52 s ago, not over: array0 controller 0 port 0; no I/O",
        "that has ended waited longer than 7.84 s",
        "  06:00:08.843      +0 ms  array0 controller 0 port 0 FAILED: silent for 9 s: no",
        "                           answer to a keep-alive within 5 s",
        "  06:00:08.843      +0 ms  I/O goes through 1 path",
        "  06:00:08.843      +0 ms  2 I/Os of array0 controller 0 port 0 go to other",
        "                           paths at once",
        "  06:00:08.843      +0 ms  2 writes in flight on array0 controller 0 port 0 wait",
        "                           for its fence",
        "  06:00:08.843      +0 ms  array0 controller 0 port 0 is fenced: nothing of it",
        "                           can land any more",
        "  06:00:08.843      +0 ms  2 writes that waited for that go to other paths",
        "  06:00:18.901   +10.06 s  array0 controller 0 port 0 cannot be connected, 5",
        "                           tries, the last at 06:01:00.820: array0 controller 0",
        "                           port 0 did not answer within 10000 ms",
      ]
    `)
  })

  it('tells of a path that flaps, and is put on probation', async () => {
    const { clock, array, told } = await open({}, { reconnectDelayMax: 1000, flapping: { window: 60_000 } })
    await clock.advance(1000)
    for (let time = 0; time < 5; time++) {
      array.portDown(0)
      await clock.advance(1000)
      array.portUp(0)
      await clock.advance(2000)
    }
    fits(told())
    expect(told()).toMatchInlineSnapshot(`
      [
        "vol-0 is degraded, 2/2 paths up, at 06:00:16Z",
        "  BAD  array0 controller 0 port 0, up since 06:00:14.234 (2 s): on probation for",
        "       3 s: it has failed 5 times within 60 s; takes no I/O while others do, and",
        "       is like the others in 59 s",
        "",
        "2026-11-26 06:00:01.000Z, 15 s ago, not over: array0 controller 0 port 0",
        "  06:00:01.000      +0 ms  array0 controller 0 port 0 FAILED: port 0 of array0",
        "                           is down",
        "  06:00:01.000      +0 ms  I/O goes through 1 path",
        "  06:00:01.057     +57 ms  array0 controller 0 port 0 cannot be connected, 4",
        "                           tries, the last at 06:00:01.980: port 0 of array0 is",
        "                           down",
        "  06:00:02.603    +1.60 s  array0 controller 0 port 0 is up again",
        "  06:00:02.603    +1.60 s  I/O goes through 2 paths",
        "  06:00:04.000    +3.00 s  array0 controller 0 port 0 FAILED: port 0 of array0",
        "                           is down",
        "  06:00:04.000    +3.00 s  I/O goes through 1 path",
        "  06:00:04.093    +3.09 s  array0 controller 0 port 0 cannot be connected, 3",
        "                           tries, the last at 06:00:04.547: port 0 of array0 is",
        "                           down",
        "  06:00:05.000    +4.00 s  array0 controller 0 port 0 is up again",
        "  06:00:05.000    +4.00 s  I/O goes through 2 paths",
        "  06:00:07.000    +6.00 s  array0 controller 0 port 0 FAILED: port 0 of array0",
        "                           is down",
        "  06:00:07.000    +6.00 s  I/O goes through 1 path",
        "  06:00:07.098    +6.10 s  array0 controller 0 port 0 cannot be connected, 3",
        "                           tries, the last at 06:00:07.654: port 0 of array0 is",
        "                           down",
        "  06:00:08.075    +7.08 s  array0 controller 0 port 0 is up again",
        "  06:00:08.075    +7.08 s  I/O goes through 2 paths",
        "  06:00:10.000    +9.00 s  array0 controller 0 port 0 FAILED: port 0 of array0",
        "                           is down",
        "  06:00:10.000    +9.00 s  I/O goes through 1 path",
        "  06:00:10.092    +9.09 s  array0 controller 0 port 0 cannot be connected, 3",
        "                           tries, the last at 06:00:10.516: port 0 of array0 is",
        "                           down",
        "  06:00:11.150   +10.15 s  array0 controller 0 port 0 is up again",
        "  06:00:11.150   +10.15 s  I/O goes through 2 paths",
        "  06:00:13.000   +12.00 s  array0 controller 0 port 0 FAILED: port 0 of array0",
        "                           is down",
        "  06:00:13.000   +12.00 s  I/O goes through 1 path",
        "  06:00:13.000   +12.00 s  array0 controller 0 port 0: on probation: it has",
        "                           failed 5 times within 60 s; has to stay up for 60 s",
        "                           first",
        "  06:00:13.055   +12.05 s  array0 controller 0 port 0 cannot be connected, 3",
        "                           tries, the last at 06:00:13.605: port 0 of array0 is",
        "                           down",
        "  06:00:14.234   +13.23 s  array0 controller 0 port 0 is up again",
      ]
    `)
  })

  it('tells of a path that was taken out by hand, and of access that changes', async () => {
    const { clock, array, told, pair } = await open()
    await clock.advance(1000)
    array.setAccess('all', { controller: 0 }, 'non-optimized')
    await clock.advance(1000)
    await clock.runUntil(pair.failPath(pair.paths[1]!.id))
    await clock.advance(1000)
    fits(told())
    expect(told()).toMatchInlineSnapshot(`
      [
        "vol-0 is degraded, 1/2 paths up, at 06:00:03Z",
        "  BAD  array0 controller 1 port 1, down since 06:00:02.000 (1 s): taken out by",
        "       hand; "blockbraid path restore" lets it in again",
        "",
        "2026-11-26 06:00:01.000Z, 2 s ago, not over: array0 controller 1 port 1",
        "  06:00:01.000      +0 ms  array0 controller 0 port 0 changes from optimized to",
        "                           non-optimized",
        "  06:00:01.000      +0 ms  I/O goes through 1 path",
        "  06:00:02.000    +1.00 s  array0 controller 1 port 1 is taken out by hand",
        "  06:00:02.000    +1.00 s  I/O goes through 1 non-optimized path",
      ]
    `)
  })

  it('keeps the last 32 failovers, 64 lines of each, however long a path is away', async () => {
    const { clock, array, pair } = await open({}, { keepAlive: 0 })
    for (let time = 0; time < 34; time++) {
      array.portDown(0)
      await clock.advance(1000)
      array.portUp(0)
      await clock.advance(62_000)
    }
    expect(pair.failovers).toHaveLength(32)
    array.portDown(0)
    await clock.advance(3 * 3_600_000)
    const last = pair.failovers.at(-1)!
    expect(last.ended).toBeUndefined()
    expect(last.lines.length).toBeLessThanOrEqual(64)
    expect(last.lines.find(({ kind }) => kind === 'unreachable')!.count).toBeGreaterThan(500)
  })
})
