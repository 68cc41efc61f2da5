import { describe, expect, it } from 'vitest'
import type { IscsiArrayOptions } from '../src/index.ts'
import { createIscsiArray } from '../src/index.ts'
import type { Bed } from './beds.ts'
import { bed, bedOf, HeldDevice, until, use, VOLUME } from './beds.ts'
import { read10, TARGET, write10 } from './initiator.ts'

/** A bed over a device that keeps what it gets. */
async function heldBed(options: Partial<IscsiArrayOptions> = {}): Promise<Bed & { device: HeldDevice }> {
  const device = new HeldDevice()
  const luns = [{ volume: VOLUME, device }]
  const array = use(await createIscsiArray({ name: TARGET, luns, ...options }))
  return { ...bedOf(array, undefined as never), device }
}

const data = (bytes: number): Buffer => Buffer.alloc(bytes, 0x11)

describe('the command window', () => {
  it('is as wide as was asked for, and moves as commands end', async () => {
    const { ready, device } = await heldBed({ window: 4 })
    const initiator = await ready()
    expect(initiator.maxCmdSn).toBe(initiator.cmdSn + 3)
    const limit = initiator.maxCmdSn
    const tags = [0, 1, 2, 3].map((lba) => initiator.begin(read10(lba, 1), { read: 512 }))
    await device.holds(4)
    expect((await initiator.nop()).bhs.readUInt32BE(28)).toBe(limit + 1)
    expect(initiator.maxCmdSn).toBe(limit)
    device.release()
    for (const tag of tags) await initiator.finish(tag)
    expect(initiator.maxCmdSn).toBe(limit + 4)
  })

  it('ignores what is outside of it, in silence', async () => {
    const { array, ready, device } = await heldBed({ window: 2 })
    const initiator = await ready()
    const inside = initiator.cmdSn
    for (const cmdSn of [inside + 2, inside - 1]) {
      initiator.cmdSn = cmdSn
      initiator.begin(write10(0, 1), { write: data(512) })
    }
    await initiator.nop()
    initiator.cmdSn = inside
    device.status = 0
    expect((await initiator.command(write10(0, 1), { write: data(512) })).status).toBe(0)
    expect(device.seen).toEqual(['Write 0 512'])
    expect(array.counters.ignored).toBe(2)
    expect(initiator.inbox).toHaveLength(0)
  })

  it('can be closed: nothing new fits in, until it opens and says so', async () => {
    const { array, ready, device } = await heldBed({ window: 2 })
    const initiator = await ready()
    device.status = 0
    const limit = initiator.maxCmdSn
    array.setWindowOpen(false)
    await initiator.command(read10(0, 1), { read: 512 })
    await initiator.command(read10(0, 1), { read: 512 })
    expect(initiator.maxCmdSn).toBe(limit)
    initiator.begin(read10(0, 1), { read: 512 })
    await initiator.nop()
    expect(array.counters.ignored).toBe(1)
    array.setWindowOpen(true)
    await until(() => initiator.maxCmdSn === limit + 2, 'a wider window')
    expect(initiator.inbox.map((pdu) => [pdu.opcode, pdu.tag])).toEqual([[0x20, 0xffff_ffff]])
  })

  it('counts past 2 ** 32', async () => {
    const { login } = await bed()
    const initiator = await login({ cmdSn: 0xffff_fffd })
    for (let n = 0; n < 6; n++) await initiator.command(Buffer.alloc(6))
    expect(initiator.cmdSn).toBe(3)
    expect(initiator.maxCmdSn).toBe(2 + 128)
  })
})

describe('NOP, logout, messages, reject', () => {
  it('answers a NOP-Out with its data', async () => {
    const { login } = await bed()
    const initiator = await login()
    expect((await initiator.nop(Buffer.from('ping-data'))).data.toString()).toBe('ping-data')
    expect((await initiator.nop(Buffer.alloc(0), false)).data).toHaveLength(0)
  })

  it('asks for answers itself', async () => {
    const { array, login } = await bed()
    const initiator = await login()
    array.sessions[0]!.ping()
    const ping = await initiator.next((pdu) => pdu.opcode === 0x20)
    expect(ping.tag).toBe(0xffff_ffff)
    const answer = initiator.request(0x00, 0x80, 0, true)
    answer.writeUInt32BE(0xffff_ffff, 16)
    answer.writeUInt32BE(ping.bhs.readUInt32BE(20), 20)
    initiator.send(answer)
    await initiator.nop()
    expect(array.counters.pongs).toBe(1)
  })

  it('logs out: commands end first, then the connection', async () => {
    const { array, ready, device } = await heldBed()
    const initiator = await ready()
    const tag = initiator.begin(read10(0, 1), { read: 512 })
    await device.holds(1)
    const out = initiator.logout()
    // It came after the logout, which still waits for the command.
    await initiator.nop()
    expect(initiator.inbox).toHaveLength(0)
    device.release()
    expect(await out).toBe(0)
    expect(initiator.inbox.some((pdu) => pdu.tag === tag)).toBe(false)
    await until(() => array.sessions.length === 0, 'no session')
  })

  it('sends asynchronous messages', async () => {
    const { array, login } = await bed()
    const initiator = await login()
    array.sessions[0]!.message({ event: 1, parameters: [0, 0, 3] })
    const message = await initiator.next((pdu) => pdu.opcode === 0x32)
    expect([message.bhs[36], message.bhs.readUInt16BE(42)]).toEqual([1, 3])
    array.sessions[0]!.message({ event: 0, lun: 5, sense: 0x06_2a09 })
    const event = await initiator.next((pdu) => pdu.opcode === 0x32)
    expect([event.bhs[9], event.data.readUInt16BE(0), event.data[4], event.data[14]]).toEqual([5, 18, 6, 0x2a])
  })

  it('rejects what it does not serve, with the header', async () => {
    const { array, login } = await bed()
    const initiator = await login()
    const snack = initiator.request(0x10, 0x80, 0, true)
    initiator.send(snack)
    const reject = await initiator.next((pdu) => pdu.opcode === 0x3f)
    expect([reject.bhs[2], reject.data]).toEqual([3, snack])
    initiator.send(initiator.request(0x1c, 0x80, 0, true))
    expect((await initiator.next((pdu) => pdu.opcode === 0x3f)).bhs[2]).toBe(5)
    expect(array.violations).toHaveLength(1)
  })
})

describe('violations end the connection and are noted', () => {
  const tries: [string, Record<string, string>, (initiator: Awaited<ReturnType<Bed['ready']>>) => void, RegExp][] = [
    [
      'immediate data that was not agreed on',
      { ImmediateData: 'No' },
      (initiator) => initiator.send(initiator.commandHeader(write10(0, 1), { write: data(512) }), data(512)),
      /immediate data, which was not agreed on/,
    ],
    [
      'more immediate data than FirstBurstLength',
      { FirstBurstLength: '512' },
      (initiator) => initiator.send(initiator.commandHeader(write10(0, 2), { write: data(1024) }), data(1024)),
      /more than FirstBurstLength/,
    ],
    [
      'unsolicited data that was not announced',
      {},
      (initiator) => {
        const header = initiator.commandHeader(write10(0, 2), { write: data(1024) })
        initiator.send(header, data(512))
        initiator.dataOut(header.readUInt32BE(16), 0xffff_ffff, data(1024), 512, 1024)
      },
      /not announced/,
    ],
    [
      'a command without its end where InitialR2T holds',
      { InitialR2T: 'Yes' },
      (initiator) => {
        const header = initiator.commandHeader(write10(0, 2), { write: data(1024) })
        header[1]! &= 0x7f
        initiator.send(header)
      },
      /without the final bit/,
    ],
    [
      'a tag in use',
      { ImmediateData: 'No', InitialR2T: 'Yes' },
      (initiator) => {
        const tag = initiator.begin(write10(0, 1), { write: data(512) })
        const header = initiator.commandHeader(read10(0, 1), { read: 512 })
        header.writeUInt32BE(tag, 16)
        initiator.send(header)
      },
      /is in use/,
    ],
    [
      'a status acknowledged that was not sent',
      {},
      (initiator) => {
        initiator.expStatSn += 5
        initiator.begin(read10(0, 1), { read: 512 })
      },
      /not sent/,
    ],
    [
      'a data segment that is too long',
      {},
      (initiator) => initiator.send(initiator.request(0, 0x80), data(300_000)),
      /300000/,
    ],
  ]
  it.each(tries)('%s', async (_name, keys, act, text) => {
    const { array, ready } = await bed()
    const initiator = await ready({ keys })
    act(initiator)
    await initiator.gone()
    expect(array.violations).toHaveLength(1)
    expect(array.violations[0]).toMatch(text)
  })

  const dataOuts: [string, (header: Buffer) => void][] = [
    ['another offset', (header) => header.writeUInt32BE(512, 40)],
    ['another DataSN', (header) => header.writeUInt32BE(1, 36)],
    ['an unknown transfer tag', (header) => header.writeUInt32BE(99, 20)],
    ['no final bit', (header) => header.writeUInt8(0, 1)],
  ]
  it.each(dataOuts)('Data-Out with %s', async (_name, change) => {
    const { array, ready, memory } = await bed({ immediateData: false, initialR2T: true })
    const initiator = await ready()
    const tag = initiator.begin(write10(0, 1), { write: data(512) })
    const r2t = await initiator.next((pdu) => pdu.opcode === 0x31)
    const header = initiator.dataOutHeader(tag, r2t.bhs.readUInt32BE(20), 0, 0, true)
    change(header)
    initiator.send(header, data(512))
    expect((await initiator.next((pdu) => pdu.opcode === 0x3f)).bhs[2]).toBe(4)
    await initiator.gone()
    expect(array.violations).toHaveLength(1)
    expect(Buffer.from(memory.array.peek(0, 0, 512))).toEqual(Buffer.alloc(512))
  })

  it('a wrong header digest, a wrong data digest', async () => {
    const { array, ready, memory } = await bed()
    const keys = { HeaderDigest: 'CRC32C', DataDigest: 'CRC32C' }
    for (const [at, text] of [
      [20, /header/],
      [60, /data segment/],
    ] as const) {
      const initiator = await ready({ keys })
      const bytes = initiator.encode(initiator.commandHeader(write10(0, 1), { write: data(512) }), data(512))
      bytes[at]! ^= 0x10
      initiator.socket.write(bytes)
      await initiator.gone()
      expect(array.violations.at(-1)).toMatch(text)
    }
    expect(Buffer.from(memory.array.peek(0, 0, 512))).toEqual(Buffer.alloc(512))
  })

  it('a wrong digest of a Data-Out ends its command alone', async () => {
    const { array, ready } = await bed({ immediateData: false, initialR2T: true })
    const initiator = await ready({ keys: { DataDigest: 'CRC32C' } })
    const tag = initiator.begin(write10(0, 1), { write: data(512) })
    const r2t = await initiator.next((pdu) => pdu.opcode === 0x31)
    const bytes = initiator.encode(initiator.dataOutHeader(tag, r2t.bhs.readUInt32BE(20), 0, 0, true), data(512))
    bytes[100]! ^= 1
    initiator.socket.write(bytes)
    expect((await initiator.next((pdu) => pdu.opcode === 0x3f)).bhs[2]).toBe(2)
    expect(await initiator.finish(tag)).toMatchObject({ status: 2, sense: 0x0b_4705 })
    expect((await initiator.command(read10(0, 1), { read: 512 })).data).toEqual(Buffer.alloc(512))
    expect(array.violations).toHaveLength(1)
  })
})

describe('task management', () => {
  it('ABORT TASK of a write that waits for its data; what comes later is thrown away', async () => {
    const { array, ready, device } = await heldBed({ immediateData: false, initialR2T: true })
    const initiator = await ready()
    const tag = initiator.begin(write10(0, 1), { write: data(512) })
    const r2t = await initiator.next((pdu) => pdu.opcode === 0x31)
    expect(await initiator.manage(1, tag)).toBe(0)
    initiator.dataOut(tag, r2t.bhs.readUInt32BE(20), data(512), 0, 512)
    await initiator.nop()
    expect([device.seen, array.counters.strayBytes, array.counters.aborts]).toEqual([[], 512, 1])
    expect(array.violations).toEqual([])
  })

  it('ABORT TASK waits until the device has ended it, and no response to the task comes', async () => {
    const { ready, device } = await heldBed()
    const initiator = await ready()
    const tag = initiator.begin(write10(0, 1), { write: data(512) })
    await device.holds(1)
    let ended = false
    const aborted = initiator.manage(1, tag).finally(() => {
      ended = true
    })
    await initiator.nop()
    expect([ended, initiator.inbox.length]).toEqual([false, 0])
    device.release()
    expect(await aborted).toBe(0)
    await initiator.nop()
    expect(initiator.inbox).toHaveLength(0)
    // Its place in the window is free again.
    expect(initiator.maxCmdSn - initiator.cmdSn).toBe(127)
  })

  it('ABORT TASK of what is not there, of a command that waits for its turn', async () => {
    const { ready, device } = await heldBed()
    const initiator = await ready()
    expect(await initiator.manage(1, 4711)).toBe(1)
    const early = initiator.commandHeader(read10(0, 1), { read: 512 })
    const late = initiator.commandHeader(read10(1, 1), { read: 512 })
    initiator.send(late)
    expect(await initiator.manage(1, late.readUInt32BE(16))).toBe(0)
    device.status = 0
    initiator.send(early)
    expect((await initiator.finish(early.readUInt32BE(16))).status).toBe(0)
    expect((await initiator.command(read10(2, 1), { read: 512 })).status).toBe(0)
    expect(device.seen).toEqual(['Read 0 512', 'Read 1024 512'])
  })

  it('ABORT TASK SET ends those of one session; LUN RESET those of all, who hear of it', async () => {
    const { ready, device } = await heldBed({ immediateData: false, initialR2T: true })
    const [a, b] = [await ready(), await ready({ isid: '400000000002' })]
    for (const initiator of [a, b]) initiator.begin(write10(0, 1), { write: data(512) })
    for (const initiator of [a, b]) await initiator.next((pdu) => pdu.opcode === 0x31)
    expect(await a.manage(2)).toBe(0)
    const tag = b.begin(read10(0, 1), { read: 512 })
    await device.holds(1)
    const reset = a.manage(5)
    await a.nop()
    device.release()
    expect(await reset).toBe(0)
    await b.nop()
    expect(b.inbox.some((pdu) => pdu.tag === tag)).toBe(false)
    for (const initiator of [a, b]) expect(await initiator.command(Buffer.alloc(6))).toMatchObject({ sense: 0x06_2903 })
    expect(await a.manage(5, 0xffff_ffff, 9)).toBe(2)
  })

  it('knows the other functions, or says that it does not', async () => {
    const { ready } = await heldBed()
    const initiator = await ready()
    expect(await initiator.manage(8, 1)).toBe(4)
    expect(await initiator.manage(3)).toBe(5)
    expect(await initiator.manage(6)).toBe(0)
    expect(await initiator.command(Buffer.alloc(6))).toMatchObject({ sense: 0x06_2903 })
  })

  it('can be refused', async () => {
    const { array, ready, device } = await heldBed()
    const initiator = await ready()
    array.faults.taskManagement({ function: 1, response: 5, count: 1 })
    const tag = initiator.begin(read10(0, 1), { read: 512 })
    await device.holds(1)
    expect(await initiator.manage(1, tag)).toBe(5)
    device.release()
    expect((await initiator.finish(tag)).status).toBe(0)
  })
})

describe('reinstatement', () => {
  it('ends the old session, its tasks and its connection before it answers', async () => {
    const { array, login, ready, device } = await heldBed()
    const old = await ready()
    old.begin(write10(0, 1), { write: data(512) })
    await device.holds(1)
    let answered = false
    const again = login().then((initiator) => {
      answered = true
      return initiator
    })
    await old.gone()
    const other = await login({ isid: '400000000002' })
    await other.nop()
    // The device still has the old write: the login waits.
    expect(answered).toBe(false)
    device.release()
    const initiator = await again
    expect(initiator.tsih).not.toBe(old.tsih)
    expect(array.counters.reinstatements).toBe(1)
    expect(array.sessions).toHaveLength(2)
  })

  it('throws the late data of the old session away', async () => {
    const { array, login, ready, device } = await heldBed({ immediateData: false, initialR2T: true })
    device.status = 0
    const old = await ready()
    const tag = old.begin(write10(0, 1), { write: data(512) })
    const r2t = await old.next((pdu) => pdu.opcode === 0x31)
    array.sessions[0]!.blackhole(true)
    old.dataOut(tag, r2t.bhs.readUInt32BE(20), data(512), 0, 512)
    await login()
    await old.gone()
    expect(device.seen).toEqual([])
  })

  it('switched off, lets the late data in: that is what the fence is for', async () => {
    const { array, login, ready, device } = await heldBed({ immediateData: false, initialR2T: true, reinstate: false })
    device.status = 0
    const old = await ready()
    const tag = old.begin(write10(0, 1), { write: data(512) })
    const r2t = await old.next((pdu) => pdu.opcode === 0x31)
    const [session] = array.sessions
    session!.blackhole(true)
    old.dataOut(tag, r2t.bhs.readUInt32BE(20), data(512), 0, 512)
    await login()
    expect(device.seen).toEqual([])
    session!.blackhole(false)
    expect((await old.finish(tag)).status).toBe(0)
    expect(device.seen).toEqual(['Write 0 512'])
  })

  it('that is lazy leaves the device to what it has begun; an ordered command waits for that, and all behind it', async () => {
    const { login, ready, device } = await heldBed({ reinstate: 'lazy', loginAttention: false })
    const old = await ready()
    old.begin(write10(0, 1), { write: data(512) })
    await device.holds(1)
    const initiator = await login()
    await old.gone()
    const tags = [initiator.begin(Buffer.alloc(6), { attribute: 2 }), initiator.begin(read10(0, 1), { read: 512 })]
    await initiator.nop()
    expect(device.seen).toEqual(['Write 0 512'])
    expect(initiator.inbox).toHaveLength(0)
    device.release()
    await device.holds(1)
    device.release()
    for (const tag of tags) expect((await initiator.finish(tag)).status).toBe(0)
  })

  it('is by initiator, ISID and portal group', async () => {
    const { array, login } = await heldBed({ portals: [{ group: 1 }, { group: 1 }, { group: 2 }] })
    const first = await login()
    await login({ isid: '400000000002' })
    await login({ name: 'iqn.2026-11.io.blockbraid:other' })
    await login({ portal: 2 })
    expect(array.counters.reinstatements).toBe(0)
    await login({ portal: 1 })
    await first.gone()
    expect(array.counters.reinstatements).toBe(1)
    expect(array.sessions).toHaveLength(4)
  })

  it('of two logins at once leaves one session', async () => {
    const { array, login, ready, device } = await heldBed()
    const old = await ready()
    old.begin(write10(0, 1), { write: data(512) })
    await device.holds(1)
    const both = [login(), login()]
    await old.gone()
    device.release()
    await Promise.allSettled(both)
    await until(() => array.sessions.length === 1, 'one session')
  })

  it('also waits for a session whose connection was lost before', async () => {
    const { login, ready, device, array } = await heldBed()
    const old = await ready()
    old.begin(write10(0, 1), { write: data(512) })
    await device.holds(1)
    old.close()
    await until(() => array.sessions.length === 0, 'no live session')
    let answered = false
    const again = login().then(() => {
      answered = true
    })
    await (await login({ isid: '400000000002' })).nop()
    expect(answered).toBe(false)
    device.release()
    await again
  })
})
