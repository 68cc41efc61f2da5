import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Lun } from '../../src/scsi/lun.ts'
import { lunOf, parseLun, readLun } from '../../src/scsi/lun.ts'
import { bytes } from './vectors.ts'

function wire(lun: Lun): string {
  return lun.high.toString(16).padStart(8, '0') + lun.low.toString(16).padStart(8, '0')
}

describe('a LUN', () => {
  it.each([
    [0, '0000000000000000'],
    [5, '0005000000000000'],
    [255, '00ff000000000000'],
    [256, '4100000000000000'],
    [300, '412c000000000000'],
    [16383, '7fff000000000000'],
    [16384, 'd200400000000000'],
    [70000, 'd201117000000000'],
    [16777215, 'd2ffffff00000000'],
  ])('of number %i is %s', (number, hex) => {
    expect(wire(lunOf(number))).toBe(hex)
    expect(readLun(bytes(`ff${hex}`), 1)).toEqual(lunOf(number))
    expect(parseLun(String(number))).toEqual(lunOf(number))
  })

  it.each([
    ['flat space where peripheral would do', '4005000000000000'],
    ['peripheral on a bus', '0105000000000000'],
    ['two levels', '0101000200000000'],
    ['a low half', '0005000000000001'],
    ['logical unit addressing', '8305000000000000'],
    ['a well-known logical unit', 'c101000000000000'],
    ['extended flat space where flat would do', 'd200012c00000000'],
    ['long extended flat space', 'e200000001000000'],
  ])('with %s has its hex as name', (_what, hex) => {
    const lun = readLun(bytes(hex), 0)
    expect(lun.name).toBe(`0x${hex}`)
    expect(parseLun(lun.name)).toEqual(lun)
    expect(parseLun(lun.name.toUpperCase().replace('X', 'x'))).toEqual(lun)
  })

  it('written as hex has the short name where there is one', () => {
    expect(parseLun('0x412c000000000000')).toEqual(lunOf(300))
  })

  it.each([
    '',
    '-1',
    '01',
    '1.5',
    '1e3',
    '16777216',
    '99999999999',
    '0x5',
    '0x00050000000000000',
    '0xg005000000000000',
  ])('is not named %j', (name) => {
    expect(parseLun(name)).toBeUndefined()
  })

  it.each([-1, 1.5, 16777216, Number.NaN])('cannot have number %d', (number) => {
    expect(() => lunOf(number)).toThrow(TypeError)
  })

  it('of any eight bytes is found again by its name, and no other has it', () => {
    const eight = fc.uint8Array({ minLength: 8, maxLength: 8 })
    fc.assert(
      fc.property(eight, (raw) => {
        const lun = readLun(raw, 0)
        expect(wire(lun)).toBe(Buffer.from(raw).toString('hex'))
        expect(parseLun(lun.name)).toEqual(lun)
      }),
      { numRuns: 2000 },
    )
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xff_ffff }), (number) => {
        const lun = lunOf(number)
        expect(readLun(bytes(wire(lun)), 0)).toEqual(lun)
      }),
      { numRuns: 2000 },
    )
  })
})
