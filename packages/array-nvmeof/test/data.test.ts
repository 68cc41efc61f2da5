import { pattern, patternFault } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { bed } from './beds.ts'

const SIZE = 192 * 512

describe('data', () => {
  // Every way of getting data to and from the array, each checked at both ends.
  const matrix = [false, true].flatMap((headerDigest) =>
    [false, true].flatMap((dataDigest) =>
      [
        {
          hpda: 0,
          dataAlignment: 4,
          maxH2CData: 131_072,
          r2tSize: undefined,
          c2hDataSize: undefined,
          maxR2t: 0,
          success: true,
        },
        { hpda: 7, dataAlignment: 128, maxH2CData: 4096, r2tSize: 8192, c2hDataSize: 4096, maxR2t: 3, success: true },
        { hpda: 2, dataAlignment: 12, maxH2CData: 5000, r2tSize: 512, c2hDataSize: 512, maxR2t: 0, success: false },
        {
          hpda: 31,
          dataAlignment: 64,
          maxH2CData: 8192,
          r2tSize: 20_480,
          c2hDataSize: 65_536,
          maxR2t: 15,
          success: false,
        },
      ].map((sizes) => ({ headerDigest, dataDigest, ...sizes })),
    ),
  )

  it.each(matrix)('%o', async ({ headerDigest, dataDigest, hpda, maxR2t, success, r2tSize, c2hDataSize, ...rest }) => {
    const { array, memory, pair } = await bed({
      ...rest,
      successFlag: success,
      r2tsAtOnce: 4,
      ...(r2tSize === undefined ? {} : { r2tSize }),
      ...(c2hDataSize === undefined ? {} : { c2hDataSize }),
    })
    const { io } = await pair({ headerDigest, dataDigest, hpda, maxR2t })
    expect([io.headerDigest, io.dataDigest]).toEqual([headerDigest, dataDigest])
    const data = pattern(SIZE, { seed: 1, offset: 8192, generation: 1 })
    const wrote = await io.write(1, 16, data)
    expect(wrote.status).toBe(0)
    expect(data.equals(memory.array.peek(0, 8192, SIZE))).toBe(true)
    const asked = wrote.pdus.filter(({ type }) => type === 0x09)
    expect(asked.length).toBe(r2tSize === undefined ? 1 : Math.ceil(SIZE / r2tSize))
    const small = pattern(4096, { seed: 2, offset: 0, generation: 1 })
    const inCapsule = await io.write(1, 0, small)
    expect([inCapsule.status, inCapsule.pdus.length]).toEqual([0, 1])
    expect(small.equals(memory.array.peek(0, 0, 4096))).toBe(true)

    const read = await io.read(1, 16, SIZE / 512)
    expect(read.status).toBe(0)
    expect(patternFault(read.data, { seed: 1, offset: 8192, generation: 1 })).toBeUndefined()
    expect(read.bySuccess).toBe(success)
    const pieces = read.pdus.filter(({ type }) => type === 0x07)
    expect(pieces.length).toBe(c2hDataSize === undefined ? 1 : Math.ceil(SIZE / c2hDataSize))
    let at = 0
    for (const [number, pdu] of pieces.entries()) {
      expect(pdu.pdo % (4 * (hpda + 1))).toBe(0)
      expect(pdu.header.readUInt32LE(12)).toBe(at)
      expect((pdu.flags & 4) !== 0).toBe(number === pieces.length - 1)
      at += pdu.data.length
    }
    expect(io.wrongDigests).toBe(0)
    expect(array.violations).toEqual([])
  })
})
