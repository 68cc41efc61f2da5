import { describe, expect, it } from 'vitest'
import { bed, ManualHost } from './beds.ts'
import type { ConnectOptions } from './host.ts'
import { DISCOVERY, HOST, type RawHost } from './host.ts'

const OTHER = 'nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-000000000002'

describe('ICReq', () => {
  it('is answered with what the array takes', async () => {
    const { dial } = await bed({ dataAlignment: 64, maxH2CData: 12_288, headerDigest: false })
    const host = await dial()
    const answer = await host.initialize({ headerDigest: true, dataDigest: true })
    expect([answer.plen, answer.header.readUInt16LE(8), answer.header[10], answer.header[11]]).toEqual([128, 0, 15, 2])
    expect(answer.header.readUInt32LE(12)).toBe(12_288)
  })

  it.each([
    { what: 'a format that is not there', options: { pfv: 1 }, fes: 6, fei: 8 },
    { what: 'an alignment above 128 bytes', options: { hpda: 32 }, fes: 1, fei: 10 },
  ])('with $what ends the connection', async ({ options, fes, fei }) => {
    const { array, dial } = await bed()
    const host = await dial()
    const answer = await host.initialize(options)
    expect([answer.type, answer.header.readUInt16LE(8), answer.header.readUInt32LE(10)]).toEqual([3, fes, fei])
    // The PDU that is the reason goes back.
    expect(answer.data.equals(host.icReq(options))).toBe(true)
    expect(array.violations.length).toBe(1)
  })
})

describe('Connect', () => {
  const wrongData = 0x1_0000
  const wrong: { what: string; options: ConnectOptions; status: number; result: number }[] = [
    { what: 'another format', options: { format: 1 }, status: 0x180, result: 0 },
    {
      what: 'another subsystem',
      options: { subsystem: 'nqn.2026-11.io.other:x' },
      status: 0x182,
      result: wrongData + 256,
    },
    { what: 'a host NQN that is none', options: { hostNqn: 'somebody' }, status: 0x182, result: wrongData + 512 },
    { what: 'no host ID', options: { hostId: '0'.repeat(32) }, status: 0x182, result: wrongData },
    { what: 'a controller that is not made', options: { controllerId: 1 }, status: 0x182, result: wrongData + 16 },
    { what: 'no entries', options: { entries: 1 }, status: 0x182, result: 44 },
    { what: 'too many entries', options: { entries: 4097 }, status: 0x182, result: 44 },
    { what: 'a host that may not', options: { hostNqn: OTHER }, status: 0x184, result: 0 },
    { what: 'an I/O queue of nobody', options: { qid: 1, controllerId: 77 }, status: 0x182, result: wrongData + 16 },
  ]
  it.each(wrong)('of $what is refused for ever', async ({ options, status, result }) => {
    const { array, dial } = await bed({ hosts: [HOST] })
    const host = await dial()
    await host.initialize()
    const answer = await host.connect(options)
    expect([answer.status, answer.dnr, answer.result]).toEqual([status, true, result])
    expect(array.counters).toMatchObject({ refused: 1, controllers: 0 })
    // The same connection may try again.
    expect((await host.connect()).status).toBe(0)
  })

  it('of an I/O queue belongs to its controller, its host and its port', async () => {
    const { admin, dial } = await bed({ queues: 2 }, { ports: 2 })
    const host = await admin()
    const connect = async (options: ConnectOptions, port = 0) => {
      const io = await dial(port)
      await io.initialize()
      const { status, result } = await io.connect({ controllerId: host.controllerId, qid: 1, ...options })
      return [status, result]
    }
    expect(await connect({ hostNqn: OTHER })).toEqual([0x182, wrongData + 512])
    expect(await connect({ hostId: '1'.repeat(32) })).toEqual([0x182, wrongData])
    expect(await connect({ qid: 3 })).toEqual([0x182, 42])
    expect(await connect({ entries: 129 })).toEqual([0x182, 44])
    expect(await connect({})).toEqual([0, host.controllerId])
    expect((await connect({}))[0]).toBe(0x00c)
  })

  it('of an I/O queue comes after the controller is ready', async () => {
    const { dial } = await bed()
    const host = await dial()
    await host.initialize()
    await host.connect()
    const io = await dial()
    await io.initialize()
    expect((await io.connect({ qid: 1, controllerId: host.controllerId })).status).toBe(0x00c)
    await host.enable()
    expect((await io.connect({ qid: 1, controllerId: host.controllerId })).status).toBe(0)
  })

  it('may have its data asked for', async () => {
    const { dial } = await bed()
    const host = await dial()
    await host.initialize()
    const answer = await host.connect({ solicited: true })
    expect([answer.status, answer.pdus[0]!.type]).toEqual([0, 9])
  })

  it('makes a controller each time, which touches no other', async () => {
    const { array, admin } = await bed()
    const [first, second] = [await admin(), await admin()]
    expect(first.controllerId).not.toBe(second.controllerId)
    expect(array.controllers.map(({ ready }) => ready)).toEqual([true, true])
    const [one, other] = array.controllers
    expect(one!.instanceRandom).not.toBe(other!.instanceRandom)
  })

  it('comes first', async () => {
    const { dial } = await bed()
    const host = await dial()
    await host.initialize()
    const answer = await host.identify(1)
    expect([answer.status, answer.dnr]).toEqual([0x00c, true])
  })

  it('and nothing else for too long ends the connection', async () => {
    const time = new ManualHost()
    const { dial } = await bed({}, {}, time)
    const [host, other] = [await dial(), await dial()]
    await other.initialize()
    time.advance(15_000)
    await Promise.all([host.gone(), other.gone()])
  })

  it('is refused by rules, for admin or I/O queues, with or without DNR', async () => {
    const { array, admin, dial } = await bed()
    array.faults.connect({ action: 'refuse', admin: false, status: 0x181, count: 1 })
    const host = await admin()
    const io = await dial()
    await io.initialize()
    const refused = await io.connect({ qid: 1, controllerId: host.controllerId })
    expect([refused.status, refused.dnr]).toEqual([0x181, false])
    expect((await io.connect({ qid: 1, controllerId: host.controllerId })).status).toBe(0)
    array.faults.connect({ action: 'refuse', doNotRetry: true, status: 0x184 })
    const other = await dial()
    await other.initialize()
    const never = await other.connect()
    expect([never.status, never.dnr]).toEqual([0x184, true])
  })

  it('to a port that serves only the other kind is refused', async () => {
    const { dial } = await bed({ ports: [{ serves: 'discovery' }, { serves: 'subsystem' }] })
    for (const [port, subsystem] of [
      [0, undefined],
      [1, DISCOVERY],
    ] as const) {
      const host = await dial(port)
      await host.initialize()
      expect((await host.connect(subsystem === undefined ? {} : { subsystem })).status).toBe(0x182)
      expect((await host.connect(subsystem === undefined ? { subsystem: DISCOVERY } : {})).status).toBe(0)
    }
  })
})

describe('a connection', () => {
  it('gets no answer from a port that is mute', async () => {
    const time = new ManualHost()
    const { array, admin, dial } = await bed({}, {}, time)
    array.faults.connect({ action: 'mute', count: 1 })
    const host = await dial()
    host.socket.write(host.icReq({}))
    await admin()
    time.advance(15_000)
    await host.gone()
    expect(host.inbox).toEqual([])
  })

  it('leads to a controller that never becomes ready, where a rule says so', async () => {
    const { array, dial } = await bed()
    array.faults.connect({ action: 'endless' })
    const host = await dial()
    await host.initialize()
    await host.connect()
    await host.setProperty(0x14, 0x0046_0001)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(await host.getProperty(0x1c)).toBe(0)
    array.faults.heal()
    await host.setProperty(0x14, 0x0046_0000)
    await host.enable()
  })
})

it('RawHost fails where the connection ends', async () => {
  const { array, dial } = await bed()
  const host: RawHost = await dial()
  array.ports[0]!.cut()
  await expect(host.initialize()).rejects.toThrow('ended')
})
