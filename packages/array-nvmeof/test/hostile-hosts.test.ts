import { describe, expect, it } from 'vitest'
import type { Bed } from './beds.ts'
import { bed, ManualHost } from './beds.ts'
import type { InitializeOptions, RawHost } from './host.ts'
import { crcOf } from './host.ts'

const BLOCKS = Buffer.alloc(65_536, 7)

interface Term {
  readonly fes: number
  readonly fei: number
  /** Header of the PDU that was the reason, as far as it goes back. */
  readonly data: Buffer
}

/** What the array ends the connection with. */
async function termOf(host: RawHost): Promise<Term> {
  const { header, data } = await host.next((pdu) => pdu.type === 3)
  return { fes: header.readUInt16LE(8), fei: header.readUInt32LE(10), data }
}

async function ioQueue(
  options: Parameters<typeof bed>[0] = {},
  dial: InitializeOptions = {},
): Promise<Bed & { io: RawHost }> {
  const made = await bed(options)
  const { io } = await made.pair(dial)
  return { ...made, io }
}

/** A capsule with a read of block 0. */
function readCapsule(host: RawHost): Buffer {
  const sqe = host.entry(2, { nsid: 1, dwords: [0, 0, 0], read: 512 })
  return host.encode(Buffer.concat([Buffer.from([4, 0, 0, 0, 0, 0, 0, 0]), sqe]))
}

function changed(pdu: Buffer, change: (pdu: Buffer) => void): Buffer {
  change(pdu)
  return pdu
}

describe('a host that sends', () => {
  const headers: { what: string; change: (pdu: Buffer) => void; fes: number; fei: number }[] = [
    { what: 'a type that is not there', change: (pdu) => pdu.writeUInt8(0x0a, 0), fes: 1, fei: 0 },
    { what: 'a type of controllers', change: (pdu) => pdu.writeUInt8(0x05, 0), fes: 1, fei: 0 },
    { what: 'HDGSTF that was not agreed on', change: (pdu) => pdu.writeUInt8(0x01, 1), fes: 1, fei: 1 },
    { what: 'DDGSTF that was not agreed on', change: (pdu) => pdu.writeUInt8(0x02, 1), fes: 1, fei: 1 },
    { what: 'a wrong HLEN', change: (pdu) => pdu.writeUInt8(73, 2), fes: 1, fei: 2 },
    { what: '4 GiB', change: (pdu) => pdu.writeUInt32LE(0xffff_ffff, 4), fes: 1, fei: 3 },
    { what: 'less than a header', change: (pdu) => pdu.writeUInt32LE(71, 4), fes: 1, fei: 4 },
    { what: 'a second ICReq', change: (pdu) => pdu.writeUInt8(0x00, 0), fes: 2, fei: 0 },
  ]
  it.each(headers)('$what is told what is wrong, and cut off', async ({ change, fes, fei }) => {
    const { array, io } = await ioQueue()
    const pdu = changed(readCapsule(io), change)
    io.socket.write(pdu)
    const term = await termOf(io)
    expect([term.fes, term.fei]).toEqual([fes, fei])
    expect(term.data.equals(pdu.subarray(0, term.data.length))).toBe(true)
    expect(array.violations.length).toBe(1)
  })

  it.each([
    { what: 'PDO within the header', pdo: 71, fei: 3 },
    { what: 'PDO that is not aligned', pdo: 74, fei: 3 },
    { what: 'PDO behind the end', pdo: 252, fei: 4 },
  ])('$what is cut off', async ({ pdo, fei }) => {
    const { io } = await ioQueue()
    const sqe = io.entry(1, { nsid: 1, dwords: [0, 0, 0], write: BLOCKS.subarray(0, 64) })
    const pdu = io.encode(Buffer.concat([Buffer.from([4, 0, 0, 0, 0, 0, 0, 0]), sqe]), BLOCKS.subarray(0, 64))
    io.socket.write(changed(pdu, (copy) => copy.writeUInt8(pdo, 3)))
    const term = await termOf(io)
    expect([term.fes, term.fei]).toEqual([1, fei])
  })

  it('a command before its ICReq is cut off', async () => {
    const { dial } = await ioQueue()
    const host = await dial()
    host.socket.write(readCapsule(host))
    expect((await termOf(host)).fes).toBe(2)
  })

  it('a header with a wrong digest is told the digest, and cut off', async () => {
    const { io } = await ioQueue({}, { headerDigest: true })
    const pdu = readCapsule(io)
    io.socket.write(changed(pdu, (copy) => copy.writeUInt8(copy[20]! ^ 1, 20)))
    const term = await termOf(io)
    expect([term.fes, term.fei]).toEqual([3, pdu.readUInt32LE(72)])
    expect(term.data.length).toBe(72)
  })

  it('data with a wrong digest may send the command again, and nothing is written', async () => {
    for (const capsule of [true, false]) {
      const { io, memory } = await ioQueue({}, { dataDigest: true })
      const data = BLOCKS.subarray(0, 512)
      const sqe = io.entry(1, { nsid: 1, dwords: [0, 0, 0], write: data, capsule })
      const cid = sqe.readUInt16LE(2)
      if (capsule) {
        const pdu = io.encode(Buffer.concat([Buffer.from([4, 0, 0, 0, 0, 0, 0, 0]), sqe]), data)
        io.socket.write(changed(pdu, (copy) => copy.writeUInt8(0, 80)))
      } else {
        io.capsule(sqe)
        const r2t = await io.next((pdu) => pdu.type === 9)
        const header = Buffer.alloc(24)
        header.set([6, 4])
        r2t.header.copy(header, 8, 8, 20)
        io.socket.write(changed(io.encode(header, data), (copy) => copy.writeUInt8(0, 30)))
      }
      expect(await io.finish(cid)).toMatchObject({ status: 0x22, dnr: false })
      expect(memory.array.peek(0, 0, 512).every((byte) => byte === 0)).toBe(true)
      expect((await io.write(1, 0, data, { capsule })).status).toBe(0)
    }
  })

  it('more commands than its queue has entries is cut off', async () => {
    const { array, io } = await ioQueue()
    array.faults.command({ opcode: 2, hangs: true })
    for (let n = 0; n < 129; n++) io.begin(2, { nsid: 1, dwords: [0, 0, 0], read: 512 })
    expect((await termOf(io)).fes).toBe(2)
  })

  it('a CID twice is told so', async () => {
    const { array, io } = await ioQueue()
    const rule = array.faults.command({ opcode: 2, holds: true, count: 1 })
    const cid = io.begin(2, { nsid: 1, dwords: [0, 0, 0], read: 512 })
    expect((await io.command(2, { cid, nsid: 1, dwords: [0, 0, 0], read: 512 })).status).toBe(3)
    rule.release()
    expect((await io.finish(cid)).data.length).toBe(512)
    expect(array.violations[0]).toContain('in use')
  })

  const wrongData: { what: string; send: (io: RawHost, cid: number, tag: number) => void; fes: number; fei: number }[] =
    [
      {
        what: 'of no command',
        send: (io, cid, tag) => io.h2cData(cid ^ 0x100, tag, 0, BLOCKS.subarray(0, 512), false),
        fes: 1,
        fei: 8,
      },
      {
        what: 'of no R2T',
        send: (io, cid, tag) => io.h2cData(cid, tag ^ 1, 0, BLOCKS.subarray(0, 512), false),
        fes: 1,
        fei: 10,
      },
      {
        what: 'behind its place',
        send: (io, cid, tag) => io.h2cData(cid, tag, 512, BLOCKS.subarray(0, 512), false),
        fes: 4,
        fei: 0,
      },
      {
        what: 'that is too much',
        send: (io, cid, tag) => io.h2cData(cid, tag, 0, BLOCKS.subarray(0, 16_896), true),
        fes: 4,
        fei: 0,
      },
      {
        what: 'with its end too early',
        send: (io, cid, tag) => io.h2cData(cid, tag, 0, BLOCKS.subarray(0, 512), true),
        fes: 1,
        fei: 1,
      },
      {
        what: 'without its end',
        send: (io, cid, tag) => io.h2cData(cid, tag, 0, BLOCKS.subarray(0, 16_384), false),
        fes: 1,
        fei: 1,
      },
      {
        what: 'above MAXH2CDATA',
        send: (io, cid, tag) => io.h2cData(cid, tag, 0, BLOCKS.subarray(0, 20_484), true),
        fes: 5,
        fei: 0,
      },
    ]
  it.each(wrongData)('data $what is cut off, and nothing is written', async ({ send, fes, fei }) => {
    const { io, memory } = await ioQueue({ maxH2CData: 20_480 })
    const cid = io.begin(1, { nsid: 1, dwords: [0, 0, 31], write: BLOCKS.subarray(0, 16_384) })
    const r2t = await io.next((pdu) => pdu.type === 9)
    send(io, cid, r2t.header.readUInt16LE(10))
    const term = await termOf(io)
    expect([term.fes, term.fei]).toEqual([fes, fei])
    expect(memory.array.peek(0, 0, 512).every((byte) => byte === 0)).toBe(true)
  })

  it('more in a capsule than it may is cut off', async () => {
    const { io } = await ioQueue({ inCapsuleData: 4096 })
    io.begin(1, { nsid: 1, dwords: [0, 0, 8], write: BLOCKS.subarray(0, 4608), capsule: true })
    expect((await termOf(io)).fes).toBe(5)
  })

  const entries: { what: string; change: (sqe: Buffer) => void; status: number }[] = [
    { what: 'PRPs', change: (sqe) => sqe.writeUInt8(0, 1), status: 2 },
    { what: 'a fused command', change: (sqe) => sqe.writeUInt8(0x41, 1), status: 2 },
    { what: 'an SGL of another type', change: (sqe) => sqe.writeUInt8(0x40, 39), status: 0x11 },
    { what: 'an SGL in a capsule that has no data', change: (sqe) => sqe.writeUInt8(1, 39), status: 0x0f },
    { what: 'an SGL that is too short', change: (sqe) => sqe.writeUInt32LE(256, 32), status: 0x0f },
    { what: 'an opcode that is not there', change: (sqe) => sqe.writeUInt8(0x7e, 0), status: 1 },
    { what: 'a namespace that is not there', change: (sqe) => sqe.writeUInt32LE(9, 4), status: 0x0b },
    { what: 'a range behind the end', change: (sqe) => sqe.writeUInt32LE(32_768, 40), status: 0x80 },
    { what: 'a range at the end of numbers', change: (sqe) => sqe.writeUInt32LE(0xffff_ffff, 44), status: 0x80 },
    { what: 'protection information', change: (sqe) => sqe.writeUInt32LE(0x0400_0000, 48), status: 2 },
  ]
  it.each(entries)('$what gets an error, once and for all', async ({ change, status }) => {
    const { io } = await ioQueue()
    const answer = await io.command(2, { nsid: 1, dwords: [0, 0, 0], read: 512, change })
    expect([answer.status, answer.dnr]).toEqual([status, true])
    expect((await io.read(1, 0, 1)).status).toBe(0)
  })

  it('a TermReq is cut off at once, and counted', async () => {
    const { array, io } = await ioQueue()
    const pdu = Buffer.alloc(24)
    pdu.set([2, 0, 24, 0, 24, 0, 0, 0, 1])
    io.socket.write(pdu)
    await io.gone()
    expect(array.counters.terminations).toBe(1)
  })

  it('a TermReq of a wrong length is told so', async () => {
    const { io } = await ioQueue()
    const pdu = Buffer.alloc(24)
    pdu.set([2, 0, 24, 0, 153, 0, 0, 0, 1])
    io.socket.write(pdu)
    expect(await termOf(io)).toMatchObject({ fes: 1, fei: 4 })
  })

  it('more after it was told to end is not read, and cut off in time', async () => {
    const time = new ManualHost()
    const { array, pair } = await bed({}, {}, time)
    const { io } = await pair()
    io.socket.write(Buffer.concat([Buffer.alloc(8, 0xff), readCapsule(io)]))
    await termOf(io)
    time.advance(14_999)
    expect(array.ports[0]!.connections).toBe(2)
    time.advance(1)
    await io.gone()
    expect(array.counters.commands[2]).toBeUndefined()
  })
})

it('crcOf is that of RFC 3720', () => {
  expect(crcOf(Buffer.alloc(32))).toBe(0x8a91_36aa)
})
