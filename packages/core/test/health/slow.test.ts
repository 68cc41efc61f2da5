import { simulate } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import type { MultipathOptions, PathSelector } from '../../src/index.ts'
import { Errno, NOT_EXECUTED, PATH_ERROR } from '../../src/index.ts'
import { inTurn } from '../support/rig.ts'
import type { Load, Ward } from './rig.ts'
import { load, openWard, wait } from './rig.ts'

const BUSY = Errno.EAGAIN | PATH_ERROR | NOT_EXECUTED
const MS = 1000

const healths = (ward: Ward) => ward.device.paths.map(({ health }) => health ?? '')

interface Scene {
  readonly seeds?: number
  readonly ports?: number
  readonly multipath?: MultipathOptions
  readonly selector?: () => PathSelector
  readonly clients?: number
  readonly writes?: number
  readonly pause?: number
}

/** A load of 4 clients at once, with a pause of 30 ms, over a device of 4 paths. */
function scene(options: Scene, act: (ward: Ward, io: Load) => Promise<void>): Promise<void> {
  const { seeds = 2, clients = 4, writes = 0.3, pause = 30 } = options
  return simulate(seeds, async (host) => {
    const ward = await openWard(host, options)
    const io = load(ward, clients, pause, writes)
    await act(ward, io)
    await io.stop()
    await ward.device.close()
  })
}

describe('a path that is slower than its equals', () => {
  it('goes last after ten seconds, for a reason in words, and is back when it has healed', () =>
    scene({}, async (ward) => {
      ward.array.slow(2, 100 * MS)
      await wait(ward.host, 7)
      expect(healths(ward)).toEqual(['', '', '', ''])
      await wait(ward.host, 10)
      expect(healths(ward)).toEqual(['', '', 'demoted', ''])
      expect(ward.path(2).reason).toMatch(
        /^demoted for \d+ s: half of its I\/Os took 1\d\d ms or more, of its equals \d+ µs; takes only a few reads until it is well$/,
      )
      expect(ward.device.state).toBe('degraded')
      const before = ward.path(2).ios
      await wait(ward.host, 30)
      const trickle = ward.path(2).ios - before
      expect(trickle).toBeGreaterThan(20)
      expect(trickle).toBeLessThan(300)
      expect(healths(ward)).toEqual(['', '', 'demoted', ''])
      ward.array.slow(2, 0)
      await wait(ward.host, 15)
      expect(healths(ward)).toEqual(['', '', '', ''])
      expect(ward.device.state).toBe('active')
      expect(ward.told.map(({ state }) => state)).toEqual(['demoted', 'well'])
      expect(ward.path(2).ailments).toEqual({ demoted: 1 })
    }))

  it('goes last where reads are hedged, too', () =>
    scene({ seeds: 1, multipath: { hedgeReads: true } }, async (ward) => {
      ward.array.slow(2, 100 * MS)
      await wait(ward.host, 20)
      expect(healths(ward)).toEqual(['', '', 'demoted', ''])
    }))

  it('two of four: both go last', () =>
    scene({}, async (ward) => {
      ward.array.slow(0, 60 * MS)
      ward.array.slow(3, 200 * MS)
      await wait(ward.host, 40)
      expect(healths(ward)).toEqual(['demoted', '', '', 'demoted'])
    }))

  it('three of four, and all of them: none does', () =>
    scene({ seeds: 1 }, async (ward) => {
      for (const port of [0, 1, 2]) ward.array.slow(port, 50 * MS)
      await wait(ward.host, 30)
      ward.array.slow(3, 50 * MS)
      await wait(ward.host, 30)
      expect(ward.told).toEqual([])
    }))

  it('by a tenth, or by less than the floor: it stays', () =>
    scene({ seeds: 1 }, async (ward) => {
      ward.array.slow(1, 30)
      await wait(ward.host, 30)
      ward.array.slow(1, 10 * MS)
      await wait(ward.host, 30)
      expect(ward.told).toEqual([])
    }))

  it('for some seconds now and then: it stays', () =>
    scene({ seeds: 1 }, async (ward) => {
      for (let round = 0; round < 4; round++) {
        ward.array.slow(1, 100 * MS)
        await wait(ward.host, 5)
        ward.array.slow(1, 0)
        await wait(ward.host, 8)
      }
      expect(ward.told).toEqual([])
    }))

  it('in one of six I/Os only: it goes last too', () =>
    scene({}, async (ward) => {
      let turn = 0
      const timer = (): void => {
        ward.array.slow(2, turn++ % 6 === 0 ? 150 * MS : 0)
        if (!over) ward.host.clock.after(40, timer)
      }
      let over = false
      timer()
      await wait(ward.host, 40)
      over = true
      expect(healths(ward)[2]).toBe('demoted')
      expect(ward.told[0]?.reason).toMatch(/^one in ten of its I\/Os took 1\d\d ms or more/)
    }))

  it('and answers hardly anything: it goes last, too', () =>
    scene({ seeds: 1, multipath: { keepAlive: 0 } }, async (ward, io) => {
      ward.array.slow(1, 4000 * MS)
      await wait(ward.host, 150)
      expect(healths(ward)).toEqual(['', 'demoted', '', ''])
      expect(io.longest).toBeLessThan(5000)
    }))

  it('serves where it is the last one left, and heals without reads of others', () =>
    scene({ seeds: 1, ports: 2, writes: 1 }, async (ward) => {
      ward.array.slow(0, 100 * MS)
      await wait(ward.host, 17)
      expect(healths(ward)).toEqual(['demoted', ''])
      ward.array.portDown(1)
      const before = ward.path(0).ios
      await wait(ward.host, 5)
      expect(ward.path(0).ios - before).toBeGreaterThan(20)
      expect(ward.path(0).reason).toMatch(/it serves all the same, as no other path does$/)
      ward.array.portUp(1)
      ward.array.slow(0, 0)
      await wait(ward.host, 60)
      expect(healths(ward)).toEqual(['', ''])
    }))

  it('is never demoted while all others are', () =>
    scene({ seeds: 1, ports: 2 }, async (ward) => {
      let none = 0
      ward.device.events.on('health', () => {
        if (!healths(ward).includes('')) none++
      })
      ward.array.slow(0, 60 * MS)
      await wait(ward.host, 17)
      expect(healths(ward)).toEqual(['demoted', ''])
      ward.array.slow(1, 700 * MS)
      await wait(ward.host, 60)
      expect(none).toBe(0)
    }))

  it('only under load: it does not come and go all the time', () =>
    scene({ seeds: 1, pause: 100, multipath: { slow: { time: 4000, ios: 5 } } }, async (ward) => {
      // As fast as ever whenever it has nothing to do.
      const timer = (): void => {
        const busy = ward.path(1).health === undefined
        ward.array.slow(1, busy ? 100 * MS : 0)
        if (!over) ward.host.clock.after(500, timer)
      }
      let over = false
      timer()
      await wait(ward.host, 360)
      over = true
      const demotions = ward.told.filter(({ state }) => state === 'demoted')
      // After 4 s each, for 8, 16, 32, 64, 128 s.
      expect(demotions.length).toBeGreaterThan(3)
      expect(demotions.length).toBeLessThan(8)
    }))

  it('is not measured against paths of another access', () =>
    scene({ seeds: 1, selector: inTurn }, async (ward) => {
      ward.array.setAccess('all', { controller: 1 }, 'non-optimized')
      ward.array.slow(0, 100 * MS)
      ward.array.slow(2, 100 * MS)
      await wait(ward.host, 30)
      expect(ward.told).toEqual([])
    }))

  it('is left alone with slow: false', () =>
    scene({ seeds: 1, multipath: { slow: false } }, async (ward) => {
      ward.array.slow(0, 100 * MS)
      await wait(ward.host, 30)
      expect(ward.told).toEqual([])
    }))
})

describe('a path that errs', () => {
  it('in bursts of path errors goes last, and comes back', () =>
    scene({}, async (ward) => {
      ward.array.fail({ port: 3, rate: 0.3, status: BUSY })
      await wait(ward.host, 20)
      expect(healths(ward)).toEqual(['', '', '', 'demoted'])
      expect(ward.path(3).reason).toMatch(/: \d\d % of its I\/Os met an error of the path; takes only a few reads/)
      ward.array.heal()
      await wait(ward.host, 60)
      expect(healths(ward)).toEqual(['', '', '', ''])
    }))

  it('as all others do stays, and so does one with few errors', () =>
    scene({ seeds: 1 }, async (ward) => {
      ward.array.fail({ rate: 0.2, status: BUSY })
      await wait(ward.host, 20)
      ward.array.heal()
      await wait(ward.host, 12)
      ward.array.fail({ port: 1, rate: 0.01, status: BUSY })
      await wait(ward.host, 20)
      expect(ward.told).toEqual([])
    }))

  it('stays where the medium errs, or a reservation refuses', () =>
    simulate(1, async (host) => {
      const ward = await openWard(host)
      ward.array.fail({ port: 1, rate: 0.5, status: Errno.ENODATA })
      const io = load(ward, 4, 30)
      await wait(host, 20)
      await io.stop().catch(() => {})
      expect(ward.told).toEqual([])
      await ward.device.close()
    }))
})
