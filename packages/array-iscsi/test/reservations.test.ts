import { describe, expect, it } from 'vitest'
import type { IscsiArray } from '../src/index.ts'
import { createIscsiArray } from '../src/index.ts'
import { bedOf, HeldDevice, use, VOLUME } from './beds.ts'
import type { Answer, RawInitiator } from './initiator.ts'
import { cdb, read10, TARGET, write10 } from './initiator.ts'

const OUT = { register: 0, reserve: 1, release: 2, clear: 3, preempt: 4, preemptAndAbort: 5, registerIgnore: 6 }

function out(
  initiator: RawInitiator,
  action: number,
  keys: { key?: bigint; action?: bigint; type?: number; flags?: number },
): Promise<Answer> {
  const list = Buffer.alloc(24)
  list.writeBigUInt64BE(keys.key ?? 0n, 0)
  list.writeBigUInt64BE(keys.action ?? 0n, 8)
  list[20] = keys.flags ?? 0
  const command = cdb('5f0000000000000018')
  command[1] = action
  command[2] = keys.type ?? 0
  return initiator.command(command, { write: list })
}

async function status(answer: Promise<Answer>): Promise<number> {
  return (await answer).status
}

async function prIn(initiator: RawInitiator, action: number): Promise<Buffer> {
  return (await initiator.command(cdb(`5e0${action} 0000000000 0400`), { read: 1024 })).data
}

/** Three hosts on one unit; the first two register with the keys 1 and 2. */
async function hosts(): Promise<{
  array: IscsiArray
  device: HeldDevice
  all: [RawInitiator, RawInitiator, RawInitiator]
}> {
  const device = new HeldDevice()
  device.status = 0
  const portals = [{}, {}]
  const array = use(await createIscsiArray({ name: TARGET, portals, luns: [{ volume: VOLUME, device }] }))
  const { ready } = bedOf(array, undefined as never)
  const a = await ready({ name: 'iqn.2026-11.io.blockbraid:a' })
  const b = await ready({ name: 'iqn.2026-11.io.blockbraid:b', portal: 1 })
  const c = await ready({ name: 'iqn.2026-11.io.blockbraid:c' })
  expect(await status(out(a, OUT.register, { action: 1n }))).toBe(0)
  expect(await status(out(b, OUT.register, { action: 2n }))).toBe(0)
  return { array, device, all: [a, b, c] }
}

describe('persistent reservations', () => {
  it('registers, changes and removes keys', async () => {
    const { all } = await hosts()
    const [a, , c] = all
    expect((await prIn(a, 0)).toString('hex')).toBe('00000002' + '00000010' + '0000000000000001' + '0000000000000002')
    expect(await status(out(a, OUT.register, { key: 9n, action: 3n }))).toBe(0x18)
    expect(await status(out(a, OUT.register, { key: 1n, action: 3n }))).toBe(0)
    expect(await status(out(a, OUT.register, { key: 3n, action: 0n }))).toBe(0)
    expect(await status(out(c, OUT.register, { key: 5n, action: 6n }))).toBe(0x18)
    expect(await status(out(c, OUT.registerIgnore, { key: 5n, action: 6n }))).toBe(0)
    expect((await prIn(c, 0)).subarray(8).toString('hex')).toBe('0000000000000002' + '0000000000000006')
  })

  // What registered and unregistered hosts may do beside the holder: read, write.
  it.each([
    [1, 'write exclusive', [true, false], [true, false]],
    [3, 'exclusive access', [false, false], [false, false]],
    [5, 'write exclusive, registrants', [true, true], [true, false]],
    [6, 'exclusive access, registrants', [true, true], [false, false]],
    [7, 'write exclusive, all registrants', [true, true], [true, false]],
    [8, 'exclusive access, all registrants', [true, true], [false, false]],
  ])('type %i: %s', async (type, _name, registered, stranger) => {
    const { all } = await hosts()
    const [a, b, c] = all
    expect(await status(out(a, OUT.reserve, { key: 1n, type }))).toBe(0)
    const may = async (initiator: RawInitiator): Promise<boolean[]> => [
      (await status(initiator.command(read10(0, 1), { read: 512 }))) === 0,
      (await status(initiator.command(write10(0, 1), { write: Buffer.alloc(512) }))) === 0,
    ]
    expect([await may(a), await may(b), await may(c)]).toEqual([[true, true], registered, stranger])
    // Whatever the reservation: these never conflict.
    for (const command of ['00', '12000000ff', '25', '5e000000000000ff', 'a00000000000000000ff', 'a30a0000000000ff']) {
      expect(await status(c.command(cdb(command), { read: 255 })), command).not.toBe(0x18)
    }
    const key = type > 6 ? '0000000000000000' : '0000000000000001'
    expect((await prIn(c, 1)).subarray(4).toString('hex')).toBe(`00000010${key}00000000000${type}0000`)
  })

  it('is held by one, and released by the holder alone', async () => {
    const { all } = await hosts()
    const [a, b, c] = all
    expect(await status(out(c, OUT.reserve, { key: 1n, type: 1 }))).toBe(0x18)
    expect(await status(out(a, OUT.reserve, { key: 1n, type: 5 }))).toBe(0)
    expect(await status(out(a, OUT.reserve, { key: 1n, type: 5 }))).toBe(0)
    expect(await status(out(a, OUT.reserve, { key: 1n, type: 6 }))).toBe(0x18)
    expect(await status(out(b, OUT.reserve, { key: 2n, type: 5 }))).toBe(0x18)
    expect(await status(out(b, OUT.release, { key: 2n, type: 5 }))).toBe(0)
    expect((await prIn(b, 1)).readUInt32BE(4)).toBe(16)
    expect(await out(a, OUT.release, { key: 1n, type: 6 })).toMatchObject({ sense: 0x05_2604 })
    expect(await status(out(a, OUT.release, { key: 1n, type: 5 }))).toBe(0)
    expect(await b.command(Buffer.alloc(6))).toMatchObject({ sense: 0x06_2a04 })
    expect((await prIn(b, 1)).readUInt32BE(4)).toBe(0)
  })

  it('is gone with the last registration of its holders', async () => {
    const { all } = await hosts()
    const [a, b] = all
    await out(a, OUT.reserve, { key: 1n, type: 8 })
    await out(a, OUT.register, { key: 1n, action: 0n })
    expect((await prIn(b, 1)).readUInt32BE(4)).toBe(16)
    await out(b, OUT.register, { key: 2n, action: 0n })
    expect((await prIn(b, 1)).readUInt32BE(4)).toBe(0)
  })

  it('CLEAR removes everything and tells the others', async () => {
    const { all } = await hosts()
    const [a, b] = all
    await out(a, OUT.reserve, { key: 1n, type: 1 })
    expect(await status(out(b, OUT.clear, { key: 2n }))).toBe(0)
    expect(await a.command(Buffer.alloc(6))).toMatchObject({ sense: 0x06_2a03 })
    expect((await prIn(b, 0)).readUInt32BE(4)).toBe(0)
    expect((await prIn(b, 1)).readUInt32BE(4)).toBe(0)
  })

  it('PREEMPT takes the reservation over, and the registration away', async () => {
    const { all } = await hosts()
    const [a, b] = all
    await out(a, OUT.reserve, { key: 1n, type: 1 })
    expect(await out(b, OUT.preempt, { key: 2n, action: 0n, type: 3 })).toMatchObject({ sense: 0x05_2600 })
    expect(await status(out(b, OUT.preempt, { key: 2n, action: 9n, type: 3 }))).toBe(0x18)
    expect(await status(out(b, OUT.preempt, { key: 2n, action: 1n, type: 3 }))).toBe(0)
    expect(await a.command(Buffer.alloc(6))).toMatchObject({ sense: 0x06_2a05 })
    expect(await status(a.command(read10(0, 1), { read: 512 }))).toBe(0x18)
    expect((await prIn(b, 0)).subarray(8).toString('hex')).toBe('0000000000000002')
    expect((await prIn(b, 1))[21]).toBe(3)
  })

  it('PREEMPT AND ABORT ends the commands of those it throws out', async () => {
    const { all, device } = await hosts()
    const [a, b] = all
    await out(a, OUT.reserve, { key: 1n, type: 1 })
    device.status = null
    const tag = a.begin(write10(0, 1), { write: Buffer.alloc(512) })
    await device.holds(1)
    const preempted = out(b, OUT.preemptAndAbort, { key: 2n, action: 1n, type: 1 })
    await b.nop()
    expect(b.inbox).toEqual([])
    device.release()
    expect(await status(preempted)).toBe(0)
    await a.nop()
    expect(a.inbox.filter((pdu) => pdu.tag === tag)).toEqual([])
  })

  it('belongs to a nexus, outlives its session, and can be for all ports', async () => {
    const { array, all } = await hosts()
    const [a] = all
    const { ready } = bedOf(array, undefined as never)
    const name = 'iqn.2026-11.io.blockbraid:a'
    await out(a, OUT.reserve, { key: 1n, type: 3 })
    await a.logout()
    const again = await ready({ name })
    expect(await status(again.command(read10(0, 1), { read: 512 }))).toBe(0)
    const other = await ready({ name, portal: 1 })
    expect(await status(other.command(read10(0, 1), { read: 512 }))).toBe(0x18)
    await out(again, OUT.clear, { key: 1n })
    await out(again, OUT.register, { action: 7n, flags: 0x04 })
    await other.settle()
    expect(await status(out(other, OUT.reserve, { key: 7n, type: 3 }))).toBe(0)
    const full = (await prIn(again, 3)).toString('latin1')
    expect(full.split(`${name},i,0x400000000001`)).toHaveLength(3)
  })

  it('can be had by a host elsewhere', async () => {
    const { array, all } = await hosts()
    const [, , c] = all
    array.reserve(VOLUME, 3)
    expect(await status(c.command(read10(0, 1), { read: 512 }))).toBe(0x18)
    expect((await prIn(c, 1)).readUInt32BE(4)).toBe(16)
    array.clearReservations(VOLUME)
    expect(await status(c.command(read10(0, 1), { read: 512 }))).toBe(0)
    expect((await prIn(c, 0)).readUInt32BE(4)).toBe(0)
    expect(() => array.reserve(VOLUME, 2)).toThrow('type is 2')
    expect(() => array.reserve('naa.6001405000000009', 3)).toThrow('volume is')
  })

  it('reports its capabilities; refuses what it does not know', async () => {
    const { all } = await hosts()
    const [a] = all
    expect((await prIn(a, 2)).toString('hex')).toBe('00080480ea010000')
    expect(await out(a, 7, { key: 1n })).toMatchObject({ sense: 0x05_2400 })
    expect(await out(a, OUT.reserve, { key: 1n, type: 2 })).toMatchObject({ sense: 0x05_2400 })
    expect(await out(a, OUT.register, { key: 1n, action: 2n, flags: 0x08 })).toMatchObject({ sense: 0x05_2600 })
    const short = cdb('5f0600000000000010')
    expect(await a.command(short, { write: Buffer.alloc(16) })).toMatchObject({ sense: 0x05_1a00 })
    expect(await a.command(cdb('5f06000000ffffffff'), { write: Buffer.alloc(512) })).toMatchObject({ sense: 0x05_1a00 })
    expect(await a.command(cdb('5e07000000000000ff'), { read: 255 })).toMatchObject({ sense: 0x05_2400 })
  })
})
