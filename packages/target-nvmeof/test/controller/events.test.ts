import { describe, expect, it } from 'vitest'
import { Events } from '../../src/controller/events.ts'
import type { NewsListener } from '../../src/controller/serve-events.ts'
import { serveEvents } from '../../src/controller/serve-events.ts'
import { decodeAnaLog } from '../../src/nvme/ana.ts'
import { anaLog, namespaceList } from '../nvme/layouts.ts'
import { drive, keepsEvent, ScriptedController } from './drive.ts'

const MS = 1000
const ANA = { status: 0, result: 0x000c_0302 }
const NAMESPACES = { status: 0, result: 0x0004_0002 }
const usable = decodeAnaLog(
  anaLog([
    { id: 1, state: 1, namespaces: [1, 2] },
    { id: 2, state: 1, namespaces: [3] },
  ]),
)
const shut = decodeAnaLog(
  anaLog([
    { id: 1, state: 3, namespaces: [1, 2] },
    { id: 2, state: 1, namespaces: [3] },
  ]),
)
const changing = decodeAnaLog(anaLog([{ id: 1, state: 15, namespaces: [1, 2] }]))

describe('asynchronous event requests', () => {
  it('are kept at the controller up to its limit', () => {
    const events = new Events(4)
    expect([events.arm(), events.arm()]).toEqual([4, 0])
  })

  it('are sent again when the log of the event was read, and not before', () => {
    const events = new Events(2)
    events.arm()
    events.answered(ANA, 0)
    expect(events.arm()).toBe(0)
    expect(events.take(0)?.kind).toBe('ana')
    expect(events.arm()).toBe(0)
    events.served('ana', 10 * MS, usable)
    expect(events.arm()).toBe(1)
  })

  it('become fewer where the controller refuses one', () => {
    const events = new Events(3)
    events.arm()
    events.answered({ status: 0x105, result: 0 }, 0)
    expect(events.arm()).toBe(0)
    events.answered(ANA, 0)
    events.take(0)
    events.served('ana', 0, usable)
    expect(events.arm()).toBe(1)
  })

  it('that all are refused are sent no more', () => {
    const events = new Events(2)
    events.arm()
    for (let left = 2; left > 0; left--) events.answered({ status: 0x01, result: 0 }, 0)
    expect([events.arm(), events.deadline]).toEqual([0, undefined])
  })
})

describe('what is to be read', () => {
  it('is nothing at first', () => {
    const events = new Events(4)
    expect([events.deadline, events.take(0)]).toEqual([undefined, undefined])
  })

  it('is read once for an event that comes while it is read, and then once more', () => {
    const events = new Events(4)
    events.arm()
    events.answered(NAMESPACES, 0)
    expect(events.take(0)?.event?.text).toBe('namespaces changed')
    events.answered(NAMESPACES, 1 * MS)
    events.answered(NAMESPACES, 2 * MS)
    expect([events.take(3 * MS), events.deadline]).toEqual([undefined, undefined])
    events.served('namespaces', 5 * MS)
    expect(events.arm()).toBe(1)
    expect(events.deadline).toBe(105 * MS)
    expect(events.take(104 * MS)).toBeUndefined()
    expect(events.take(105 * MS)?.kind).toBe('namespaces')
    events.served('namespaces', 106 * MS)
    expect(events.arm()).toBe(2)
  })

  it('is read ten times a second at most, however fast events come', () => {
    const events = new Events(1)
    let reads = 0
    for (let ms = 0; ms < 1000; ms++) {
      if (events.arm() === 1) events.answered({ status: 0, result: 0x0000_6307 }, ms * MS)
      if (events.take(ms * MS) === undefined) continue
      reads++
      events.served('other', ms * MS)
    }
    expect(reads).toBe(10)
  })

  it('is one ANA log for 128 commands that fail for one reason', () => {
    const events = new Events(4)
    for (let left = 64; left > 0; left--) events.trouble(1, 1, 0)
    let reads = 0
    for (let ms = 0; ms < 1000; ms++) {
      if (events.take(ms * MS) !== undefined) {
        reads++
        // More of them fail while the log is on its way, and after it.
        for (let left = 32; left > 0; left--) events.trouble(2, 1, ms * MS)
        events.served('ana', (ms + 5) * MS, shut)
        for (let left = 32; left > 0; left--) events.trouble(2, 1, (ms + 6) * MS)
      }
    }
    expect(reads).toBe(1)
    expect(events.deadline).toBeUndefined()
  })

  it('is the ANA log again where a command fails that should not, by the log that was read last', () => {
    const events = new Events(4)
    events.want('ana', 0)
    events.take(0)
    events.served('ana', 0, usable)
    events.trouble(3, 2, 500 * MS)
    expect(events.deadline).toBe(500 * MS)
    events.take(500 * MS)
    events.served('ana', 500 * MS, shut)
    events.trouble(1, 1, 900 * MS)
    expect(events.deadline).toBeUndefined()
  })

  it('is the ANA log again where one that failed meanwhile is not explained by it', () => {
    const events = new Events(4)
    events.trouble(1, 1, 0)
    events.take(0)
    events.trouble(3, 2, 1 * MS)
    events.served('ana', 5 * MS, shut)
    expect(events.deadline).toBe(105 * MS)
  })

  it('is the ANA log again each second as long as a group changes, without any event', () => {
    const events = new Events(4)
    events.want('ana', 0)
    events.take(0)
    events.served('ana', 0, changing)
    expect(events.deadline).toBe(1000 * MS)
    events.take(1000 * MS)
    events.served('ana', 1000 * MS, usable)
    expect(events.deadline).toBeUndefined()
  })
})

describe('serving events', () => {
  function rig() {
    const told: string[] = []
    const listener: NewsListener = {
      ana: (log) => told.push(`ana ${decodeAnaLog(log).groups.length}`),
      namespaces: (ids) => told.push(`namespaces ${ids}`),
      crossReset: () => told.push('reset'),
      discovery: () => told.push('discovery'),
      notice: (text) => told.push(text),
    }
    const controller = new ScriptedController()
    controller.replace['log c'] = () => ({ data: anaLog([{ id: 1, state: 1 }]) })
    controller.replace['log 4'] = () => ({ data: namespaceList(3) })
    controller.replace['log 2'] = () => ({ data: Buffer.concat([Uint8Array.of(1), new Uint8Array(511)]) })
    const events = new Events(8)
    events.arm()
    const serve = (ana = true): void =>
      drive(
        serveEvents(events, { logOffsets: true, ana }, listener, () => 0),
        controller,
      )
    return { told, controller, events, serve }
  }

  it('reads the log of each, which ends its event, and tells', () => {
    const { told, controller, events, serve } = rig()
    for (const result of [0x000c_0302, 0x0004_0002, 0x001e_f402, 0x0070_f002, 0x0001_0300, 0x0002_0201, 0x0000_0102]) {
      events.answered({ status: 0, result }, 0)
    }
    serve()
    expect(told).toEqual([
      'ana 1',
      'namespaces 3',
      'reset',
      'discovery',
      'a persistent internal error',
      'spare capacity is low: spare capacity is low',
      'firmware is being activated',
    ])
    expect(controller.names).toEqual(['log c', 'log 4', 'log 1e', 'log 70', 'log 1', 'log 2'])
    expect(controller.sent.some(keepsEvent)).toBe(false)
    expect(events.arm()).toBe(7)
  })

  it('tells that any namespace may have changed where nobody says which', () => {
    const { told, controller, events, serve } = rig()
    events.want('namespaces', 0)
    serve()
    expect(told).toEqual(['namespaces undefined'])
    expect(controller.sent).toEqual([])
  })

  it('goes on where a log cannot be read, and says so', () => {
    const { told, controller, events, serve } = rig()
    controller.replace['log c'] = () => ({ status: 0x109 })
    events.answered(ANA, 0)
    events.answered(NAMESPACES, 0)
    serve()
    expect(told).toEqual(['Get Log Page of the ANA log failed: invalid log page (status 1/09h)', 'namespaces 3'])
    expect(events.arm()).toBe(2)
  })

  it('breaks on a log that is absurd', () => {
    const { controller, events, serve } = rig()
    controller.replace['log c'] = () => ({ data: anaLog([{ id: 1, state: 9 }]) })
    events.answered(ANA, 0)
    expect(() => serve()).toThrow('ANA group 1 has the state 9')
  })

  it('reads no ANA log of a controller that has none', () => {
    const { told, controller, events, serve } = rig()
    events.answered(ANA, 0)
    serve(false)
    expect([told, controller.sent]).toEqual([[], []])
  })
})
