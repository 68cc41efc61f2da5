import { pattern, patternFault } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { createIscsiArray } from '../src/index.ts'
import { bed, bedOf, HeldDevice, until, use, VOLUME } from './beds.ts'
import { crcOf, read10, TARGET, write10 } from './initiator.ts'

const yesNo = ['Yes', 'No']
const SIZE = 192 * 512

describe('data', () => {
  // Every way of getting data to and from the array, each checked at both ends.
  const matrix = yesNo.flatMap((ImmediateData) =>
    yesNo.flatMap((InitialR2T) =>
      ['None', 'CRC32C'].flatMap((HeaderDigest) =>
        ['None', 'CRC32C'].flatMap((DataDigest) =>
          [
            { segment: 262_144, burst: 262_144, first: 65_536, r2ts: 1 },
            { segment: 512, burst: 4096, first: 1024, r2ts: 1 },
            { segment: 8192, burst: 5120, first: 4096, r2ts: 4 },
            { segment: 1500, burst: 7000, first: 3333, r2ts: 2 },
          ].map((sizes) => ({ ImmediateData, InitialR2T, HeaderDigest, DataDigest, ...sizes })),
        ),
      ),
    ),
  )

  it.each(matrix)('%o', async ({ segment, burst, first, r2ts, ...keys }) => {
    const { array, memory, ready } = await bed({ maxRecvDataSegmentLength: segment })
    const initiator = await ready({
      keys: {
        ...keys,
        MaxRecvDataSegmentLength: String(segment),
        MaxBurstLength: String(burst),
        FirstBurstLength: String(first),
        MaxOutstandingR2T: String(r2ts),
      },
    })
    const data = pattern(SIZE, { seed: 1, offset: 8192, generation: 1 })
    const wrote = await initiator.command(write10(16, SIZE / 512), { write: data })
    expect([wrote.status, wrote.residual]).toEqual([0, 0])
    expect(data.equals(memory.array.peek(0, 8192, SIZE))).toBe(true)
    const read = await initiator.command(read10(16, SIZE / 512), { read: SIZE })
    expect(patternFault(read.data, { seed: 1, offset: 8192, generation: 1 })).toBeUndefined()

    const answers = read.pdus.filter((pdu) => pdu.opcode === 0x25)
    expect(Math.max(...answers.map((pdu) => pdu.data.length))).toBeLessThanOrEqual(segment)
    let inBurst = 0
    for (const [n, pdu] of answers.entries()) {
      expect(pdu.bhs.readUInt32BE(36)).toBe(n)
      inBurst += pdu.data.length
      expect(inBurst).toBeLessThanOrEqual(burst)
      if ((pdu.flags & 0x80) !== 0) inBurst = 0
    }
    const asked = wrote.pdus.filter((pdu) => pdu.opcode === 0x31)
    const unasked = keys.ImmediateData === 'Yes' || keys.InitialR2T === 'No'
    const begin = !unasked ? 0 : keys.InitialR2T === 'No' ? first : Math.min(first, segment)
    expect(asked[0]?.bhs.readUInt32BE(40) ?? SIZE).toBe(Math.min(begin, SIZE))
    for (const [n, pdu] of asked.entries()) {
      expect(pdu.bhs.readUInt32BE(36)).toBe(n)
      expect(pdu.bhs.readUInt32BE(44)).toBeLessThanOrEqual(burst)
    }
    // ExpDataSN counts Data-In alone where there is any.
    expect(wrote.pdus.at(-1)!.bhs.readUInt32BE(36)).toBe(0)
    expect(initiator.wrongDigests).toBe(0)
    expect(array.violations).toEqual([])
  })

  it('asks for as many bursts at once as was agreed on', async () => {
    const { ready } = await bed({ initialR2T: true, immediateData: false })
    const initiator = await ready({ keys: { MaxBurstLength: '1024', MaxOutstandingR2T: '3' } })
    const data = Buffer.alloc(5 * 1024, 7)
    const tag = initiator.begin(write10(0, 10), { write: data })
    await until(() => initiator.inbox.length === 3, 'three R2Ts')
    await initiator.nop()
    expect(initiator.inbox.map((pdu) => pdu.bhs.readUInt32BE(40))).toEqual([0, 1024, 2048])
    expect((await initiator.finish(tag, data)).status).toBe(0)
  })

  it('may send the status apart from the data', async () => {
    const { ready } = await bed({ collapseStatus: false })
    const read = await (await ready()).command(read10(0, 8), { read: 4096 })
    expect(read.pdus.map((pdu) => pdu.opcode)).toEqual([0x25, 0x21])
    expect([read.pdus[0]!.flags, read.pdus[1]!.bhs.readUInt32BE(36), read.data.length]).toEqual([0x80, 1, 4096])
  })

  it('runs commands in the order of CmdSN, whatever the order they come in', async () => {
    const { array, ready } = await bed({ log: true })
    const initiator = await ready()
    const before = array.log.length
    const headers = [0, 1, 2, 3].map((lba) => initiator.commandHeader(read10(lba, 1), { read: 512 }))
    for (const at of [2, 1, 3, 0]) initiator.send(headers[at]!)
    for (const header of headers) await initiator.finish(header.readUInt32BE(16))
    expect(array.log.slice(before).map(({ cdb }) => cdb[5])).toEqual([0, 1, 2, 3])
  })

  it('reads a stream of commands cut at every byte', async () => {
    const { ready, memory } = await bed()
    const initiator = await ready({ keys: { HeaderDigest: 'CRC32C', DataDigest: 'CRC32C' } })
    const size = 48 + 4 + 512 + 4
    for (let at = 1; at < 2 * size; at += 1) {
      const data = Buffer.alloc(512, at)
      const headers = [0, 1].map((lba) => initiator.commandHeader(write10(lba, 1), { write: data }))
      const bytes = Buffer.concat(headers.map((header) => initiator.encode(header, data)))
      initiator.socket.write(bytes.subarray(0, at))
      await new Promise((resolve) => setImmediate(resolve))
      initiator.socket.write(bytes.subarray(at))
      for (const header of headers) expect((await initiator.finish(header.readUInt32BE(16))).status).toBe(0)
      expect(Buffer.alloc(1024, at).equals(memory.array.peek(0, 0, 1024)), `cut at ${at}`).toBe(true)
    }
  })

  it('of a write stays as it is until the device is done, whatever comes in meanwhile', async () => {
    const device = new HeldDevice()
    const array = use(await createIscsiArray({ name: TARGET, luns: [{ volume: VOLUME, device }] }))
    const initiator = await bedOf(array, undefined as never).ready()
    const stamp = (n: number) => ({ seed: 3, offset: n * 65_536, generation: n })
    for (let n = 0; n < 12; n++) initiator.begin(write10(n * 128, 128), { write: pattern(65_536, stamp(n)) })
    await device.holds(12)
    for (let n = 0; n < 32; n++) await initiator.nop(Buffer.alloc(65_536, 0xff))
    for (const [n, io] of device.held.entries())
      expect(patternFault(Buffer.concat(io.buffers), stamp(n))).toBeUndefined()
    device.release()
    await until(() => initiator.inbox.length === 12, 'every answer')
    await initiator.nop()
  })

  it('knows CRC32C as RFC 3720 appendix B.4 gives it', async () => {
    const { crc32c } = await import('@blockbraid/wire')
    const vectors: [Buffer, string][] = [
      [Buffer.alloc(32), '8a9136aa'],
      [Buffer.alloc(32, 0xff), '62a8ab43'],
      [Buffer.from(Array.from({ length: 32 }, (_, n) => n)), '46dd794e'],
      [Buffer.from(Array.from({ length: 32 }, (_, n) => 31 - n)), '113fdb5c'],
      [Buffer.from('123456789'), 'e3069283'],
    ]
    for (const [bytes, crc] of vectors) {
      expect(crc32c(bytes).toString(16)).toBe(crc)
      expect(crcOf(bytes).toString(16)).toBe(crc)
      for (let at = 0; at <= bytes.length; at++) {
        expect(crc32c(bytes.subarray(at), crc32c(bytes.subarray(0, at))).toString(16)).toBe(crc)
      }
    }
  })
})
