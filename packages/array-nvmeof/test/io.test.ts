import { Errno } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import { createNvmeArray } from '../src/index.ts'
import { bed, bedOf, HeldDevice, use, VOLUME } from './beds.ts'
import type { RawHost } from './host.ts'
import { SUBSYSTEM } from './host.ts'

/** An I/O queue over a device that ends everything at once. */
async function overDevice(change: (device: HeldDevice) => void = () => {}) {
  const device = new HeldDevice()
  device.status = 0
  change(device)
  const array = use(await createNvmeArray({ name: SUBSYSTEM, namespaces: [{ volume: VOLUME, device }] }))
  const made = bedOf(array, undefined as never)
  return { ...made, device, ...(await made.pair()) }
}

function ranges(...list: readonly [number, number][]): Buffer {
  const data = Buffer.alloc(4096)
  for (const [n, [slba, blocks]] of list.entries()) {
    data.writeUInt32LE(blocks, 16 * n + 4)
    data.writeBigUInt64LE(BigInt(slba), 16 * n + 8)
  }
  return data
}

const FUA = 0x4000_0000
const DEAC = 0x0200_0000
const at = (slba: number, blocks: number, control = 0): number[] => [slba, 0, (blocks - 1) | control]

describe('commands', () => {
  it('reach the device', async () => {
    const { io, device } = await overDevice()
    const run = (opcode: number, dwords: number[], write?: Buffer) =>
      io.command(opcode, { nsid: 1, dwords, ...(write === undefined ? {} : { write }) })
    const ok = [
      await run(0x00, []),
      await io.write(1, 8, Buffer.alloc(512), { fua: true }),
      await run(0x08, at(16, 8)),
      await run(0x08, at(16, 8, DEAC | FUA)),
      await run(0x09, [1, 4], ranges([0, 8], [64, 16])),
      // No deallocation: a hint.
      await run(0x09, [0, 1], ranges([0, 8])),
      await run(0x0c, at(0, 4)),
      await run(0x05, at(0, 1), Buffer.alloc(512, 0x5a)),
    ]
    expect(ok.map(({ status }) => status)).toEqual(ok.map(() => 0))
    expect(device.seen).toEqual([
      'Flush 0 0 0',
      'Write 4096 512 1',
      'WriteZeroes 8192 4096 2',
      'WriteZeroes 8192 4096 1',
      'WriteZeroes 0 4096 0',
      'WriteZeroes 32768 8192 0',
      'Read 0 2048 0',
      'Read 0 512 0',
    ])
    expect(await run(0x05, at(0, 1), Buffer.alloc(512, 1))).toMatchObject({ status: 0x285, dnr: true })
    for (const [opcode, dwords, write] of [
      [0x08, at(2047, 2)],
      [0x0c, at(2048, 1)],
      [0x05, at(2048, 1), Buffer.alloc(512)],
      [0x09, [0, 4], ranges([2040, 9])],
    ] as const) {
      expect((await run(opcode, [...dwords], write)).status).toBe(opcode === 0x05 ? 0x0f : 0x80)
    }
  })

  it('do without what the device does not offer', async () => {
    const { io, device } = await overDevice((one) => {
      one.limits = { ...one.limits, fua: false, trim: false, writeZeroes: false }
    })
    expect((await io.write(1, 0, Buffer.alloc(512), { fua: true })).status).toBe(0)
    expect((await io.command(0x08, { nsid: 1, dwords: at(0, 2, FUA) })).status).toBe(0)
    expect((await io.command(0x09, { nsid: 1, dwords: [0, 4], write: ranges([0, 8]) })).status).toBe(0)
    expect(device.seen).toEqual(['Write 0 512 0', 'Flush 0 0 0', 'Write 0 1024 0', 'Flush 0 0 0'])
  })

  it.each([
    [Errno.ENODATA, 0x280, true],
    [Errno.EPERM, 0x20, true],
    [Errno.ENOSPC, 0x81, true],
    [Errno.EBADE, 0x83, false],
    [Errno.EBUSY, 0x82, false],
    [Errno.EIO, 0x06, true],
  ])('that end with errno %d are told 0x%s', async (errno, status, dnr) => {
    const { io, device } = await overDevice()
    device.status = errno
    expect(await io.write(1, 0, Buffer.alloc(512))).toMatchObject({ status, dnr })
  })

  it('that write end where it is protected', async () => {
    const { io, admin, device } = await overDevice()
    device.limits = { ...device.limits, readOnly: true }
    expect((await io.write(1, 0, Buffer.alloc(512))).status).toBe(0x20)
    expect((await io.command(0x00, { nsid: 1 })).status).toBe(0)
    expect((await admin.identify(0, 1)).data[99]).toBe(1)
  })

  it('of blocks of 4096 bytes are counted in them', async () => {
    const { io, memory, admin } = await (async () => {
      const made = await bed({}, { volumes: [{ size: '1MiB', blockSize: 4096 }] })
      return { ...made, ...(await made.pair()) }
    })()
    const data = Buffer.alloc(8192, 3)
    expect((await io.write(1, 2, data, { blockSize: 4096 })).status).toBe(0)
    expect(data.equals(memory.array.peek(0, 8192, 8192))).toBe(true)
    expect((await admin.identify(0, 1)).data[130]).toBe(12)
    expect((await io.read(1, 255, 2, 4096)).status).toBe(0x80)
  })

  it('tell how far the submission queue was worked off, unless that is disabled', async () => {
    const { pair } = await bed()
    const { io } = await pair({ attributes: 0, entries: 4 })
    const heads: number[] = []
    for (let n = 0; n < 5; n++) {
      const answer = await io.read(1, 0, 1)
      expect(answer.bySuccess).toBe(false)
      heads.push(answer.sqHead)
    }
    expect(heads).toEqual([2, 3, 0, 1, 2])
  })

  it('are counted, and written down where that is wished', async () => {
    const { array, pair } = await bed({ log: true })
    const { io } = await pair()
    await io.write(1, 3, Buffer.alloc(512))
    await io.read(1, 3, 1)
    expect(array.counters.commands).toEqual({ 1: 1, 2: 1 })
    const last = array.log.at(-2)!
    expect([last.queue, last.sqe[0], last.sqe[40], last.inCapsuleBytes]).toEqual([1, 1, 3, 512])
  })
})

describe('reservations', () => {
  const key = (...keys: bigint[]): Buffer => {
    const data = Buffer.alloc(16)
    for (const [n, one] of keys.entries()) data.writeBigUInt64LE(one, 8 * n)
    return data
  }
  const register = (io: RawHost, next: bigint, action = 0, current = 0n) =>
    io.command(0x0d, { nsid: 1, dwords: [action], write: key(current, next) })
  const acquire = (io: RawHost, current: bigint, type: number, action = 0, preempt = 0n) =>
    io.command(0x11, { nsid: 1, dwords: [action | (type << 8)], write: key(current, preempt) })
  const release = (io: RawHost, current: bigint, type: number, action = 0) =>
    io.command(0x15, { nsid: 1, dwords: [action | (type << 8)], write: key(current).subarray(0, 8) })

  async function two() {
    const made = await bed()
    const a = await made.pair()
    const b = await made.pair({ hostId: '2'.repeat(32) })
    return { ...made, a, b }
  }

  // Whether another host may read and write, who is registered or not.
  it.each([
    [1, [true, false], [true, false]],
    [2, [false, false], [false, false]],
    [3, [true, false], [true, true]],
    [4, [false, false], [true, true]],
    [5, [true, false], [true, true]],
    [6, [false, false], [true, true]],
  ])('of type %d keep others away', async (type, stranger, registrant) => {
    const { a, b } = await two()
    expect((await acquire(a.io, 1n, type)).status).toBe(0x83)
    await register(a.io, 1n)
    expect((await acquire(a.io, 1n, type)).status).toBe(0)
    const rights = async (): Promise<boolean[]> => [
      (await b.io.read(1, 0, 1)).status === 0,
      (await b.io.write(1, 0, Buffer.alloc(512))).status === 0,
    ]
    expect(await rights()).toEqual(stranger)
    await register(b.io, 2n)
    expect(await rights()).toEqual(registrant)
    expect((await a.io.write(1, 0, Buffer.alloc(512))).status).toBe(0)
    expect((await release(a.io, 1n, type === 1 ? 2 : 1)).status).toBe(2)
    expect((await release(a.io, 1n, type)).status).toBe(0)
    expect(await rights()).toEqual([true, true])
  })

  it('are reported, replaced, preempted and cleared, and hosts hear of it', async () => {
    const { a, b } = await two()
    await register(a.io, 1n)
    expect((await register(a.io, 9n)).status).toBe(0x83)
    expect((await register(a.io, 5n, 2, 1n)).status).toBe(0)
    await register(b.io, 2n)
    await acquire(a.io, 5n, 1)
    const report = async () => {
      const { data } = await b.io.command(0x0e, { nsid: 1, dwords: [63, 1], read: 256 })
      const count = data.readUInt16LE(5)
      return {
        type: data[4],
        of: Array.from({ length: count }, (_, n) => `${data.readBigUInt64LE(72 + 64 * n)} ${data[66 + 64 * n]}`),
      }
    }
    expect(await report()).toEqual({ type: 1, of: ['5 1', '2 0'] })
    expect((await b.io.command(0x0e, { nsid: 1, dwords: [63, 0], read: 256 })).status).toBe(0x18)
    const event = a.admin.command(0x0c)
    expect((await acquire(b.io, 2n, 2, 1, 5n)).status).toBe(0)
    expect(await report()).toEqual({ type: 2, of: ['2 1'] })
    expect((await event).result >>> 0).toBe(0x80_0006)
    const log = await a.admin.logPage(0x80, 64)
    expect([log.data[8], log.data.readUInt32LE(12)]).toEqual([1, 1])
    expect((await a.io.read(1, 0, 1)).status).toBe(0x83)
    await register(a.io, 7n)
    expect((await release(b.io, 2n, 0, 1)).status).toBe(0)
    expect(await report()).toEqual({ type: 0, of: [] })
    expect((await a.io.read(1, 0, 1)).status).toBe(0)
  })

  it('may be held by a host elsewhere', async () => {
    const { array, memory, a } = await two()
    const { id } = memory.array.volumes[0]!
    array.reserve(id, 2)
    expect((await a.io.read(1, 0, 1)).status).toBe(0x83)
    array.clearReservations(id)
    expect((await a.io.read(1, 0, 1)).status).toBe(0)
  })
})
