import { describe, expect, it } from 'vitest'
import { createNvmeArray } from '../src/index.ts'
import { bed, HeldDevice, use, VOLUME } from './beds.ts'
import { DISCOVERY, SUBSYSTEM } from './host.ts'

const notice = (info: number, log: number): number => (log << 16) | (info << 8) | 2

describe('registers', () => {
  it('tell what the controller is', async () => {
    const { admin } = await bed({ queueSize: 64, readyTimeout: 7500 })
    const host = await admin()
    const cap = await host.getProperty(0, true)
    expect(cap % 0x1_0000).toBe(63)
    expect(Math.floor(cap / 2 ** 24) % 256).toBe(15)
    expect(Math.floor(cap / 2 ** 37) % 2).toBe(1)
    expect(await host.getProperty(8)).toBe(0x0002_0100)
    expect(await host.getProperty(0x14)).toBe(0x0046_0001)
    expect((await host.setProperty(0x1c, 0)).status).toBe(2)
    await expect(host.getProperty(0)).rejects.toThrow('2')
    await expect(host.getProperty(0x40)).rejects.toThrow('2')
  })

  it('refuse commands until the controller is ready', async () => {
    const { dial } = await bed({ enableTime: 10 })
    const host = await dial()
    await host.initialize()
    await host.connect()
    expect((await host.identify(1)).status).toBe(0x00c)
    await host.enable()
    expect((await host.identify(1)).status).toBe(0)
    await host.disable()
    expect((await host.identify(1)).status).toBe(0x00c)
    await host.enable()
    expect((await host.identify(1)).status).toBe(0)
  })

  it('tell of a controller that has broken down', async () => {
    const { array, pair } = await bed()
    const { admin, io } = await pair()
    array.controllers[0]!.fail()
    expect(await admin.getProperty(0x1c)).toBe(3)
    expect((await io.read(1, 0, 1)).status).toBe(0x00c)
    await admin.disable()
  })

  it('tell of a shutdown', async () => {
    const { array, pair } = await bed()
    const { admin, io } = await pair()
    await admin.setProperty(0x14, 0x0046_4001)
    expect((await admin.status((csts) => (csts & 0x0c) === 0x08)) & 1).toBe(1)
    await io.gone()
    expect(array.counters).toMatchObject({ shutdowns: 1, disables: 0 })
  })
})

describe('Identify', () => {
  it('tells of the controller', async () => {
    const { admin } = await bed({
      serial: 'S1',
      model: 'M',
      firmware: 'F2',
      maxTransfer: 262_144,
      quiesceTime: 2500,
      crossResets: 7,
      inCapsuleData: 4096,
      retryDelays: [100, 200, 300],
      keepAliveGranularity: 500,
      trafficKeepAlive: true,
    })
    const host = await admin()
    const { data } = await host.identify(1)
    const text = (from: number, to: number): string => data.toString('latin1', from, to)
    expect([text(4, 24), text(24, 64).trim(), text(64, 72)]).toEqual(['S1'.padEnd(20), 'M', 'F2      '])
    expect(data.readUInt16LE(78)).toBe(host.controllerId)
    expect(data[77]).toBe(6)
    expect([128, 130, 132].map((at) => data.readUInt16LE(at))).toEqual([1, 2, 3])
    expect([data[111], data[512], data[513], data[1807]]).toEqual([1, 0x66, 0x44, 7])
    expect([data.readUInt16LE(320), data.readUInt16LE(386), data.readUInt16LE(514)]).toEqual([5, 2500, 128])
    expect(data.readUInt32LE(1792) * 16 - 64).toBe(4096)
    expect(data.readUInt32LE(96) & 0x40).toBe(0x40)
    expect(text(768, 1024).replace(/\0+$/, '')).toBe(SUBSYSTEM)
  })

  it('tells of namespaces, by every identifier', async () => {
    const device = new HeldDevice()
    const array = use(
      await createNvmeArray({
        name: SUBSYSTEM,
        namespaces: [
          { volume: VOLUME, device },
          { nsid: 7, volume: 'eui.0123456789abcdef', device, anaGroup: 3 },
          { nsid: 9, volume: 'naa.60014051234567890123456789abcdef', device, optimalBoundary: 65_536 },
          { nsid: 12, volume: 't10.ACME 1', device, ids: { nguid: '1'.repeat(32), eui64: '2'.repeat(16) } },
        ],
      }),
    )
    const { bedOf } = await import('./beds.ts')
    const host = await bedOf(array, undefined as never).admin()
    const { data: list } = await host.identify(2)
    expect([0, 4, 8, 12, 16].map((at) => list.readUInt32LE(at))).toEqual([1, 7, 9, 12, 0])
    expect((await host.identify(2, 7)).data.readUInt32LE(0)).toBe(9)
    const ids = async (nsid: number): Promise<string> => {
      const { data } = await host.identify(3, nsid)
      const found: string[] = []
      for (let at = 0; data[at] !== 0; at += 4 + data[at + 1]!) {
        found.push(`${data[at]}:${data.toString('hex', at + 4, at + 4 + data[at + 1]!)}`)
      }
      return found.join(' ')
    }
    expect(await ids(1)).toBe('3:6ba7b8109dad41d180b400c04fd430c8 4:00')
    expect(await ids(7)).toBe('1:0123456789abcdef 4:00')
    expect(await ids(9)).toBe('2:60014051234567890123456789abcdef 4:00')
    expect(await ids(12)).toBe(`1:${'2'.repeat(16)} 2:${'1'.repeat(32)} 4:00`)
    const { data } = await host.identify(0, 9)
    expect([data.readBigUInt64LE(0), data[130]]).toEqual([2048n, 9])
    expect([data.readUInt16LE(46), data.readUInt16LE(64), data.readUInt32LE(92)]).toEqual([128, 7, 9])
    expect((await host.identify(0, 5)).data.every((byte) => byte === 0)).toBe(true)
    expect((await host.identify(0, 0xffff_ffff)).status).toBe(0x0b)
    expect((await host.identify(8, 7)).data.readUInt32LE(4)).toBe(3)
    expect((await host.identify(0x55)).status).toBe(2)
    expect((await host.identify(1, 0, 512)).data.length).toBe(512)
  })
})

describe('features', () => {
  it('are set, read back, and gone after a reset', async () => {
    const { admin } = await bed({ queues: 4 })
    const host = await admin()
    expect((await host.setFeature(7, 0x0001_0001)).result).toBe(0x0001_0001)
    expect((await host.setFeature(7, 0x00ff_00ff)).result).toBe(0x0003_0003)
    await host.setFeature(0x0b, 0x900)
    expect((await host.getFeature(0x0b)).result).toBe(0x900)
    const behaviour = Buffer.alloc(512)
    behaviour[0] = 1
    expect((await host.setFeature(0x16, 0, behaviour)).status).toBe(0)
    expect((await host.command(0x0a, { dwords: [0x16], read: 512 })).data[0]).toBe(1)
    expect((await host.getFeature(0x55)).status).toBe(2)
    await host.disable()
    await host.enable()
    expect((await host.getFeature(0x0b)).result).toBe(0)
  })

  it('tell a keep-alive timeout that was raised', async () => {
    const { admin } = await bed({ minKeepAlive: 10_000, keepAliveGranularity: 500 })
    const host = await admin({ kato: 4000 })
    expect((await host.getFeature(0x0f)).result).toBe(10_000)
    await host.setFeature(0x0f, 12_300)
    expect((await host.getFeature(0x0f)).result).toBe(12_500)
  })

  it('let CRD be told, once the host obeys it', async () => {
    const { array, pair } = await bed()
    const { admin, io } = await pair()
    array.faults.command({ opcode: 2, status: 0x082, retryDelay: 2 })
    expect(await io.read(1, 0, 1)).toMatchObject({ status: 0x082, crd: 0, dnr: false })
    const behaviour = Buffer.alloc(512)
    behaviour[0] = 1
    await admin.setFeature(0x16, 0, behaviour)
    expect(await io.read(1, 0, 1)).toMatchObject({ status: 0x082, crd: 2, dnr: false })
  })
})

describe('events', () => {
  it('tell of namespaces once until their log is read', async () => {
    const { array, admin } = await bed()
    const host = await admin()
    await host.setFeature(0x0b, 0x900)
    const event = host.command(0x0c)
    const device = new HeldDevice()
    await array.map({ nsid: 5, volume: VOLUME, device })
    expect((await event).result).toBe(notice(0, 4))
    await array.unmap(5)
    await array.map({ nsid: 6, volume: VOLUME, device })
    const next = host.begin(0x0c)
    const kept = await host.logPage(4, 4096, { retain: true })
    expect([kept.data.readUInt32LE(0), kept.data.readUInt32LE(4)]).toEqual([5, 6])
    await host.logPage(4, 4096)
    expect((await host.logPage(4, 4096)).data.readUInt32LE(0)).toBe(0)
    device.limits = { ...device.limits, size: 2 * 1024 * 1024 }
    await host.command(0x18)
    expect((await host.finish(next)).result).toBe(notice(0, 4))
    expect((await host.logPage(4, 4096)).data.readUInt32LE(0)).toBe(6)
    expect(array.violations).toEqual([])
  })

  it('tell of ANA states, and the log has them', async () => {
    const { array, pair } = await bed({}, { volumes: [{ size: '1MiB', blockSize: 512 }] })
    const { admin, io } = await pair()
    // What devices say of themselves holds: these are mapped anew without.
    const device = new HeldDevice()
    device.status = 0
    await array.map({ nsid: 1, volume: VOLUME, device, anaGroup: 2 })
    await array.map({ nsid: 3, volume: 'eui.0123456789abcdef', device, anaGroup: 2 })
    await admin.setFeature(0x0b, 0x800)
    const event = admin.command(0x0c)
    array.setAccess({ group: 2 }, 'standby')
    expect((await event).result).toBe(notice(3, 0x0c))
    const { data } = await admin.logPage(0x0c, 64)
    expect([data.readUInt16LE(8), data.readUInt32LE(16), data.readUInt32LE(20), data[32]]).toEqual([1, 2, 2, 3])
    expect([data.readUInt32LE(48), data.readUInt32LE(52)]).toEqual([1, 3])
    const states = {
      standby: 0x302,
      unavailable: 0x301,
      transitioning: 0x303,
      'non-optimized': 0,
      optimized: 0,
    } as const
    for (const [access, status] of Object.entries(states)) {
      array.setAccess({ volume: VOLUME }, access as keyof typeof states)
      const read = await io.read(3, 0, 1)
      expect([read.status, read.dnr]).toEqual([status, false])
    }
  })

  it('wait for a request, and too many of those are refused', async () => {
    const { array, admin } = await bed({ asyncEvents: 2 })
    const host = await admin()
    array.controllers[0]!.event({ type: 0, info: 2, log: 1 })
    expect((await host.command(0x0c)).result).toBe(0x01_0200)
    const waiting = [host.begin(0x0c), host.begin(0x0c)]
    expect((await host.command(0x0c)).status).toBe(0x105)
    expect(array.controllers[0]!.asyncEvents).toBe(2)
    // A reset takes them away, unanswered: their CIDs are free.
    await host.disable()
    await host.enable()
    expect((await host.command(0x18, { cid: waiting[0]! })).status).toBe(0)
    expect(array.violations).toEqual([])
  })
})

describe('log pages', () => {
  it('have the errors, the newest first', async () => {
    const { pair } = await bed()
    const { admin, io } = await pair()
    await io.read(1, 32_768, 1)
    await admin.identify(0x55)
    const { data } = await admin.logPage(1, 4096)
    const entryOf = (at: number) => [
      Number(data.readBigUInt64LE(at)),
      data.readUInt16LE(at + 8),
      data.readUInt16LE(at + 12) >>> 1,
      Number(data.readBigUInt64LE(at + 16)),
      data.readUInt32LE(at + 24),
      data[at + 31],
    ]
    expect(entryOf(0)).toEqual([2, 0, 0x4002, 0, 0, 6])
    expect(entryOf(64)).toEqual([1, 1, 0x4080, 32_768, 1, 2])
    expect(data.readBigUInt64LE(128)).toBe(0n)
    expect((await admin.logPage(2, 512)).data.readUInt32LE(176)).toBe(2)
  })

  it('are there, and have an end', async () => {
    const { admin } = await bed()
    const host = await admin()
    for (const [lid, length] of [
      [1, 64],
      [2, 512],
      [3, 512],
      [5, 4096],
      [0x1e, 4096],
      [0x80, 64],
    ] as const) {
      expect((await host.logPage(lid, length)).status).toBe(0)
    }
    expect((await host.logPage(0x55, 64)).status).toBe(0x109)
    expect((await host.logPage(1, 64, { offset: 6 })).status).toBe(2)
    expect((await host.logPage(1, 64, { offset: 8192 })).status).toBe(2)
  })
})

describe('discovery', () => {
  it('tells of ports, referrals and itself, and of changes', async () => {
    const { array, admin } = await bed(
      { ports: [{}, { serves: 'subsystem' }], referrals: [{ host: '192.0.2.1' }] },
      { ports: 2 },
    )
    const host = await admin({ subsystem: DISCOVERY, kato: 5000 })
    const { data } = await host.identify(1)
    expect([data[111], data.toString('latin1', 768, 804)]).toEqual([2, DISCOVERY])
    const log = await host.logPage(0x70, 5120)
    expect([log.data.readBigUInt64LE(0), log.data.readBigUInt64LE(8)]).toEqual([1n, 4n])
    const records = [1, 2, 3, 4].map((n) => {
      const at = 1024 * n
      const text = (from: number, to: number): string =>
        log.data.toString('latin1', at + from, at + to).replace(/[\0 ]+$/, '')
      return [log.data[at], log.data[at + 2], text(512, 768), text(32, 64), text(256, 512)].join(' ')
    })
    const [first, second] = array.ports
    expect(records).toEqual([
      `3 3 127.0.0.1 ${first!.port} ${DISCOVERY}`,
      `3 2 127.0.0.1 ${first!.port} ${SUBSYSTEM}`,
      `3 2 127.0.0.1 ${second!.port} ${SUBSYSTEM}`,
      `3 1 192.0.2.1 8009 ${DISCOVERY}`,
    ])
    await host.setFeature(0x0b, -0x8000_0000)
    const event = host.command(0x0c)
    array.referrals = []
    expect((await event).result >>> 0).toBe(0x70_f002)
    expect((await host.logPage(0x70, 1024)).data.readBigUInt64LE(0)).toBe(2n)
    expect((await host.identify(2)).status).toBe(2)
    expect((await host.command(0x38)).status).toBe(1)
  })
})
