import { Errno, IoFlag, IoOp, OK } from '@blockbraid/core'
import { recording } from '@blockbraid/testkit'
import { describe, expect, test } from 'vitest'
import type { Bed } from './bed.ts'
import { BLOCK, bed, run } from './bed.ts'

const BHS = 48
const SIZE = 2 ** 20
const SAME16 = 0x93
const SAME10 = 0x41
const UNMAP = 0x42

/** Changes an answer of INQUIRY page `code`. */
function page({ array }: Bed, code: number, change: (data: Buffer) => void): void {
  array.faults.wire({
    pdu: 'dataIn',
    replace(pdu) {
      if (pdu.length >= BHS + 8 && pdu[BHS] === 0 && pdu[BHS + 1] === code) change(pdu.subarray(BHS))
      return [pdu]
    },
  })
}

interface Limits {
  unmap?: number
  same?: number
  granularity?: number
}

const limited = (made: Bed, { unmap, same, granularity }: Limits): void =>
  page(made, 0xb0, (data) => {
    if (unmap !== undefined) data.writeUInt32BE(unmap, 20)
    if (granularity !== undefined) data.writeUInt32BE(granularity, 28)
    if (same !== undefined) data.writeBigUInt64BE(BigInt(same), 36)
  })

/** Blocks of each command with this opcode, in order. */
function blocks({ array }: Bed, opcode: number): { lba: number; blocks: number }[] {
  return array.log
    .filter(({ cdb }) => cdb[0] === opcode)
    .map(({ cdb }) => {
      const bytes = Buffer.from(cdb)
      return opcode === SAME16
        ? { lba: Number(bytes.readBigUInt64BE(2)), blocks: bytes.readUInt32BE(10) }
        : { lba: bytes.readUInt32BE(2), blocks: bytes.readUInt16BE(7) }
    })
}

async function filled(options: Parameters<typeof bed>[0] = {}): Promise<Bed> {
  const made = await bed({ ...options, array: { log: true, ...options.array } })
  expect(await run(made.devices[0]!, { op: IoOp.Write, buffers: [Buffer.alloc(SIZE, 7)] })).toBe(OK)
  return made
}

describe('zeroes', () => {
  test('are written in commands of the length that the array takes', async () => {
    const made = await filled()
    limited(made, { same: 100 })
    const path = await made.open()
    expect(await run(path, { op: IoOp.WriteZeroes, offset: BLOCK, length: 1000 * BLOCK })).toBe(OK)
    const sent = blocks(made, SAME16)
    expect(sent.every((one) => one.blocks > 0 && one.blocks <= 100)).toBe(true)
    expect(sent.reduce((sum, one) => sum + one.blocks, 0)).toBe(1000)
    const stored = made.storage.peek(0, 0, SIZE)
    expect(stored.subarray(BLOCK, 1001 * BLOCK).every((byte) => byte === 0)).toBe(true)
    expect([stored[0], stored[BLOCK - 1], stored[1001 * BLOCK]]).toEqual([7, 7, 7])
    expect(made.array.violations).toEqual([])
  })

  test('go by the short form where there is no other', async () => {
    const made = await filled({ memory: { volumes: [{ size: '64MiB', blockSize: BLOCK }] } })
    made.array.faults.wire({
      pdu: 'dataIn',
      replace(pdu) {
        // No WRITE SAME with UNMAP, and of the others only the short one.
        if (pdu.length >= BHS + 8 && pdu[BHS] === 0 && pdu[BHS + 1] === 0xb2) pdu[BHS + 5] = 0
        if (pdu.length >= BHS + 20 && pdu[BHS + 1] === 3 && pdu[BHS + 4] === SAME16) pdu[BHS + 1] = 1
        return [pdu]
      },
    })
    const path = await made.open()
    expect(path.limits.writeZeroes).toBe(true)
    expect(await run(path, { op: IoOp.WriteZeroes, length: 100_000 * BLOCK })).toBe(OK)
    expect(blocks(made, SAME16)).toEqual([])
    const sent = blocks(made, SAME10)
    expect(sent.length).toBe(2)
    expect(sent.every((one) => one.blocks > 0 && one.blocks <= 0xffff)).toBe(true)
    expect(sent.reduce((sum, one) => sum + one.blocks, 0)).toBe(100_000)
  })

  test('with Fua are durable', async () => {
    const ops: IoOp[] = []
    const made = await filled({
      wrap: (device) =>
        new Proxy(device, {
          get(inner, key) {
            if (key === 'submit')
              return (io: Parameters<typeof inner.submit>[0]) => {
                ops.push(io.op)
                inner.submit(io)
              }
            const value: unknown = Reflect.get(inner, key, inner)
            return typeof value === 'function' ? value.bind(inner) : value
          },
        }),
    })
    const path = await made.open()
    expect(path.limits).toMatchObject({ fua: true, writeZeroes: true, writeCache: true })
    ops.length = 0
    expect(await run(path, { op: IoOp.WriteZeroes, flags: IoFlag.Fua, length: 8 * BLOCK })).toBe(OK)
    expect(ops).toEqual([IoOp.WriteZeroes, IoOp.Flush])
  })
})

describe('a trim', () => {
  test('is cut at granules, and no command is longer than the array takes', async () => {
    const made = await filled()
    limited(made, { unmap: 100, granularity: 8 })
    const path = await made.open()
    expect(await run(path, { op: IoOp.Trim, offset: 3 * BLOCK, length: 1000 * BLOCK })).toBe(OK)
    expect(made.array.counters.commands[UNMAP]).toBe(11)
    const stored = made.storage.peek(0, 0, SIZE)
    expect(stored.subarray(3 * BLOCK, 1003 * BLOCK).every((byte) => byte === 0)).toBe(true)
    expect([stored[3 * BLOCK - 1], stored[1003 * BLOCK]]).toEqual([7, 7])
  })

  test('is not offered where the array does not', async () => {
    const made = await filled()
    page(made, 0xb2, (data) => {
      data[5] = 0
    })
    const path = await made.open()
    expect(path.limits.trim).toBe(false)
    expect(await run(path, { op: IoOp.Trim, length: BLOCK })).toBe(Errno.EOPNOTSUPP)
  })

  test.each([
    ['no space', 0x07_2707, Errno.ENOSPC],
    ['write protection', 0x07_2700, Errno.EROFS],
    ['a medium error', 0x03_0c00, Errno.ENODATA],
  ])('that fails by %s says so', async (_what, sense, errno) => {
    const made = await filled()
    const path = await made.open()
    made.array.faults.command({ opcode: UNMAP, status: 2, sense })
    expect(await run(path, { op: IoOp.Trim, length: SIZE })).toBe(errno)
  })

  test('goes on after a unit attention and a busy device', async () => {
    const made = await filled()
    limited(made, { unmap: 64 })
    const path = await made.open()
    made.array.faults.command({ opcode: UNMAP, after: 3, count: 2, status: 2, sense: 0x06_2900 })
    made.array.faults.command({ opcode: UNMAP, after: 8, count: 1, status: 0x28 })
    expect(await run(path, { op: IoOp.Trim, length: SIZE })).toBe(OK)
    expect(made.storage.peek(0, 0, SIZE).every((byte) => byte === 0)).toBe(true)
  })
})

test('commands of 16 bytes only where a block has no other name', async () => {
  const made = await bed({ memory: { volumes: [{ size: '3TiB', blockSize: BLOCK }] }, array: { log: true } })
  const path = await made.open()
  const edge = 2 ** 32 * BLOCK
  const data = Buffer.alloc(4 * BLOCK, 5)
  expect(await run(path, { op: IoOp.Write, offset: edge - 2 * BLOCK, buffers: [data] })).toBe(OK)
  expect(await run(path, { op: IoOp.Flush })).toBe(OK)
  const back = Buffer.alloc(4 * BLOCK)
  expect(await run(path, { op: IoOp.Read, offset: edge - 2 * BLOCK, buffers: [back] })).toBe(OK)
  expect(back.equals(data)).toBe(true)
  expect(await run(path, { op: IoOp.Read, offset: 3 * 2 ** 40 - BLOCK, length: BLOCK })).toBe(OK)
  expect(made.array.log.map(({ cdb }) => cdb[0])).toEqual(expect.arrayContaining([0x8a, 0x88, 0x91]))

  const small = await bed({ memory: { volumes: [{ size: edge, blockSize: BLOCK }] }, array: { log: true } })
  const last = await small.open()
  expect(await run(last, { op: IoOp.Write, offset: edge - 4 * BLOCK, buffers: [data] })).toBe(OK)
  expect(small.array.log.map(({ cdb }) => cdb[0])).toContain(0x2a)
  // Grown over the border, the path goes on with long commands.
  small.storage.grow(0, edge * 2)
  const limits = new Promise((resolve) => last.events.on('limits', resolve))
  expect(await run(last, { op: IoOp.Read, length: BLOCK })).toBe(OK)
  await limits
  expect(last.limits.size).toBe(edge * 2)
  expect(await run(last, { op: IoOp.Write, offset: edge, buffers: [data] })).toBe(OK)
  expect(Buffer.from(small.storage.peek(0, edge, data.length)).equals(data)).toBe(true)
})

test('a volume that became smaller refuses what is behind its end, and the path says so', async () => {
  const made = await bed({ memory: { volumes: [{ size: '1MiB', blockSize: BLOCK }] } })
  const path = await made.open()
  made.array.faults.wire({
    pdu: 'dataIn',
    replace(pdu) {
      // READ CAPACITY(16): the last block, and blocks of 512 bytes.
      if (pdu.length >= BHS + 32 && pdu.readUInt32BE(BHS + 8) === BLOCK && pdu.readUInt32BE(BHS) === 0) {
        pdu.writeUInt32BE(1023, BHS + 4)
      }
      return [pdu]
    },
  })
  const limits = new Promise((resolve) => path.events.on('limits', resolve))
  made.array.attention('all', 0x2a09)
  expect(await run(path, { op: IoOp.Read, length: BLOCK })).toBe(OK)
  expect(await limits).toMatchObject({ size: 2 ** 19 })
})

test('a flush is no error where there is no cache and no command for it', async () => {
  const made = await bed()
  const unknown = { status: 2, sense: 0x05_2000 }
  for (const opcode of [0x5a, 0x1a, 0x35, 0x91]) made.array.faults.command({ opcode, ...unknown })
  const path = await made.open()
  expect(await run(path, { op: IoOp.Flush })).toBe(OK)
})

test('write protection that is put on and off is told', async () => {
  const made = await bed()
  const path = await made.open()
  const readOnly: boolean[] = []
  path.events.on('limits', (limits) => readOnly.push(limits.readOnly))
  const wrapped = recording(path)
  expect(await run(wrapped, { op: IoOp.Write, buffers: [Buffer.alloc(BLOCK)] })).toBe(OK)
  const protect = made.array.faults.wire({
    pdu: 'dataIn',
    replace(pdu) {
      // MODE SENSE(10) with the caching page.
      if (pdu.length >= BHS + 28 && pdu[BHS + 8 + pdu.readUInt16BE(BHS + 6)] === 0x08) pdu[BHS + 3]! |= 0x80
      return [pdu]
    },
  })
  made.array.faults.command({ opcode: 0x2a, count: 1, status: 2, sense: 0x07_2700 })
  expect(await run(wrapped, { op: IoOp.Write, buffers: [Buffer.alloc(BLOCK)] })).toBe(Errno.EROFS)
  await expect.poll(() => readOnly).toEqual([true])
  protect.remove()
  made.array.attention('all', 0x2a01)
  expect(await run(wrapped, { op: IoOp.Read, length: BLOCK })).toBe(OK)
  await expect.poll(() => readOnly).toEqual([true, false])
})

/** Changes an answer of MODE SENSE(10) with the caching page. */
function mode({ array }: Bed, change: (data: Buffer) => void): void {
  array.faults.wire({
    pdu: 'dataIn',
    replace(pdu) {
      const data = pdu.subarray(BHS)
      if (data.length >= 28 && data[8 + data.readUInt16BE(6)] === 0x08) change(data)
      return [pdu]
    },
  })
}

describe('without a unit attention', () => {
  const changes = {
    readOnly: (made: Bed, on: () => boolean) => mode(made, (data) => void (data[3]! |= on() ? 0x80 : 0)),
    fua: (made: Bed, on: () => boolean) => mode(made, (data) => void (data[3]! &= on() ? 0xef : 0xff)),
    writeCache: (made: Bed, on: () => boolean) =>
      mode(made, (data) => void (data[8 + data.readUInt16BE(6) + 2]! &= on() ? 0xfb : 0xff)),
    trim: (made: Bed, on: () => boolean) => page(made, 0xb2, (data) => void (data[5]! &= on() ? 0x1f : 0xff)),
    maxTransfer: (made: Bed, on: () => boolean) => page(made, 0xb0, (data) => on() && data.writeUInt32BE(16, 8)),
  } as const

  test.each(Object.entries(changes))(
    'a change of %s is seen by itself, and when it is as before',
    async (field, put) => {
      const made = await bed({ initiator: { pollInterval: 10 } })
      let on = false
      put(made, () => on)
      const path = await made.open()
      const before = path.limits
      const told: unknown[] = []
      path.events.on('limits', (limits) => told.push(limits[field as 'trim']))
      on = true
      await expect.poll(() => told.length, { timeout: 5000 }).toBe(1)
      expect(path.limits).not.toEqual(before)
      on = false
      await expect.poll(() => path.limits, { timeout: 5000 }).toEqual(before)
      expect(told).toEqual([told[0], before[field as 'trim']])
      expect(told[0]).not.toEqual(told[1])
    },
  )

  test('a rescan looks whether what is read-only can be written again', async () => {
    const made = await bed()
    let on = true
    changes.readOnly(made, () => on)
    const path = await made.open()
    expect(path.limits.readOnly).toBe(true)
    on = false
    await made.target.discover()
    await expect.poll(() => path.limits.readOnly, { timeout: 5000 }).toBe(false)
  })

  test('a page that is new is read', async () => {
    const made = await bed({ initiator: { pollInterval: 10 } })
    let hidden = true
    page(made, 0x00, (data) => {
      const at = data.indexOf(0xb2, 4)
      if (hidden && at !== -1) data[at] = 0xb1
    })
    const path = await made.open()
    expect(path.limits.trim).toBe(false)
    hidden = false
    await expect.poll(() => path.limits.trim, { timeout: 5000 }).toBe(true)
  })
})

test('a logical unit that is busy with a flush or a zeroing for long, and answers nothing meanwhile, is not given up', async () => {
  const made = await bed({ initiator: { pollInterval: 2000, taskTimeout: 500 } })
  const path = await made.open()
  const downs: Error[] = []
  path.events.on('down', (error) => downs.push(error))
  const slow = made.array.faults.wire({ pdu: ['scsiResponse', 'dataIn'], delay: 3000 })
  const flush = run(path, { op: IoOp.Flush, length: 0 })
  const zeroes = run(path, { op: IoOp.WriteZeroes, length: BLOCK })
  expect([await flush, await zeroes]).toEqual([OK, OK])
  expect(downs).toEqual([])
  slow.remove()
})
