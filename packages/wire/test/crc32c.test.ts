import { createRandom, randomInt } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { crc32c, crc32cTable, hasNativeCrc32c } from '../src/crc32c.ts'

/** The result as it goes over the wire. */
function onWire(crc: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(crc)
  return bytes.toString('hex')
}

/** Bit by bit, straight from the polynomial. */
function slow(bytes: Uint8Array): number {
  let crc = 0xffff_ffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1
  }
  return ~crc >>> 0
}

// RFC 7143 appendix A.4
const readCommand = '01c00000000000000000000000000000140000000000040000000014000000182800000000000000020000000000000000'
const vectors: [string, Uint8Array, string][] = [
  ['32 bytes of zeroes', Buffer.alloc(32), 'aa36918a'],
  ['32 bytes of ones', Buffer.alloc(32, 0xff), '43aba862'],
  ['32 bytes going up', Uint8Array.from({ length: 32 }, (_, i) => i), '4e79dd46'],
  ['32 bytes going down', Uint8Array.from({ length: 32 }, (_, i) => 31 - i), '5cdb3f11'],
  ['a READ (10) command PDU', Buffer.from(readCommand, 'hex').subarray(0, 48), '563a96d9'],
]

describe('crc32c', () => {
  it.each(vectors)('RFC 7143: %s', (_name, bytes, wire) => {
    expect(onWire(crc32c(bytes))).toBe(wire)
    expect(onWire(crc32cTable(bytes))).toBe(wire)
  })

  it('the empty input, and 0 as a seed', () => {
    expect(crc32c(Buffer.alloc(0))).toBe(0)
    expect(crc32c(Buffer.alloc(0), 0x1234_5678)).toBe(0x1234_5678)
  })

  it('the native package is installed here, so that both ways are tested', () => {
    expect(hasNativeCrc32c).toBe(true)
  })

  it('table and native agree with the polynomial, at every length and alignment', () => {
    const random = createRandom(7)
    const memory = Uint8Array.from({ length: 700 }, () => randomInt(random, 256))
    for (let length = 0; length <= 600; length++) {
      const bytes = memory.subarray(length % 9, (length % 9) + length)
      const right = slow(bytes)
      expect(crc32cTable(bytes), `table, ${length} bytes`).toBe(right)
      expect(crc32c(bytes), `${length} bytes`).toBe(right)
    }
  })

  it('goes on from an earlier result, at any split', () => {
    const random = createRandom(11)
    for (let round = 0; round < 300; round++) {
      const bytes = Uint8Array.from({ length: randomInt(random, 1500) }, () => randomInt(random, 256))
      const cut = randomInt(random, bytes.length + 1)
      const right = slow(bytes)
      const label = `round ${round}, cut at ${cut} of ${bytes.length}`
      expect(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut))), label).toBe(right)
      expect(crc32cTable(bytes.subarray(cut), crc32cTable(bytes.subarray(0, cut))), label).toBe(right)
    }
  })

  it('of a part of what it is given', () => {
    const random = createRandom(13)
    const bytes = Uint8Array.from({ length: 1500 }, () => randomInt(random, 256))
    for (let round = 0; round < 300; round++) {
      const from = randomInt(random, 1500)
      const to = from + randomInt(random, 1500 - from)
      const right = slow(bytes.subarray(from, to))
      expect(crc32c(bytes, 0, from, to), `${from} to ${to}`).toBe(right)
      expect(crc32cTable(bytes, 0, from, to), `${from} to ${to}`).toBe(right)
    }
  })
})
