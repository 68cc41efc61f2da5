import { simulate } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { delay, IoOp } from '../../src/index.ts'
import { FakeTarget, open, send } from '../support/rig.ts'
import type { Ward } from './rig.ts'
import { load, openWard, wait } from './rig.ts'

const isUp = (ward: Ward, port: number) => ward.path(port).state === 'up'

/** Its port goes down for a moment, so often, each time when the path has been up for `up` ms. */
async function flap(ward: Ward, port: number, times: number, up: number): Promise<void> {
  const { array, host } = ward
  for (let time = 0; time < times; time++) {
    await delay(host.clock, up)
    array.portDown(port)
    await delay(host.clock, 5)
    array.portUp(port)
    while (!isUp(ward, port)) await delay(host.clock, 50)
  }
}

describe('a path that flaps', () => {
  it('is on probation after five failures in a minute, whatever the period, and back after it; no byte is lost', async () => {
    const periods = [1, 300, 3000, 7000, 11_000]
    await simulate(periods.length, async (host) => {
      const ward = await openWard(host)
      const io = load(ward, 4, 200)
      await flap(ward, 1, 5, periods[host.seed % periods.length]!)
      await wait(host, 5)
      expect(ward.path(1)).toMatchObject({ health: 'probation', state: 'up', ailments: { probation: 1 } })
      expect(ward.path(1).reason).toMatch(
        /^on probation for \d+ s: it has failed 5 times within 60 s; takes .*, and is like the others in \d+ s$/,
      )
      expect(ward.device.state).toBe('degraded')
      await wait(host, 56)
      expect(ward.path(1).health).toBeUndefined()
      expect(ward.device.state).toBe('active')
      expect(ward.told.map(({ state }) => state)).toEqual(['probation', 'well'])
      expect([0, 2, 3].map((port) => ward.path(port).health)).toEqual([undefined, undefined, undefined])
      await io.stop()
      await ward.device.close()
    })
  })

  it('is left as it is with four failures in a minute, after reboots, or with flapping: false', async () => {
    await simulate([1, 3], async (host) => {
      const ward = await openWard(host, host.seed > 2 ? { multipath: { flapping: false } } : {})
      if (host.seed > 2) await flap(ward, 0, 12, 2000)
      else await flap(ward, 0, 8, 15_000)
      await wait(host, 20)
      expect(ward.told).toEqual([])
      expect(ward.device.state).toBe('active')
      await ward.device.close()
    })
  })

  it('is on probation when it has hung three times in a row, unless that is known so soon that it costs little', async () => {
    const timeouts = [15_000, 300]
    await simulate(timeouts.length, async (host) => {
      const ioTimeout = timeouts[host.seed % timeouts.length]!
      const ward = await openWard(host, { multipath: { ioTimeout, keepAlive: 0, reconnectDelay: 10 } })
      const io = load(ward, 4, 20)
      for (let time = 0; time < 3; time++) {
        ward.array.hang(1)
        while (isUp(ward, 1)) await delay(host.clock, 50)
        ward.array.release(1)
        while (!isUp(ward, 1)) await delay(host.clock, 50)
      }
      if (ioTimeout > 1000)
        expect(ward.path(1).reason).toMatch(/^on probation for \d+ s: 3 times in a row it had no answer;/)
      else expect(ward.device.state).toBe('active')
      await io.stop()
      await ward.device.close()
    })
  })

  it('takes nothing for half of its probation, then few reads and no writes, then its share', async () => {
    await simulate(2, async (host) => {
      const ward = await openWard(host, { ports: 2 })
      const io = load(ward, 4, 100)
      const bytes = () => ward.path(0).bytes
      await flap(ward, 0, 5, 500)
      const begun = [bytes(), io.done] as const
      await wait(host, 29)
      expect(bytes()).toBe(begun[0])
      let writes = 0
      ward.array.fail({ port: 0, ops: [IoOp.Write], status: 5 })
      const before = io.done
      await wait(host, 29)
      writes = ward.path(0).errors
      expect(writes).toBe(0)
      const share = (bytes() - begun[0]) / 4096 / (io.done - before)
      expect(share).toBeGreaterThan(0.01)
      expect(share).toBeLessThan(0.07)
      ward.array.heal()
      await wait(host, 3)
      const after = [bytes(), io.done] as const
      await wait(host, 20)
      expect((bytes() - after[0]) / 4096 / (io.done - after[1])).toBeGreaterThan(0.4)
      await io.stop()
      await ward.device.close()
    })
  })

  it('stays out for longer each time, up to a bound; by hand it is back at once', async () => {
    await simulate(2, async (host) => {
      const ward = await openWard(host, { multipath: { flapping: { probation: 10_000, probationMax: 60_000 } } })
      const terms: number[] = []
      for (let round = 0; round < 5; round++) {
        await flap(ward, 2, 5, 1000)
        const begun = host.clock.now()
        while (ward.path(2).health !== undefined) await delay(host.clock, 200)
        terms.push(Math.round((host.clock.now() - begun) / 1_000_000))
      }
      expect(terms).toEqual([10, 20, 40, 60, 60])
      await flap(ward, 2, 5, 1000)
      await wait(host, 5)
      expect(ward.path(2).health).toBe('probation')
      ward.device.restorePath(ward.path(2).id)
      expect(ward.path(2).health).toBeUndefined()
      expect(ward.told.at(-1)).toMatchObject({ state: 'well', reason: 'restored by hand' })
      await wait(host, 5)
      expect(ward.device.state).toBe('active')
      await ward.device.close()
    })
  })

  it('serves all the same where it is the last one, and says so', async () => {
    await simulate(2, async (host) => {
      const ward = await openWard(host, { ports: 2 })
      const io = load(ward, 4, 100)
      await flap(ward, 0, 5, 500)
      ward.array.portDown(1)
      await wait(host, 2)
      const before = ward.path(0).ios
      await wait(host, 2)
      expect(ward.path(0).ios - before).toBeGreaterThan(10)
      expect(ward.path(0).reason).toMatch(/it serves all the same, as no other path does$/)
      expect(ward.device.state).toBe('degraded')
      await io.stop()
      await ward.device.close()
    })
  })

  it('that fails on probation begins it anew, and a probe without an answer is a failure', async () => {
    const target = new FakeTarget(2)
    const { device, host } = await open(2, { multipath: { flapping: { failures: 2 } } }, target)
    for (let time = 0; time < 2; time++) {
      target.path(0).events.emit('down', new Error('gone'))
      await host.clock.advance(1000)
    }
    expect(device.paths[0]).toMatchObject({ health: 'probation', state: 'up', failures: 2 })
    // It answers nothing, and nothing but a probe was sent.
    await host.clock.advance(11_001)
    expect(device.paths[0]).toMatchObject({ health: 'probation', failures: 3, ios: 0 })
    expect(device.paths[0]?.troubles).toMatchObject({ 'no answer in time': 1 })
    await host.clock.advance(2000)
    expect(device.paths[0]?.state).toMatch(/connecting|up/)
    target.prepare = (path) => void (path.auto = true)
    await host.clock.advance(100_000)
    expect(device.paths[0]?.health).toBeUndefined()
  })

  it('goes behind a path of worse access, and takes no reads while that is not its equal', async () => {
    await simulate(2, async (host) => {
      const ward = await openWard(host, { ports: 2 })
      ward.array.setAccess('all', { port: 1 }, 'non-optimized')
      const io = load(ward, 4, 100)
      await flap(ward, 0, 5, 500)
      const before = ward.path(1).ios
      await wait(host, 10)
      expect(ward.path(1).ios - before).toBeGreaterThan(100)
      await wait(host, 60)
      const after = ward.path(1).ios
      await wait(host, 5)
      expect(ward.path(1).ios).toBe(after)
      await io.stop()
      await ward.device.close()
    })
  })

  it('of worse access takes no reads while better ones serve', async () => {
    await simulate(1, async (host) => {
      const ward = await openWard(host, { ports: 2 })
      ward.array.setAccess('all', { port: 1 }, 'non-optimized')
      const io = load(ward, 4, 100)
      await flap(ward, 1, 5, 500)
      await wait(host, 40)
      expect(ward.path(1).health).toBe('probation')
      expect(ward.path(1).ios).toBe(0)
      await io.stop()
      await ward.device.close()
    })
  })

  it('takes the writes where all other paths are write protected', async () => {
    const { device, target, host } = await open(2, { multipath: { flapping: { failures: 2 } } })
    for (let time = 0; time < 2; time++) {
      target.path(0).events.emit('down', new Error('gone'))
      await host.clock.advance(1000)
    }
    expect(device.paths[0]).toMatchObject({ health: 'probation', state: 'up' })
    const other = target.path(1)
    other.limits = { ...other.limits, readOnly: true }
    other.events.emit('limits', other.limits)
    const write = send(device, IoOp.Write)
    expect(target.path(0).held.filter(({ op }) => op === IoOp.Write)).toHaveLength(1)
    target.path(0).complete()
    expect(write.status).toBe(0)
  })
})
