import { describe, expect, it } from 'vitest'
import { decodeSense, describeSense } from '../../src/scsi/sense.ts'
import { bytes } from './vectors.ts'

describe('sense data', () => {
  it.each([
    [
      'fixed: medium error at a block',
      'f0 00 03 00123456 0a 00000000 11 00 00 000000',
      { deferred: false, key: 3, asc: 0x11, ascq: 0, information: 0x123456 },
    ],
    [
      'fixed: without information',
      '70 00 02 00123456 0a 00000000 04 0b 00 000000',
      { deferred: false, key: 2, asc: 4, ascq: 0x0b, information: undefined },
    ],
    [
      'fixed, deferred, with marks beside the key',
      '71 00 e4 00000000 0a 00000000 44 00 00 000000',
      { deferred: true, key: 4, asc: 0x44, ascq: 0, information: undefined },
    ],
    [
      'fixed: its length leaves the codes out',
      '70 00 05 00000000 04 00000000 24 01',
      { deferred: false, key: 5, asc: 0, ascq: 0, information: undefined },
    ],
    [
      'descriptors: none',
      '72 06 29 00 00 00 00 00',
      { deferred: false, key: 6, asc: 0x29, ascq: 0, information: undefined },
    ],
    [
      'descriptors, deferred: the second has the block',
      '73 03 11 04 00000014 02 06 0000 c0 000100 00 0a 80 00 0000000312345678',
      { deferred: true, key: 3, asc: 0x11, ascq: 4, information: 0x3_1234_5678 },
    ],
    [
      'descriptors: the block is not valid',
      '72 03 11 00 0000000c 00 0a 00 00 0000000000000008',
      { deferred: false, key: 3, asc: 0x11, ascq: 0, information: undefined },
    ],
    [
      'descriptors: the block is above 2 ** 53',
      '72 03 11 00 0000000c 00 0a 80 00 ffffffffffffffff',
      { deferred: false, key: 3, asc: 0x11, ascq: 0, information: undefined },
    ],
  ])('%s', (_name, hex, expected) => {
    expect(decodeSense(bytes(hex))).toEqual(expected)
  })

  it.each(['', '00 00 05', '7f 00 05', '6f 00 05', '70', '70 00', '72'])('is none in "%s"', (hex) => {
    expect(decodeSense(bytes(hex))).toBeUndefined()
  })

  it('ends where the caller says', () => {
    const fixed = bytes('f0 00 03 00123456 0a 00000000 11 02 00 000000')
    const seen = [...fixed.keys()].map((length) => decodeSense(fixed, length))
    expect(seen.map((sense) => sense?.key)).toEqual([undefined, undefined, undefined, ...new Array(15).fill(3)])
    expect(seen.map((sense) => sense?.asc ?? 0)).toEqual([...new Array(13).fill(0), ...new Array(5).fill(0x11)])
    expect(seen.map((sense) => sense?.ascq ?? 0)).toEqual([...new Array(14).fill(0), ...new Array(4).fill(2)])
    expect(seen.findIndex((sense) => sense?.information === 0x123456)).toBe(7)
    expect(decodeSense(fixed, 1000)).toEqual(decodeSense(fixed))
  })

  it('of descriptors ends where the caller says', () => {
    const described = bytes('72 03 11 04 0000000c 000a 8000 0000000312345678')
    const seen = [...described.keys()].map((length) => decodeSense(described, length))
    expect(seen.slice(0, 5).map((sense) => sense && [sense.key, sense.asc, sense.ascq])).toEqual([
      undefined,
      undefined,
      [3, 0, 0],
      [3, 0x11, 0],
      [3, 0x11, 4],
    ])
    expect(seen.every((sense) => sense?.information === undefined)).toBe(true)
    expect(decodeSense(described)?.information).toBe(0x3_1234_5678)
  })

  it('is described in short', () => {
    expect(describeSense(decodeSense(bytes('72 02 04 0b 00000000'))!)).toBe('not ready (02/04/0b)')
    expect(describeSense(decodeSense(bytes('73 0f 3f 1a 00000000'))!)).toBe('deferred completed (0f/3f/1a)')
  })
})
