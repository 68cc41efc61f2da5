import { createRandom, pattern, patternFault } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import type { IscsiArrayOptions, WireRule } from '../src/index.ts'
import { createIscsiArray, hostile } from '../src/index.ts'
import type { Bed } from './beds.ts'
import { bed, bedOf, HeldDevice, until, use, VOLUME } from './beds.ts'
import { RawInitiator, read10, TARGET, write10 } from './initiator.ts'

const one = (initiator: RawInitiator, lba = 0): number => initiator.begin(read10(lba, 1), { read: 512 })

/** How a connection ends: by an error, or in order. */
function endOf({ socket }: RawInitiator): Promise<string> {
  return new Promise((resolve) => {
    socket.on('error', ({ code }: NodeJS.ErrnoException) => resolve(String(code)))
    socket.on('end', () => resolve('FIN'))
  })
}

describe('faults of PDUs that go out', () => {
  it('drop: so many, of one kind, after some', async () => {
    const { array, ready } = await bed()
    const initiator = await ready()
    const rule = array.faults.wire({ pdu: 'dataIn', drop: true, after: 1, count: 2 })
    const tags = [0, 1, 2, 3].map((lba) => one(initiator, lba))
    await initiator.finish(tags[0]!)
    await initiator.finish(tags[3]!)
    expect(initiator.inbox).toHaveLength(0)
    expect(rule.hits).toBe(2)
    rule.remove()
    expect((await initiator.command(read10(0, 1), { read: 512 })).status).toBe(0)
  })

  it('delay: others overtake', async () => {
    const { array, ready } = await bed()
    const initiator = await ready()
    array.faults.wire({ pdu: 'dataIn', delay: 30, count: 1 })
    const [slow, fast] = [one(initiator, 0), one(initiator, 1)]
    await until(() => initiator.inbox.length === 2, 'both')
    expect(initiator.inbox.map(({ tag }) => tag)).toEqual([fast, slow])
  })

  it('cut: at every byte of a PDU', async () => {
    const { array, ready } = await bed()
    for (const at of [0, 1, 47, 48, 49, 300, 559, 560]) {
      const initiator = await ready()
      let bytes = 0
      initiator.socket.on('data', (chunk: Buffer) => (bytes += chunk.length))
      const rule = array.faults.wire({ pdu: 'dataIn', cut: at, count: 1 })
      one(initiator)
      await initiator.gone()
      expect(bytes).toBe(at)
      rule.remove()
    }
  })

  it('cut by RST: what was sent before comes, and then an error', async () => {
    const { array, ready } = await bed()
    const initiator = await ready()
    const ended = endOf(initiator)
    array.faults.wire({ pdu: 'dataIn', cut: 100, reset: true, count: 1 })
    one(initiator)
    expect(await ended).toBe('ECONNRESET')
  })

  it.each([
    ['a byte of the header', 20],
    ['a byte of the data', 60],
    ['the header digest', 48],
    ['the data digest', -1],
  ])('corrupt: %s', async (_name, at) => {
    const { array, ready } = await bed()
    const initiator = await ready({ keys: { HeaderDigest: 'CRC32C', DataDigest: 'CRC32C' } })
    array.faults.wire({ pdu: 'dataIn', corrupt: at, count: 1 })
    one(initiator)
    await until(() => initiator.wrongDigests === 1, 'a wrong digest')
    await initiator.next()
    expect((await initiator.command(read10(0, 1), { read: 512 })).status).toBe(0)
    expect(initiator.wrongDigests).toBe(1)
  })

  it('reorder: of different tasks only, with StatSN in the order on the wire', async () => {
    const seed = 7
    const host = { ...(await import('@blockbraid/core')).systemHost, random: createRandom(seed) }
    const device = new HeldDevice()
    device.status = 0
    const array = use(await createIscsiArray({ name: TARGET, luns: [{ volume: VOLUME, device }] }, host))
    const initiator = await bedOf(array, undefined as never).ready({
      keys: { MaxRecvDataSegmentLength: '512', HeaderDigest: 'CRC32C' },
    })
    array.faults.wire({ pdu: ['dataIn', 'scsiResponse'], reorder: 20 })
    const first = initiator.expStatSn
    const tags = Array.from({ length: 8 }, (_, lba) => initiator.begin(read10(lba, 4), { read: 2048 }))
    await until(() => initiator.inbox.length === 32, 'all data')
    const order = initiator.inbox.map(({ tag }) => tag)
    expect(order, `seed ${seed}`).not.toEqual([...order].sort((a, b) => a - b))
    const statuses = initiator.inbox.filter(({ flags }) => (flags & 1) === 1).map(({ bhs }) => bhs.readUInt32BE(24))
    expect(statuses).toEqual(statuses.map((_, n) => first + n))
    expect(initiator.wrongDigests).toBe(0)
    for (const tag of tags) {
      const answer = await initiator.finish(tag)
      expect(answer.pdus.map(({ bhs }) => bhs.readUInt32BE(36))).toEqual([0, 1, 2, 3])
      expect(answer.data).toEqual(Buffer.alloc(2048, 0x5a))
    }
  })

  it('by LUN, by portal, by chance', async () => {
    const { array, ready } = await bed({ portals: [{}, {}], initialR2T: true, immediateData: false })
    const [a, b] = [await ready(), await ready({ portal: 1 })]
    const rule = array.faults.wire({ pdu: 'r2t', lun: 0, portal: 1, drop: true })
    const other = array.faults.wire({ pdu: 'r2t', lun: 1, drop: true })
    const never = array.faults.wire({ pdu: 'r2t', rate: 0, drop: true })
    expect((await a.command(write10(0, 1), { write: Buffer.alloc(512) })).status).toBe(0)
    b.begin(write10(0, 1), { write: Buffer.alloc(512) })
    await b.nop()
    expect(b.inbox).toHaveLength(0)
    expect([rule.hits, other.hits, never.hits]).toEqual([1, 0, 0])
  })

  it('by LUN, for PDUs that do not tell it', async () => {
    const { array, ready } = await bed({}, { volumes: [{ size: '1MiB' }, { size: '1MiB' }] })
    const initiator = await ready()
    await initiator.settle(1)
    const rule = array.faults.wire({ pdu: ['dataIn', 'scsiResponse'], lun: 1, drop: true })
    expect((await initiator.command(read10(0, 1), { read: 4096 })).status).toBe(0)
    expect((await initiator.command(Buffer.alloc(6))).status).toBe(0)
    initiator.begin(read10(0, 1), { read: 4096, lun: 1 })
    initiator.begin(Buffer.alloc(6), { lun: 1 })
    await initiator.nop()
    expect([initiator.inbox.length, rule.hits]).toEqual([0, 2])
  })

  it('heal takes every rule away', async () => {
    const { array, ready } = await bed()
    const initiator = await ready()
    array.faults.wire({ pdu: 'dataIn', drop: true })
    array.faults.command({ status: 8 })
    array.faults.login({ action: 'refuse' })
    array.faults.taskManagement({ response: 5 })
    array.faults.phantomLuns = 5
    array.faults.heal()
    expect((await initiator.command(read10(0, 1), { read: 512 })).status).toBe(0)
    expect(await initiator.manage(1, 99)).toBe(1)
    await ready({ isid: '400000000002' })
  })

  it('says what is wrong with a rule', async () => {
    const { array } = await bed()
    expect(() => array.faults.wire({ pdu: 'scsiCommand', delay: 1 })).toThrow('rule.pdu is scsiCommand')
    expect(() => array.faults.wire({ pdu: 'nothing' as never, drop: true })).toThrow('rule.pdu is nothing')
    expect(() => array.faults.wire({ pdu: 'dataIn' } as never)).toThrow('rule has no action; it must have one of drop,')
    expect(() => array.faults.wire({ pdu: 'dataIn', drop: true, cut: 0 })).toThrow('rule has drop, cut')
    expect(() => array.faults.wire({ pdu: 'dataIn', cut: -1 })).toThrow('rule.cut is -1')
    expect(() => array.faults.wire({ pdu: 'dataIn', drop: true, rate: 2 })).toThrow('rule.rate is 2')
    expect(() => array.faults.wire({ pdu: 'dataIn', drop: true, portal: 1 })).toThrow('rule.portal is 1')
    expect(() => array.faults.wire({ pdu: 'dataIn', replace: 7 as never })).toThrow('rule.replace is 7')
    expect(() => array.faults.command({ opcode: 0x28 } as never)).toThrow('rule.status is undefined')
    expect(() => array.faults.command({ status: 2, sense: 0x0100_0000 })).toThrow('rule.sense is 16777216')
    expect(() => array.faults.login({ action: 'stall' as never })).toThrow('rule.action is "stall"')
    expect(() => array.faults.taskManagement({ response: 256 })).toThrow('rule.response is 256')
  })
})

describe('faults of PDUs that come in', () => {
  it('drop: the command never was, and those behind wait for it', async () => {
    const { array, ready, memory } = await bed()
    const initiator = await ready()
    array.faults.wire({ pdu: 'scsiCommand', lun: 0, drop: true, count: 1 })
    const lost = initiator.commandHeader(write10(0, 1), { write: Buffer.alloc(512, 1) })
    initiator.send(lost, Buffer.alloc(512, 1))
    const next = one(initiator)
    await initiator.nop()
    expect(initiator.inbox).toHaveLength(0)
    expect(memory.array.peek(0, 0, 1)[0]).toBe(0)
    initiator.send(lost, Buffer.alloc(512, 1))
    expect((await initiator.finish(lost.readUInt32BE(16))).status).toBe(0)
    expect((await initiator.finish(next)).data).toEqual(Buffer.alloc(512, 1))
  })

  it('cut: as a Data-Out comes, and nothing of it is written', async () => {
    const { array, ready, memory } = await bed({ immediateData: false })
    const initiator = await ready()
    array.faults.wire({ pdu: 'dataOut', cut: 0, after: 1 })
    initiator.begin(write10(0, 256), { write: Buffer.alloc(131_072, 1) })
    const r2t = await initiator.next((pdu) => pdu.opcode === 0x31)
    initiator.dataOut(r2t.tag, r2t.bhs.readUInt32BE(20), Buffer.alloc(131_072, 1), 65_536, 131_072)
    await initiator.gone()
    expect(memory.array.peek(0, 0, 1)[0]).toBe(0)
  })
})

describe('the end of connections', () => {
  it.each(['cut', 'reset'] as const)('%s: of a session, of a portal, as a request comes in', async (way) => {
    const { array, ready } = await bed({ portals: [{}, {}] })
    const [session, portal, rule] = [await ready(), await ready({ portal: 1 }), await ready({ isid: '400000000002' })]
    const ends = [session, portal, rule].map(endOf)
    array.sessions[0]![way]()
    array.portals[1]![way]()
    array.faults.wire({ pdu: 'nopOut', cut: 0, reset: way === 'reset' })
    rule.send(rule.request(0x00, 0x80, 0, true))
    const end = way === 'reset' ? 'ECONNRESET' : 'FIN'
    expect(await Promise.all(ends)).toEqual([end, end, end])
    await until(() => array.sessions.length === 0, 'no session')
  })

  it('an initiator that ends its half first ends its session, with what it was still owed', async () => {
    const { array, ready } = await bed()
    const initiator = await ready()
    one(initiator)
    const ended = endOf(initiator)
    initiator.socket.end()
    expect(await ended).toBe('FIN')
    await until(() => array.portals[0]!.connections === 0, 'no connection')
  })
})

describe('faults of commands', () => {
  it('answers with a status, with sense, for an opcode', async () => {
    const { array, ready } = await bed()
    const initiator = await ready()
    const rule = array.faults.command({ opcode: 0x28, lun: 0, status: 2, sense: 0x03_1100, count: 1 })
    expect((await initiator.command(Buffer.alloc(6))).status).toBe(0)
    expect(await initiator.command(read10(0, 1), { read: 512 })).toMatchObject({ status: 2, sense: 0x03_1100 })
    expect((await initiator.command(read10(0, 1), { read: 512 })).status).toBe(0)
    expect(rule.hits).toBe(1)
    array.faults.command({ status: 0x28, count: 1 })
    expect(await initiator.command(read10(0, 1), { read: 512 })).toMatchObject({ status: 0x28, sense: 0 })
  })

  it('early: before the data came, or after it was asked for', async () => {
    const { array, ready } = await bed()
    const initiator = await ready({ keys: { ImmediateData: 'No', InitialR2T: 'No', FirstBurstLength: '512' } })
    array.faults.command({ opcode: 0x2a, status: 2, sense: 0x04_4400, early: true, count: 1 })
    const header = initiator.commandHeader(write10(0, 4), { write: Buffer.alloc(2048) })
    header[1]! &= 0x7f
    initiator.send(header)
    expect(await initiator.finish(header.readUInt32BE(16))).toMatchObject({ status: 2, sense: 0x04_4400 })
    initiator.dataOut(header.readUInt32BE(16), 0xffff_ffff, Buffer.alloc(2048), 0, 512)
    array.faults.command({ opcode: 0x2a, status: 0, early: 'r2t', count: 1 })
    const tag = initiator.begin(write10(0, 4), { write: Buffer.alloc(2048) })
    const answer = await initiator.finish(tag, Buffer.alloc(2048))
    expect(answer.status).toBe(0)
    await initiator.nop()
    expect(array.counters.strayBytes).toBe(1024)
    expect(array.violations).toEqual([])
  })

  it('a refused write takes its unsolicited data first, unless told otherwise', async () => {
    for (const earlyStatus of [false, true]) {
      const { ready } = await bed({ earlyStatus })
      const initiator = await ready({ keys: { ImmediateData: 'No' } })
      const header = initiator.commandHeader(write10(0xffff_ff00, 2), { write: Buffer.alloc(1024) })
      header[1]! &= 0x7f
      initiator.send(header)
      await initiator.nop()
      expect(initiator.inbox).toHaveLength(earlyStatus ? 1 : 0)
      initiator.dataOut(header.readUInt32BE(16), 0xffff_ffff, Buffer.alloc(1024), 0, 1024)
      expect(await initiator.finish(header.readUInt32BE(16))).toMatchObject({ sense: 0x05_2100 })
    }
  })
})

describe('portals', () => {
  it('go down and come up', async () => {
    const { array, login } = await bed({ portals: [{}, {}] })
    const [a, b] = [await login(), await login({ portal: 1 })]
    const [portal] = array.portals
    await portal!.down()
    await a.gone()
    await expect(login()).rejects.toThrow('ECONNREFUSED')
    await b.nop()
    const { port } = portal!
    await portal!.up()
    expect(portal!.port).toBe(port)
    await (await login()).nop()
    portal!.cut()
    await until(() => portal!.connections === 0, 'no connection')
  })

  it('black-hole: nothing goes through, and then everything', async () => {
    const { array, ready } = await bed()
    const initiator = await ready()
    array.portals[0]!.blackhole(true)
    const tag = one(initiator)
    const late = await RawInitiator.dial(array.portals[0]!.port)
    late.loginRequest(Buffer.alloc(0), 0x87)
    const { ready: elsewhere } = await bed()
    await (await elsewhere()).nop()
    expect([initiator.inbox, late.inbox]).toEqual([[], []])
    array.portals[0]!.blackhole(false)
    expect((await initiator.finish(tag)).status).toBe(0)
    expect((await late.next()).opcode).toBe(0x23)
  })
})

describe('hostile replacements', () => {
  const tries: [string, WireRule, (pdu: Buffer) => unknown, unknown][] = [
    ['hugeSegment', { pdu: 'dataIn', replace: hostile.hugeSegment }, (pdu) => pdu.readUIntBE(5, 3), 0xff_ffff],
    ['dataBeyond', { pdu: 'dataIn', replace: hostile.dataBeyond() }, (pdu) => pdu.readUInt32BE(40), 0x7fff_f000],
    ['unknownTag', { pdu: 'dataIn', replace: hostile.unknownTag() }, (pdu) => pdu.readUInt32BE(16), 0xdead_beef],
    ['unknownOpcode', { pdu: 'dataIn', replace: hostile.unknownOpcode }, (pdu) => pdu[0], 0x2f],
    ['shifted', { pdu: 'dataIn', replace: hostile.shifted }, (pdu) => pdu.readUIntBE(5, 3), 508],
    ['garbage', { pdu: 'dataIn', replace: hostile.garbage() }, (pdu) => pdu[0], 0xff],
    ['twice', { pdu: 'dataIn', replace: hostile.twice }, (pdu) => pdu.length, 2 * 560],
    ['r2tBeyond', { pdu: 'r2t', replace: hostile.r2tBeyond() }, (pdu) => pdu.readUInt32BE(44), 512 + 4096],
    ['r2tOutside', { pdu: 'r2t', replace: hostile.r2tOutside() }, (pdu) => pdu.readUInt32BE(40), 0xffff_f000],
  ]
  it.each(tries)('%s', async (_name, rule, look, seen) => {
    const { array, ready } = await bed({ immediateData: false, initialR2T: true })
    const initiator = await ready()
    array.faults.wire(rule)
    const bytes: Buffer[] = []
    initiator.socket.removeAllListeners('data')
    initiator.socket.on('data', (chunk: Buffer) => bytes.push(chunk))
    if (rule.pdu === 'r2t') initiator.begin(write10(0, 1), { write: Buffer.alloc(512) })
    else one(initiator)
    await until(() => Buffer.concat(bytes).length >= 48 && look(Buffer.concat(bytes)) === seen, 'the PDU')
  })
})

describe('noise', () => {
  it('in a login does not hurt it either', async () => {
    const { array, login } = await bed({ loginTimeout: 2000 })
    const text = `InitiatorName=iqn.2026-11.io.blockbraid:noise\0TargetName=${TARGET}\0SessionType=Normal\0CHAP_A=5\0`
    for (let seed = 1; seed <= 200; seed++) {
      const random = createRandom(seed)
      const pick = (below: number): number => Math.floor(random() * below)
      const initiator = await RawInitiator.dial(array.portals[0]!.port)
      for (let n = 0; n < 5 && !initiator.closed; n++) {
        const bhs = Buffer.alloc(48)
        bhs[0] = 0x43
        bhs[1] = pick(256)
        const data = Buffer.from(random() < 0.7 ? text : text.slice(pick(text.length)))
        const bytes = initiator.encode(bhs, data)
        for (let changes = pick(5); changes > 0; changes--) bytes[pick(bytes.length)] = pick(256)
        initiator.socket.write(bytes)
      }
      initiator.close()
    }
    await (await login()).nop()
    await until(() => array.portals[0]!.connections === 1, 'only the good connection')
  })

  // A valid stream with bytes changed, and plain noise: no crash, no hang, and others are served as before.
  it('does not hurt the array', async () => {
    const storage = { volumes: [{ size: '16MiB' as const, blockSize: 512 as const }, { size: '1MiB' as const }] }
    const { array, login, ready, memory }: Bed = await bed({ log: false } satisfies Partial<IscsiArrayOptions>, storage)
    const good = await ready({ name: 'iqn.2026-11.io.blockbraid:good', isid: '400000000077' })
    await good.settle(1)
    const data = pattern(4096, { seed: 9, offset: 0, generation: 1 })
    const mine = Buffer.from('2a000000000000000100000000000000', 'hex')
    expect((await good.command(mine, { lun: 1, write: data })).status).toBe(0)
    const before = Buffer.from(memory.array.peek(1, 0, 4096))
    for (let seed = 1; seed <= 120; seed++) {
      const random = createRandom(seed)
      const pick = (below: number): number => Math.floor(random() * below)
      const keys = { HeaderDigest: 'None', DataDigest: random() < 0.3 ? 'CRC32C' : 'None' }
      const initiator = await login({ isid: '400000000001', keys })
      for (let n = 0; n < 40 && !initiator.closed; n++) {
        const write = Buffer.alloc(512 * (1 + pick(8)), n)
        const header =
          random() < 0.5
            ? initiator.commandHeader(write10(pick(100), write.length / 512), { write })
            : initiator.request(pick(64), pick(256), 0, random() < 0.5)
        const bytes = initiator.encode(header, random() < 0.5 ? write : Buffer.alloc(0))
        // The LUN stays as it is: the other unit is to be untouched.
        for (let changes = pick(4); changes > 0; changes--) {
          const at = pick(Math.min(bytes.length, 64))
          if (at < 8 || at > 15) bytes[at] = pick(256)
        }
        initiator.socket.write(random() < 0.05 ? bytes.subarray(0, pick(bytes.length)) : bytes)
      }
      initiator.close()
    }
    expect(Buffer.from(memory.array.peek(1, 0, 4096))).toEqual(before)
    const read = await good.command(Buffer.from('28000000000000000100000000000000', 'hex'), { lun: 1, read: 4096 })
    expect(patternFault(read.data, { seed: 9, offset: 0, generation: 1 })).toBeUndefined()
    await until(() => array.sessions.length === 1, 'only the good session')
  })
})
