import type { DeviceLimits, VolumeId } from '@blockbraid/core'
import { Errno, NOT_EXECUTED, PATH_ERROR } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import type { IscsiArrayOptions } from '../src/index.ts'
import { createIscsiArray } from '../src/index.ts'
import type { Bed } from './beds.ts'
import { bed, bedOf, HeldDevice, use, VOLUME } from './beds.ts'
import type { RawInitiator } from './initiator.ts'
import { cdb, read10, read16, TARGET, write10 } from './initiator.ts'

/** A bed over one device that answers with `status`. */
async function deviceBed(
  limits: Partial<DeviceLimits> = {},
  options: Partial<IscsiArrayOptions> = {},
  volume: VolumeId = VOLUME,
): Promise<Bed & { device: HeldDevice }> {
  const device = new HeldDevice()
  device.limits = { ...device.limits, ...limits }
  device.status = 0
  const array = use(await createIscsiArray({ name: TARGET, luns: [{ volume, device }], ...options }))
  return { ...bedOf(array, undefined as never), device }
}

const inquiry = (page?: number, length = 255): Buffer =>
  cdb(`12 ${page === undefined ? '0000' : `01${page.toString(16).padStart(2, '0')}`} 00${length.toString(16)} 00`)

async function data(initiator: RawInitiator, command: Buffer, lun = 0, read = 4096): Promise<Buffer> {
  const answer = await initiator.command(command, { lun, read })
  expect(answer.status).toBe(0)
  return answer.data
}

describe('what a unit is', () => {
  it('INQUIRY: disk, SPC-4, TPGS, names', async () => {
    const { ready } = await deviceBed({}, { alua: 'implicit' })
    const answer = await data(await ready(), inquiry())
    expect([answer[0], answer[2], answer[4], (answer[5]! >> 4) & 3]).toEqual([0, 6, answer.length - 5, 1])
    expect(answer.subarray(8, 36).toString()).toBe('BLKBRAIDSIMULATED ARRAY 1   ')
  })

  it('INQUIRY is cut to its allocation length, with a residual', async () => {
    const { ready } = await deviceBed()
    const answer = await (await ready()).command(inquiry(undefined, 36), { read: 64 })
    expect([answer.data.length, answer.residual]).toEqual([36, -28])
  })

  it.each<[VolumeId, string]>([
    ['naa.6001405000000000000000000000000f', '0103 0010 6001405000000000000000000000000f'],
    ['naa.5001405000000001', '0103 0008 5001405000000001'],
    ['eui.0011223344556677', '0102 0008 0011223344556677'],
    ['uuid.00112233-4455-6677-8899-aabbccddeeff', '010a 0012 1000 00112233445566778899aabbccddeeff'],
    ['t10.ACME    disk-1', '0201 000e 41434d4520202020 6469736b2d31'],
  ])('VPD 83h carries %s', async (volume, designator) => {
    const { ready } = await deviceBed({}, {}, volume)
    const page = await data(await ready(), inquiry(0x83))
    expect(page.subarray(4).toString('hex')).toMatch(new RegExp(`^${designator.replaceAll(' ', '')}`))
    expect(page.readUInt16BE(2)).toBe(page.length - 4)
  })

  it('VPD 83h tells the port and its group, or what it is told to tell', async () => {
    const { array, ready } = await deviceBed({}, { portals: [{}, { group: 9 }] })
    const page = (await data(await ready({ portal: 1 }), inquiry(0x83))).toString('hex')
    expect(page).toContain('51940004' + '00000002')
    expect(page).toContain('51950004' + '00000009')
    expect(page).toContain(Buffer.from(`${TARGET},t,0x0009\0`).toString('hex'))
    const own = Buffer.from('020000054142434445', 'hex')
    await array.map({ lun: 3, volume: 'serial.X', device: new HeldDevice(), designators: own, serial: 'S-1' })
    const initiator = await ready({ isid: '400000000002' })
    await initiator.settle(3)
    expect((await data(initiator, inquiry(0x83), 3)).subarray(4, 13)).toEqual(own)
    expect((await data(initiator, inquiry(0x80), 3)).toString('latin1', 4)).toBe('S-1')
  })

  it('VPD 00h, B0h, B1h, B2h; an unknown page is refused', async () => {
    const { ready } = await deviceBed({ maxTransfer: 65_536, preferredBlockSize: 4096 })
    const initiator = await ready()
    expect([...(await data(initiator, inquiry(0x00))).subarray(4)]).toEqual([0, 0x80, 0x83, 0xb0, 0xb1, 0xb2])
    const limits = await data(initiator, inquiry(0xb0))
    expect([limits.readUInt32BE(8), limits.readUInt16BE(6)]).toEqual([128, 8])
    expect(limits.readUInt32BE(20)).toBeGreaterThan(0)
    expect((await data(initiator, inquiry(0xb1))).readUInt16BE(4)).toBe(1)
    expect((await data(initiator, inquiry(0xb2)))[5]).toBe(0xe4)
    expect(await initiator.command(inquiry(0xc0), { read: 255 })).toMatchObject({ status: 2, sense: 0x05_2400 })
  })

  it('does not claim what the device cannot do', async () => {
    const { ready } = await deviceBed({ trim: false, writeZeroes: false, fua: false, writeCache: false })
    const initiator = await ready()
    expect((await data(initiator, inquiry(0xb2)))[5]).toBe(0)
    expect((await data(initiator, inquiry(0xb0))).readUInt32BE(20)).toBe(0)
    expect((await data(initiator, cdb('9e10 0000000000000000 00000020')))[14]).toBe(0)
    expect((await data(initiator, cdb('1a00 0800 ff')))[2]).toBe(0)
    const fua = write10(0, 1)
    fua[1] = 8
    expect(await initiator.command(fua, { write: Buffer.alloc(512) })).toMatchObject({ status: 2, sense: 0x05_2400 })
  })

  it('READ CAPACITY 10 and 16, also beyond 2 TiB', async () => {
    const { ready } = await deviceBed({ size: 3 * 2 ** 40 })
    const initiator = await ready()
    expect((await data(initiator, cdb('25'))).toString('hex')).toBe('ffffffff00000200')
    const long = await data(initiator, cdb('9e10 0000000000000000 00000020'))
    expect(long.readBigUInt64BE(0)).toBe(3n * 2n ** 31n - 1n)
    expect([long.readUInt32BE(8), long[13], long[14]]).toEqual([512, 3, 0xc0])
    expect((await initiator.command(read16(5 * 2 ** 30, 1), { read: 512 })).status).toBe(0)
  })

  it('MODE SENSE: write protection, FUA, write cache, block descriptors', async () => {
    const { ready } = await deviceBed({ readOnly: true, blockSize: 4096, size: 1024 * 1024 })
    const initiator = await ready()
    const short = await data(initiator, cdb('1a00 3f00 ff'))
    expect([short[0], short[2], short[3], short.length]).toEqual([43, 0x90, 8, 44])
    expect(short.readUInt32BE(4)).toBe(256)
    expect([short[12], short[14], short[32]]).toEqual([0x08, 0x04, 0x0a])
    const long = await data(initiator, cdb('5a18 0800 000000 00ff'))
    expect([long.readUInt16BE(0), long[3], long.readUInt16BE(6)]).toEqual([26, 0x90, 0])
    const wide = await data(initiator, cdb('5a10 0800 000000 00ff'))
    expect([wide[4], wide.readUInt16BE(6), wide.readUInt32BE(20)]).toEqual([1, 16, 4096])
    expect(await initiator.command(write10(0, 1), { write: Buffer.alloc(4096) })).toMatchObject({ sense: 0x07_2700 })
    expect(await initiator.command(cdb('1a00 1c00 ff'), { read: 255 })).toMatchObject({ sense: 0x05_2400 })
  })

  it('LUNs in every form of address, and none', async () => {
    const { array, ready } = await bed()
    const device = new HeldDevice()
    device.status = 0
    for (const [n, lun] of [7, 300, 20_000].entries())
      await array.map({ lun, volume: `naa.600140500000000${n}`, device })
    const initiator = await ready()
    const list = await data(initiator, cdb('a0 0000 000000 00001000'))
    expect(list.subarray(8).toString('hex').match(/.{16}/g)).toEqual([
      '0000000000000000',
      '0007000000000000',
      '412c000000000000',
      'd2004e2000000000',
    ])
    for (const lun of [7, 300, 20_000]) {
      await initiator.settle(lun)
      expect((await initiator.command(read10(0, 1), { lun, read: 512 })).data).toEqual(Buffer.alloc(512, 0x5a))
    }
    expect(await initiator.command(read10(0, 1), { lun: 8, read: 512 })).toMatchObject({ sense: 0x05_2500 })
    expect((await data(initiator, inquiry(), 8))[0]).toBe(0x7f)
    array.faults.phantomLuns = 10_000
    const many = await data(initiator, cdb('a0 0000 000000 00100000'), 0, 1 << 20)
    expect(many.readUInt32BE(0)).toBe(8 * 10_001)
    const header = await data(initiator, cdb('a0 0000 000000 00000010'), 0, 16)
    expect([header.length, header.readUInt32BE(0)]).toEqual([16, 8 * 10_001])
  })

  it('REPORT SUPPORTED OPERATION CODES', async () => {
    const { ready } = await deviceBed()
    const initiator = await ready()
    expect((await data(initiator, cdb('a30c 01 42 0000 000000ff')))[1]).toBe(3)
    expect((await data(initiator, cdb('a30c 01 89 0000 000000ff')))[1]).toBe(1)
    expect((await data(initiator, cdb('a30c 02 a3 000a 000000ff')))[1]).toBe(3)
    const all = await data(initiator, cdb('a30c 00 00 0000 00001000'))
    expect(all.readUInt32BE(0)).toBe(all.length - 4)
  })

  it('refuses an unknown opcode, in fixed and in descriptor format', async () => {
    for (const [descriptorSense, format] of [
      [false, 0x70],
      [true, 0x72],
    ] as const) {
      const { ready } = await deviceBed({}, { descriptorSense })
      const answer = await (await ready()).command(cdb('c1'))
      expect(answer).toMatchObject({ status: 2, sense: 0x05_2000, senseFormat: format })
    }
  })
})

describe('what a unit does', () => {
  const blocks = (n: number, byte: number): Buffer => Buffer.alloc(512 * n, byte)

  it('SYNCHRONIZE CACHE and FUA reach the device', async () => {
    const { ready, device } = await deviceBed()
    const initiator = await ready()
    expect((await initiator.command(cdb('35'))).status).toBe(0)
    expect((await initiator.command(cdb('91'))).status).toBe(0)
    expect(await initiator.command(cdb('35 00 ffffffff'))).toMatchObject({ sense: 0x05_2100 })
    expect(device.seen).toEqual(['Flush 0 0', 'Flush 0 0'])
  })

  const unmap = (...ranges: [lba: number, count: number][]): Buffer => {
    const list = Buffer.alloc(8 + 16 * ranges.length)
    list.writeUInt16BE(list.length - 2, 0)
    list.writeUInt16BE(16 * ranges.length, 2)
    for (const [n, [lba, count]] of ranges.entries()) {
      list.writeBigUInt64BE(BigInt(lba), 8 + 16 * n)
      list.writeUInt32BE(count, 16 + 16 * n)
    }
    return list
  }
  const unmapCdb = (list: Buffer): Buffer => cdb(`42 00 00000000 00 ${list.length.toString(16).padStart(4, '0')}`)

  it('UNMAP zeroes each range, or trims it', async () => {
    const list = unmap([8, 8], [0, 0], [64, 16])
    for (const [unmapZeroes, op] of [
      [true, 'WriteZeroes'],
      [false, 'Trim'],
    ] as const) {
      const device = new HeldDevice()
      device.status = 0
      const luns = [{ volume: VOLUME, device, unmapZeroes }]
      const { ready } = bedOf(use(await createIscsiArray({ name: TARGET, luns })), undefined as never)
      expect((await (await ready()).command(unmapCdb(list), { write: list })).status).toBe(0)
      expect(device.seen).toEqual([`${op} 4096 4096`, `${op} 32768 8192`])
    }
  })

  it('UNMAP keeps its limits', async () => {
    const { ready, device } = await deviceBed()
    const initiator = await ready()
    const tries: [Buffer, number][] = [
      [unmap([2047, 2]), 0x05_2100],
      [unmap(...Array.from({ length: 65 }, (): [number, number] => [0, 1])), 0x05_2600],
      [unmap([0, 2 ** 31]), 0x05_2600],
      [unmap([0, 1]).subarray(0, 20), 0x05_2600],
      [Buffer.alloc(4), 0x05_1a00],
    ]
    for (const [list, sense] of tries) {
      expect(await initiator.command(unmapCdb(list), { write: list })).toMatchObject({ sense })
    }
    expect(device.seen).toEqual([])
  })

  it('GET LBA STATUS: what is mapped, as far as there is room', async () => {
    const { ready } = await bed()
    const initiator = await ready()
    const status = async (lba: number, room: number): Promise<string> => {
      const command = cdb('9e12')
      command.writeBigUInt64BE(BigInt(lba), 2)
      command.writeUInt32BE(room, 10)
      return (await initiator.command(command, { read: room })).data.toString('hex')
    }
    // The array's memory is in chunks of 64 KiB: 128 blocks.
    await initiator.command(write10(128, 8), { write: blocks(8, 1) })
    const [hole, data] = ['0000000000000000' + '00000080' + '01000000', '0000000000000080' + '00000080' + '00000000']
    expect(await status(0, 40)).toBe(`0000002400000000${hole}${data}`)
    expect(await status(0, 24)).toBe(`0000001400000000${hole}`)
    expect(await status(130, 24)).toBe('0000001400000000' + '0000000000000082' + '0000007e' + '00000000')
    expect(await initiator.command(cdb('9e12 0000000000010000 00000018'), { read: 24 })).toMatchObject({
      sense: 0x05_2100,
    })
    const { ready: plain } = await deviceBed()
    const whole = await (await plain()).command(cdb('9e12 0000000000000000 00000018'), { read: 24 })
    expect(whole.data.toString('hex')).toBe('0000001400000000' + '0000000000000000' + '00000800' + '00000000')
  })

  it('WRITE SAME: zeroes, without data, another pattern', async () => {
    const { ready, memory } = await bed()
    const initiator = await ready()
    const volume = memory.array.volumes[0]!.id
    const whole = (): Buffer => Buffer.from(memory.array.peek(volume, 0, 8192))
    await initiator.command(write10(0, 16), { write: blocks(16, 0xff) })
    expect((await initiator.command(cdb('41 08 00000002 00 0004'), { write: blocks(1, 0) })).status).toBe(0)
    expect(whole()).toEqual(Buffer.concat([blocks(2, 0xff), blocks(4, 0), blocks(10, 0xff)]))
    expect((await initiator.command(cdb('93 01 0000000000000008 00000002'))).status).toBe(0)
    expect((await initiator.command(cdb('41 00 0000000c 00 0003'), { write: blocks(1, 0x17) })).status).toBe(0)
    const tail = Buffer.concat([blocks(2, 0xff), blocks(2, 0), blocks(2, 0xff), blocks(3, 0x17), blocks(1, 0xff)])
    expect(whole()).toEqual(Buffer.concat([blocks(2, 0xff), blocks(4, 0), tail]))
    expect(await initiator.command(cdb('41 00 00000000 00 0001'), { write: blocks(2, 0) })).toMatchObject({
      sense: 0x05_2400,
    })
    expect(await initiator.command(cdb('41 10 00000000 00 0001'), { write: blocks(1, 0) })).toMatchObject({
      sense: 0x05_2400,
    })
  })

  it('keeps ranges and sizes', async () => {
    const { ready } = await deviceBed({ size: 1024 * 1024, maxTransfer: 65_536 })
    const initiator = await ready()
    expect(await initiator.command(read10(2047, 2), { read: 1024 })).toMatchObject({ sense: 0x05_2100 })
    expect(await initiator.command(read16(2 ** 52, 1), { read: 512 })).toMatchObject({ sense: 0x05_2100 })
    expect(await initiator.command(write10(2048, 1), { write: blocks(1, 1) })).toMatchObject({ sense: 0x05_2100 })
    expect(await initiator.command(read10(0, 129), { read: 66_048 })).toMatchObject({ sense: 0x05_2400 })
    expect((await initiator.command(read10(2048, 0), { read: 0 })).status).toBe(0)
    const protect = read10(0, 1)
    protect[1] = 0x20
    expect(await initiator.command(protect, { read: 512 })).toMatchObject({ sense: 0x05_2400 })
  })

  it('residuals: the initiator expects more, or less, than the command moves', async () => {
    const { ready, device } = await deviceBed()
    const initiator = await ready()
    const more = await initiator.command(read10(0, 1), { read: 2048 })
    expect([more.data.length, more.residual]).toEqual([512, -1536])
    const less = await initiator.command(read10(0, 4), { read: 512 })
    expect([less.data.length, less.residual]).toEqual([512, 1536])
    const wrote = await initiator.command(write10(0, 1), { write: blocks(3, 1) })
    expect([wrote.status, wrote.residual]).toEqual([0, -1024])
    const short = await initiator.command(write10(0, 3), { write: blocks(1, 1) })
    expect([short.status, short.residual]).toEqual([0, 1024])
    const none = await initiator.command(read10(0, 1))
    expect([none.data.length, none.residual, none.pdus[0]!.opcode]).toEqual([0, 512, 0x21])
    expect(device.seen).toEqual(['Read 0 512', 'Read 0 2048', 'Write 0 512', 'Write 0 512', 'Read 0 512'])
  })

  it.each<[string, number, number, number]>([
    ['ENODATA', Errno.ENODATA, 2, 0x03_1100],
    ['EIO', Errno.EIO, 2, 0x04_4400],
    ['EROFS', Errno.EROFS, 2, 0x07_2700],
    ['ENOSPC', Errno.ENOSPC, 2, 0x07_2707],
    ['EBADE', Errno.EBADE, 0x18, 0],
    ['EBUSY', Errno.EBUSY, 0x08, 0],
    ['EOPNOTSUPP', Errno.EOPNOTSUPP, 2, 0x05_2000],
    ['EINVAL', Errno.EINVAL, 2, 0x05_2400],
    ['not executed', Errno.EIO | PATH_ERROR | NOT_EXECUTED, 2, 0x02_0400],
    ['not now', Errno.EAGAIN | PATH_ERROR | NOT_EXECUTED, 0x08, 0],
  ])('answers for a device that fails with %s', async (_name, status, wanted, sense) => {
    const { ready, device } = await deviceBed()
    const initiator = await ready()
    device.status = status
    expect(await initiator.command(read10(0, 1), { read: 512 })).toMatchObject({ status: wanted, sense })
  })

  it('cuts the connection where a path fails and nobody knows what has run', async () => {
    const { ready, device } = await deviceBed()
    const initiator = await ready()
    device.status = Errno.EIO | PATH_ERROR
    initiator.begin(read10(0, 1), { read: 512 })
    await initiator.gone()
  })
})

describe('unit attentions', () => {
  it('power on at first, nexus loss later', async () => {
    const { login } = await deviceBed()
    const first = await login()
    expect(await first.command(read10(0, 1), { read: 512 })).toMatchObject({ status: 2, sense: 0x06_2900 })
    expect((await first.command(read10(0, 1), { read: 512 })).status).toBe(0)
    await first.logout()
    expect(await (await login()).command(Buffer.alloc(6))).toMatchObject({ sense: 0x06_2907 })
    expect(await (await login({ isid: '400000000009' })).command(Buffer.alloc(6))).toMatchObject({ sense: 0x06_2900 })
  })

  it('wait for a command other than INQUIRY and REPORT LUNS; REQUEST SENSE tells them', async () => {
    const { login } = await deviceBed()
    const initiator = await login()
    await data(initiator, inquiry())
    await data(initiator, cdb('a0 0000 000000 00001000'))
    const sense = await data(initiator, cdb('03 00 0000 12'))
    expect([sense[0], sense[2], sense[12], sense[13]]).toEqual([0x70, 6, 0x29, 0])
    expect((await initiator.command(Buffer.alloc(6))).status).toBe(0)
  })

  it('tell of a new size, and of new limits', async () => {
    const { ready, device } = await deviceBed()
    const initiator = await ready()
    device.limits = { ...device.limits, size: 2 * 1024 * 1024 }
    expect(await initiator.command(Buffer.alloc(6))).toMatchObject({ sense: 0x06_2a09 })
    expect((await initiator.command(read10(4095, 1), { read: 512 })).status).toBe(0)
    device.limits = { ...device.limits, readOnly: true }
    expect(await initiator.command(Buffer.alloc(6))).toMatchObject({ sense: 0x06_2a01 })
  })

  it('tell of LUNs that come and go, and of a LUN that is another volume now', async () => {
    const { array, ready } = await deviceBed()
    const initiator = await ready()
    const device = new HeldDevice()
    device.status = 0
    await array.map({ lun: 1, volume: 'naa.6001405000000001', device })
    expect(await initiator.command(Buffer.alloc(6))).toMatchObject({ sense: 0x06_3f0e })
    await initiator.settle(1)
    await array.map({ lun: 1, volume: 'naa.6001405000000002', device })
    expect(await initiator.command(Buffer.alloc(6), { lun: 1 })).toMatchObject({ sense: 0x06_3f03 })
    expect(await initiator.command(Buffer.alloc(6), { lun: 1 })).toMatchObject({ sense: 0x06_3f0e })
    expect((await data(initiator, inquiry(0x83), 1)).toString('hex')).toContain('6001405000000002')
    await array.unmap(1)
    expect(await initiator.command(Buffer.alloc(6), { lun: 1 })).toMatchObject({ sense: 0x05_2500 })
    // REPORT LUNS itself clears what it would be told for.
    await data(initiator, cdb('a0 0000 000000 00001000'))
    expect((await initiator.command(Buffer.alloc(6))).status).toBe(0)
  })

  it('are queued on demand', async () => {
    const { array, ready } = await deviceBed()
    const initiator = await ready()
    array.attention(VOLUME, 0x2a09)
    array.attention('all', 0x3f05)
    expect(await initiator.command(Buffer.alloc(6))).toMatchObject({ sense: 0x06_2a09 })
    expect(await initiator.command(Buffer.alloc(6))).toMatchObject({ sense: 0x06_3f05 })
    expect((await initiator.command(Buffer.alloc(6))).status).toBe(0)
  })
})

describe('asymmetric access', () => {
  const rtpg = cdb('a30a 0000 0000 000000ff')

  it('REPORT TARGET PORT GROUPS', async () => {
    const { array, ready } = await deviceBed({}, { portals: [{ group: 1 }, { group: 1 }, { group: 5 }] })
    array.setAccess({ group: 5 }, 'standby')
    const groups = await data(await ready(), rtpg)
    expect(groups.toString('hex')).toBe(
      '0000001c' + '008f000100020002' + '0000000100000002' + '028f000500020001' + '00000003',
    )
    const extended = Buffer.from(rtpg)
    extended[1] = 0x2a
    expect((await data(await ready({ isid: '400000000002' }), extended)).subarray(4, 12).toString('hex')).toBe(
      '10000000' + '008f0001',
    )
  })

  it('REPORT TARGET PORT GROUPS tells which group is preferred, and in its long form how long a transition takes', async () => {
    const { array, ready } = await deviceBed({}, { portals: [{}, {}], transitionTime: 30 })
    array.prefer({ portal: 1 }, true)
    const initiator = await ready()
    expect((await data(initiator, rtpg)).toString('hex')).toBe(
      '00000018' + '008f000100020001' + '00000001' + '808f000200020001' + '00000002',
    )
    const extended = Buffer.from(rtpg)
    extended[1] = 0x2a
    expect((await data(initiator, extended)).subarray(4, 8).toString('hex')).toBe('101e0000')
    // Every session is told of a change, and of none where there is none.
    array.prefer({ portal: 1 }, true)
    expect((await initiator.command(Buffer.alloc(6))).status).toBe(0)
    array.prefer({}, false)
    expect(await initiator.command(Buffer.alloc(6))).toMatchObject({ sense: 0x06_2a06 })
    expect((await data(initiator, rtpg)).subarray(12, 13).toString('hex')).toBe('00')
  })

  it('states take no I/O, say why, and are told of', async () => {
    const { array, ready, device } = await deviceBed({}, { portals: [{}, {}] })
    const [a, b] = [await ready(), await ready({ portal: 1 })]
    const states = [
      ['standby', 0x02_040b],
      ['unavailable', 0x02_040c],
      ['transitioning', 0x02_040a],
    ] as const
    for (const [access, sense] of states) {
      array.setAccess({ portal: 0 }, access)
      for (const initiator of [a, b])
        expect(await initiator.command(Buffer.alloc(6))).toMatchObject({ sense: 0x06_2a06 })
      expect(await a.command(read10(0, 1), { read: 512 })).toMatchObject({ status: 2, sense })
      expect(await a.command(Buffer.alloc(6))).toMatchObject({ status: 2, sense })
      expect((await a.command(rtpg, { read: 255 })).status).toBe(0)
      expect((await a.command(inquiry(), { read: 255 })).status).toBe(0)
      expect((await b.command(read10(0, 1), { read: 512 })).status).toBe(0)
    }
    array.setAccess({ portal: 0 }, 'non-optimized')
    await a.settle()
    expect((await a.command(read10(0, 1), { read: 512 })).status).toBe(0)
    expect(device.seen).toHaveLength(4)
  })

  it('SET TARGET PORT GROUPS', async () => {
    const { array, ready } = await deviceBed({}, { portals: [{}, {}] })
    array.setAccess({ portal: 1 }, 'standby')
    const initiator = await ready()
    const stpg = (hex: string): Promise<unknown> => {
      const list = Buffer.from(`00000000${hex}`, 'hex')
      return initiator.command(cdb(`a40a 0000 0000 000000${list.length.toString(16).padStart(2, '0')}`), {
        write: list,
      })
    }
    expect(await stpg('02000001' + '00000002')).toMatchObject({ status: 0 })
    const groups = await data(initiator, rtpg)
    expect([groups[4], groups[16]]).toEqual([2, 0])
    expect(await stpg('00000009')).toMatchObject({ sense: 0x05_2600 })
    expect(await stpg('0f000001')).toMatchObject({ sense: 0x05_2600 })
  })

  it('is left out where the array has none of it', async () => {
    const { ready } = await deviceBed({}, { alua: 'none' })
    const initiator = await ready()
    expect((await data(initiator, inquiry()))[5]).toBe(0)
    expect(await initiator.command(rtpg, { read: 255 })).toMatchObject({ sense: 0x05_2400 })
  })
})
