import { describe, expect, it } from 'vitest'
import type { NvmeArrayOptions, WireRule } from '../src/index.ts'
import { createNvmeArray, hostile, hostileData } from '../src/index.ts'
import type { Bed, Pair } from './beds.ts'
import { bed, HeldDevice, VOLUME } from './beds.ts'
import { cidOf, SUBSYSTEM } from './host.ts'

const DATA = Buffer.alloc(65_536, 9)

async function ready(options: Partial<NvmeArrayOptions> = {}): Promise<Omit<Bed, 'admin'> & Pair> {
  const made = await bed(options)
  return { ...made, ...(await made.pair()) }
}

describe('a rule for PDUs', () => {
  it('loses them', async () => {
    const { array, io } = await ready()
    const rule = array.faults.wire({ pdu: 'c2hData', drop: true, count: 1 })
    const lost = io.begin(2, { nsid: 1, dwords: [0, 0, 0], read: 512 })
    expect((await io.read(1, 0, 1)).data.length).toBe(512)
    expect([rule.hits, io.inbox.length, array.controllers[0]!.inflight]).toEqual([1, 0, 0])
    array.faults.wire({ pdu: 'command', admin: false, drop: true, count: 1 })
    const never = io.begin(2, { nsid: 1, dwords: [0, 0, 0], read: 512 })
    await io.read(1, 0, 1)
    expect(io.inbox.filter((pdu) => [lost, never].includes(cidOf(pdu)))).toEqual([])
  })

  it('delays them, while others overtake', async () => {
    const { array, io } = await ready()
    array.faults.wire({ pdu: 'c2hData', delay: 20, count: 1 })
    const late = io.begin(2, { nsid: 1, dwords: [0, 0, 0], read: 512 })
    const soon = io.begin(2, { nsid: 1, dwords: [0, 0, 0], read: 512 })
    const order = [cidOf(await io.next()), cidOf(await io.next())]
    expect(order).toEqual([soon, late])
  })

  it.each([0, 1, 23, 24, 100, 535])('cuts the connection at byte %d', async (cut) => {
    for (const reset of [false, true]) {
      const { array, io } = await ready()
      array.faults.wire({ pdu: 'c2hData', cut, reset })
      let bytes = 0
      io.socket.on('data', (chunk) => {
        bytes += chunk.length
      })
      io.begin(2, { nsid: 1, dwords: [0, 0, 0], read: 512 })
      await io.gone()
      if (!reset) expect(bytes).toBe(cut)
      expect(io.wasReset || !reset).toBe(true)
    }
  })

  it('changes a byte, which digests find', async () => {
    const { array, pair } = await bed()
    const { io } = await pair({ dataDigest: true })
    array.faults.wire({ pdu: 'c2hData', corrupt: -5, count: 1 })
    await io.read(1, 0, 1)
    expect(io.wrongDigests).toBe(1)
  })

  it('sends them in another order, each command by itself in its own', async () => {
    const { array, io } = await ready({ c2hDataSize: 512 })
    const rule = array.faults.wire({ pdu: ['c2hData', 'response'], reorder: 5 })
    const cids = Array.from({ length: 16 }, (_, n) => io.begin(2, { nsid: 1, dwords: [n, 0, 3], read: 2048 }))
    const answers = await Promise.all(cids.map((cid) => io.finish(cid)))
    expect(answers.every(({ data, status }) => data.length === 2048 && status === 0)).toBe(true)
    expect(rule.hits).toBe(64)
  })

  it('ends connections at what hosts send', async () => {
    const { array, io, admin } = await ready()
    array.faults.wire({ pdu: 'h2cData', cut: 0, reset: true })
    io.beginWrite(1, 0, DATA)
    await io.next((pdu) => pdu.type === 9)
    io.h2cData(io.lastCid, 1, 0, DATA.subarray(0, 512), false)
    await io.gone()
    expect(io.wasReset).toBe(true)
    expect((await admin.command(0x18)).status).toBe(0)
  })

  it('is for admin queues or I/O queues, after some, for a share', async () => {
    const { array, io, admin } = await ready()
    const rule = array.faults.wire({ pdu: 'response', admin: true, drop: true, after: 1, count: 1 })
    expect((await io.write(1, 0, Buffer.alloc(512))).status).toBe(0)
    expect((await admin.command(0x18)).status).toBe(0)
    admin.begin(0x18)
    expect((await admin.command(0x18)).status).toBe(0)
    expect(rule.hits).toBe(1)
    rule.remove()
    const none = array.faults.wire({ pdu: 'response', drop: true, rate: 0 })
    expect((await admin.command(0x18)).status).toBe(0)
    expect(none.hits).toBe(0)
  })
})

describe('a rule for commands', () => {
  it('answers instead, before the data was asked for or after', async () => {
    const { array, io, memory } = await ready()
    for (const early of [true, false]) {
      array.faults.command({ opcode: 1, status: 0x80, doNotRetry: true, early, count: 1 })
      const answer = await io.write(1, 0, DATA)
      expect([answer.status, answer.dnr, answer.pdus.length]).toEqual([0x80, true, early ? 1 : 2])
    }
    expect(memory.array.peek(0, 0, 512).every((byte) => byte === 0)).toBe(true)
    expect((await io.write(1, 0, DATA)).status).toBe(0)
  })

  it('lets them hang, for a namespace or an opcode', async () => {
    const { array, io } = await ready()
    const rule = array.faults.command({ opcode: 2, nsid: 1, hangs: true, count: 1 })
    io.begin(2, { nsid: 1, dwords: [0, 0, 0], read: 512 })
    expect((await io.read(1, 0, 1)).status).toBe(0)
    expect(rule.hits).toBe(1)
    expect(array.controllers[0]!.inflight).toBe(1)
  })

  it('is for commands of fabrics too', async () => {
    const { array, dial } = await bed()
    array.faults.command({ admin: true, opcode: 0x7f, fctype: 1, status: 0x184, count: 1 })
    const host = await dial()
    await host.initialize()
    expect((await host.connect()).status).toBe(0x184)
    expect((await host.connect()).status).toBe(0)
    array.faults.command({ admin: true, opcode: 0x7f, fctype: 4, hangs: true })
    let answered = false
    void host.getProperty(8).then(
      () => (answered = true),
      () => {},
    )
    await host.setProperty(0x14, 0x0046_0001)
    expect(answered).toBe(false)
  })

  it('changes what admin commands return', async () => {
    const { array, admin } = await ready()
    const rule = array.faults.command({ admin: true, opcode: 6, data: hostileData.endlessList })
    expect((await admin.identify(2)).data.readUInt32LE(4092)).toBe(1024)
    rule.remove()
    array.faults.command({ admin: true, opcode: 2, data: hostileData.count(8, 0xffff) })
    expect((await admin.logPage(0x0c, 64)).data.readUInt16LE(8)).toBe(0xffff)
    array.faults.heal()
    array.faults.phantomNamespaces = 2000
    expect((await admin.identify(2, 1024)).data.readUInt32LE(0)).toBe(1025)
  })
})

describe('hostile replacements', () => {
  const reads: [keyof typeof hostile, Parameters<typeof hostileOf>[1]][] = [
    ['short', { flags: 12, length: 536 - 512 }],
    ['successWithoutLast', { flags: 8 }],
    ['dataBeyond', { offset: 0x7fff_f000 }],
    ['dataLength', { field: 1024 }],
    ['unknownCommand', { cid: 0xfffe }],
    ['hugePdu', { plen: 0xffff_ffff }],
    ['unknownType', { type: 0x0b }],
  ]
  function hostileOf(
    bytes: Buffer,
    wanted: Partial<Record<'type' | 'flags' | 'length' | 'offset' | 'field' | 'cid' | 'plen', number>>,
  ) {
    const seen = {
      type: bytes[0]!,
      flags: bytes[1]!,
      length: bytes.length,
      cid: bytes.readUInt16LE(8),
      offset: bytes.readUInt32LE(12),
      field: bytes.readUInt32LE(16),
      plen: bytes.readUInt32LE(4),
    }
    for (const [name, value] of Object.entries(wanted)) expect(seen[name as keyof typeof seen]).toBe(value)
  }

  it.each(reads)('%s comes instead of the data of a read', async (name, wanted) => {
    const { array, io } = await ready()
    const made = hostile[name] as unknown
    const replace = (
      name === 'successWithoutLast' || name === 'hugePdu' || name === 'unknownType' ? made : (made as () => unknown)()
    ) as never
    array.faults.wire({ pdu: 'c2hData', replace })
    const got = new Promise<Buffer>((resolve) => io.socket.once('data', resolve))
    io.begin(2, { nsid: 1, dwords: [0, 0, 0], read: 512 })
    hostileOf(await got, wanted)
  })

  it.each([
    ['r2tEmpty', [[9, 0, 0]]],
    ['r2tBefore', [[9, 0xffff_fe00, 65_536]]],
    ['r2tBeyond', [[9, 0, 69_632]]],
    ['r2tOutside', [[9, 0xffff_f000, 65_536]]],
    [
      'r2tAgain',
      [
        [9, 0, 65_536],
        [9, 0, 65_536],
      ],
    ],
    ['dataForWrite', [[7, 0, 512]]],
    ['term', [[3, 0, 0]]],
  ] as const)('%s comes instead of an R2T', async (name, wanted) => {
    const { array, io } = await ready()
    const made: unknown = hostile[name]
    const plain = ['r2tEmpty', 'r2tAgain', 'dataForWrite'].includes(name)
    array.faults.wire({ pdu: 'r2t', replace: (plain ? made : (made as (fes?: number) => unknown)()) as never })
    io.beginWrite(1, 0, DATA)
    for (const [type, offset, length] of wanted) {
      const { header, type: got } = await io.next()
      expect([got, header.readUInt32LE(12), header.readUInt32LE(16)]).toEqual([type, offset, length])
    }
  })

  it('withoutDigests leaves them away', async () => {
    const { array, pair } = await bed()
    const { io } = await pair({ headerDigest: true, dataDigest: true })
    array.faults.wire({ pdu: 'c2hData', replace: hostile.withoutDigests })
    const got = new Promise<Buffer>((resolve) => io.socket.once('data', resolve))
    io.begin(2, { nsid: 1, dwords: [0, 0, 0], read: 512 })
    const bytes = await got
    expect([bytes[1]! & 3, bytes[3], bytes.length]).toEqual([0, 24, 536])
  })
})

describe('a port', () => {
  it('goes down and up, is cut and reset', async () => {
    const { array, io, admin, pair, dial } = await ready()
    array.ports[0]!.reset()
    await Promise.all([io.gone(), admin.gone()])
    expect(io.wasReset).toBe(true)
    await array.ports[0]!.down()
    await expect(dial()).rejects.toThrow('ECONNREFUSED')
    await array.ports[0]!.up()
    await pair()
  })

  it('is dark: what would come in or go out waits', async () => {
    const { array, io, admin } = await ready()
    array.ports[0]!.blackhole(true)
    const cid = io.begin(2, { nsid: 1, dwords: [0, 0, 0], read: 512 })
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(io.inbox).toEqual([])
    array.ports[0]!.blackhole(false)
    expect((await io.finish(cid)).data.length).toBe(512)
    array.controllers[0]!.blackhole(true, 1)
    expect((await admin.command(0x18)).status).toBe(0)
    array.controllers[0]!.reset(1)
    await io.gone()
    expect(array.controllers[0]!.queues).toEqual([])
  })
})

describe('a wrong argument', () => {
  it.each([
    [{ pdu: 'nothing', drop: true }, 'rule.pdu is nothing; known are icReq, icResp'],
    [{ pdu: 'r2t' }, 'rule has no action; it must have one of drop, delay'],
    [{ pdu: 'r2t', drop: true, delay: 1 }, 'rule has drop, delay'],
    [{ pdu: 'command', delay: 1 }, 'delay is for PDUs that the array sends'],
    [{ pdu: 'r2t', cut: -1 }, 'rule.cut is -1; it must be a whole number from 0'],
    [{ pdu: 'r2t', drop: true, port: 3 }, 'rule.port is 3; it must be a whole number from 0 to 0'],
    [{ pdu: 'r2t', drop: true, rate: 2 }, 'rule.rate is 2; it must be a share'],
  ])('%o', async (rule, message) => {
    const { array } = await bed()
    expect(() => array.faults.wire(rule as unknown as WireRule)).toThrow(message)
  })

  it('is named, of commands and connections', async () => {
    const { array } = await bed()
    expect(() => array.faults.command({ opcode: 1 })).toThrow('rule has no action; it must have one of status, hangs')
    expect(() => array.faults.command({ opcode: 300, hangs: true })).toThrow('rule.opcode is 300')
    expect(() => array.faults.connect({ action: 'never' as never })).toThrow('rule.action is "never"')
    expect(() => array.setAccess({ port: 4 }, 'standby')).toThrow('where.port is 4')
    expect(() => array.reserve(VOLUME, 1)).toThrow('the identity of a volume that is mapped')
  })

  it.each([
    [{ name: 'array' }, 'name is "array"; it must be an NQN'],
    [{ ports: [] }, 'ports is []; it must be a list of at least one'],
    [{ maxTransfer: 5000 }, 'maxTransfer is 5000; it must be 4096 times a power of two'],
    [{ dataAlignment: 6 }, 'dataAlignment is 6; it must be a multiple of 4 from 4 to 128'],
    [{ inCapsuleData: 100 }, 'inCapsuleData is 100; it must be a multiple of 16'],
    [{ retryDelays: [1, 2, 3] as const }, 'retryDelays[0] is 1; it must be a multiple of 100'],
    [{ hosts: ['me'] }, 'hosts[0] is "me"; it must be an NQN'],
    [{ crossResetTold: 'never' as never }, 'crossResetTold is "never"; it must be one of immediate, event'],
    [{ namespaces: [{ volume: 'x' as never, device: new HeldDevice() }] }, 'namespaces[0].volume is "x"'],
    [
      {
        namespaces: [
          { nsid: 1, volume: VOLUME, device: new HeldDevice() },
          { nsid: 1, volume: VOLUME, device: new HeldDevice() },
        ],
      },
      'namespaces[1].nsid is 1; it must be one that port 0 does not have yet',
    ],
  ])('%# of the array', async (options: Partial<NvmeArrayOptions>, message) => {
    await expect(createNvmeArray({ name: SUBSYSTEM, ...options })).rejects.toThrow(message)
  })
})
