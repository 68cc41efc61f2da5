import { put16le, put32le } from '@blockbraid/wire'
import { describe, expect, it } from 'vitest'
import { bringUp } from '../../src/controller/bring-up.ts'
import { KeepAlive } from '../../src/controller/keep-alive.ts'
import { chosenKeepAlive } from '../../src/controller/keep-alive-choice.ts'
import { quietBy } from '../../src/fence/quiet-time.ts'
import { resolveOptions } from '../../src/options/options.ts'
import { place } from '../fence/double.ts'
import { controllerBytes } from '../nvme/layouts.ts'
import { drive, ScriptedController } from './drive.ts'

const SUBSYSTEM = 'nqn.2026-11.io.example:array'
const asked = { portals: ['192.0.2.1'], subsystem: SUBSYSTEM }
const plain = { crossResets: 0, trafficBased: false, keepAliveGranularity: 100, quiesceTime: 0 }
const choice = { least: 3000, quiesceTime: 10_000 }

describe('a Keep Alive Timeout that nobody has given', () => {
  it.each([
    ['the most, where siblings reset the controller', { crossResets: 1 }, 5000],
    ['the most, where the controller comes to rest soon', { quiesceTime: 300 }, 5000],
    ['as long as a write may wait', { quiesceTime: 1000 }, 4600],
    ['that in steps of the controller', { quiesceTime: 1000, keepAliveGranularity: 1000 }, 4000],
    ['a third of it, where any command is a sign of life', { quiesceTime: 1000, trafficBased: true }, 3100],
    ['the least, where the controller needs long to come to rest', { quiesceTime: 5000 }, 3000],
    ['the least, where it does not tell how long', {}, 3000],
    ['the least, where its steps are longer than the most', { keepAliveGranularity: 10_000 }, 3000],
  ])('is %s', (_name, facts, expected) => {
    expect(chosenKeepAlive({ ...plain, ...facts }, 5000, choice)).toBe(expected)
  })

  it('is such that time proves the end of a controller within 10.5 s, whenever that can be had', () => {
    for (const trafficBased of [false, true]) {
      for (let quiesceTime = 1; quiesceTime <= (trafficBased ? 1300 : 4300); quiesceTime += 7) {
        const facts = { ...plain, trafficBased, quiesceTime }
        const keepAliveTimeout = chosenKeepAlive(facts, 5000, choice)
        const watch = { ...facts, keepAliveTimeout }
        expect(keepAliveTimeout).toBeGreaterThanOrEqual(3000)
        expect(quietBy({ heardAt: 0, quietAt: 0 }, watch, 0)).toBeLessThanOrEqual(10_500_000)
      }
    }
  })

  it('is left to the controller where it is an option, and else goes by its quiesceTime', () => {
    expect(resolveOptions(asked).keepAliveChoice).toEqual({ least: 3000, quiesceTime: 10_000 })
    expect(resolveOptions({ ...asked, quiesceTime: 500 }).keepAliveChoice).toEqual({ least: 3000, quiesceTime: 500 })
    expect(resolveOptions({ ...asked, keepAliveTimeout: 5000 }).keepAliveChoice).toBeUndefined()
  })
})

describe('bringing a controller up without one', () => {
  const options = { place, entries: 32, keepAliveTimeout: 5000, queues: 1, queueDepth: 8, keepAliveChoice: choice }
  /** A controller with a Keep Alive Timeout of its own, and one that is set where it `takes` it. */
  const controllerOf = (change: (bytes: Uint8Array) => void, takes = true) => {
    const controller = new ScriptedController()
    controller.identify = controllerBytes(change)
    let timeout = 3000
    controller.replace['Get Features f'] = () => ({ result: timeout })
    controller.replace['Set Features f'] = ({ sqe }) => {
      if (!takes) return { status: 0x02 }
      timeout = new DataView(sqe.buffer, sqe.byteOffset).getUint32(44, true)
      return { result: 0 }
    }
    return controller
  }
  const askedFor = ({ sent }: ScriptedController): number => {
    const { sqe } = sent[0]!
    return new DataView(sqe.buffer, sqe.byteOffset).getUint32(48, true)
  }

  it('asks for the least, and for more once it is known that more will do', () => {
    const controller = controllerOf(() => {})
    const { facts } = drive(bringUp(options), controller)
    expect(askedFor(controller)).toBe(3000)
    expect(facts.keepAliveTimeout).toBe(5000)
  })

  it('counts by what the controller says that it has, whatever it was asked for', () => {
    expect(
      drive(
        bringUp(options),
        controllerOf(() => {}, false),
      ).facts.keepAliveTimeout,
    ).toBe(3000)
  })

  it('leaves it at that where the controller needs long to come to rest, or counts longer anyway', () => {
    const slow = controllerOf((bytes) => {
      bytes[1807] = 0
      put16le(bytes, 386, 5000)
    })
    expect(drive(bringUp(options), slow).facts.keepAliveTimeout).toBe(3000)
    const raises = controllerOf((bytes) => put32le(bytes, 96, 0))
    raises.replace['Get Features f'] = () => ({ result: 10_000 })
    expect(drive(bringUp(options), raises).facts.keepAliveTimeout).toBe(10_000)
    for (const { names } of [slow, raises]) expect(names).not.toContain('Set Features f')
  })

  it('asks a discovery controller for what it always did', () => {
    const controller = controllerOf((bytes) => {
      bytes[111] = 2
    })
    drive(bringUp({ ...options, queues: 0 }), controller)
    expect(askedFor(controller)).toBe(5000)
    expect(controller.names).not.toContain('Set Features f')
  })
})

describe('five keep-alives in a timeout', () => {
  it.each([
    ['by command', false],
    ['by traffic', true],
  ])(
    '%s: a controller that falls silent is given up after seven tenths of it, before it misses its host',
    (_name, trafficBased) => {
      for (let last = 0; last < 2000; last += 37) {
        const keepAlive = new KeepAlive({ keepAliveTimeout: 5000, trafficBased }, 5000, 0, 5)
        for (let ms = 0, due = ''; due !== 'lost'; ms++) {
          if (ms <= last) keepAlive.worked()
          due = keepAlive.due(ms * 1000)
          if (due === 'ping' && ms <= last) keepAlive.answered(ms * 1000)
          if (due === 'lost') expect(ms - last).toBeLessThanOrEqual(3502)
          if (due === 'lost') expect(ms - last).toBeGreaterThanOrEqual(2500)
        }
      }
    },
  )
})
