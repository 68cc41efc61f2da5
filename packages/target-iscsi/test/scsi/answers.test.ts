import { describe, expect, it } from 'vitest'
import { decodeCapacity10, decodeCapacity16 } from '../../src/scsi/capacity.ts'
import { decodeLuns } from '../../src/scsi/luns.ts'
import { decodeMode6, decodeMode10 } from '../../src/scsi/mode.ts'
import { decodeCommandSupport } from '../../src/scsi/opcodes.ts'
import { accessOf, decodePortGroups, groupOf } from '../../src/scsi/ports.ts'
import * as reservations from '../../src/scsi/reservations.ts'
import { ReservationType } from '../../src/scsi/reserve.ts'
import * as vectors from './vectors.ts'
import { bytes } from './vectors.ts'

describe('READ CAPACITY', () => {
  it('(10)', () => {
    expect(decodeCapacity10(vectors.capacity10)).toEqual({
      blocks: 0x200000,
      blockSize: 512,
      size: 2 ** 30,
      physicalBlockSize: 512,
      alignedLba: 0,
      thin: false,
      zeroes: false,
      protection: 0,
    })
  })

  it('(10) leaves large volumes to (16)', () => {
    expect(decodeCapacity10(bytes('ffffffff 00000200'))).toBeUndefined()
    expect(decodeCapacity10(bytes('fffffffe 00000200'))?.blocks).toBe(0xffff_ffff)
  })

  it('(16)', () => {
    expect(decodeCapacity16(vectors.capacity16)).toEqual({
      blocks: 3 * 2 ** 31,
      blockSize: 512,
      size: 3 * 2 ** 40,
      physicalBlockSize: 4096,
      alignedLba: 0,
      thin: true,
      zeroes: true,
      protection: 0,
    })
    expect(decodeCapacity16(bytes('00000000 000000ff 00001000 05 01 8007'))).toMatchObject({
      physicalBlockSize: 8192,
      alignedLba: 7,
      thin: true,
      zeroes: false,
      protection: 3,
    })
  })

  it('(16) takes the short answer', () => {
    expect(decodeCapacity16(vectors.capacity16.subarray(0, 12))).toMatchObject({ size: 3 * 2 ** 40, thin: false })
  })

  it.each([
    ['0000000000000007 00000000', 'NOT_SUPPORTED'],
    ['0000000000000007 00000208', 'NOT_SUPPORTED'],
    ['0000000000000007 00000100', 'NOT_SUPPORTED'],
    ['0000000000000007 00020000', 'NOT_SUPPORTED'],
    ['0000000000000007 80000000', 'NOT_SUPPORTED'],
    ['ffffffffffffffff 00000200', 'TOO_LARGE'],
    ['00000fffffffffff 00000200', 'TOO_LARGE'],
  ])('%s is %s', (hex, code) => {
    expect(() => decodeCapacity16(bytes(hex))).toThrow(expect.objectContaining({ code }))
  })

  it('(16) takes the largest volume there is', () => {
    expect(decodeCapacity16(bytes('00000ffffffffffe 00000200')).size).toBe(2 ** 53 - 512)
  })
})

describe('MODE SENSE', () => {
  it('(6) behind a block descriptor', () => {
    const mode = decodeMode6(vectors.mode6)
    expect(mode).toMatchObject({ writeProtected: false, dpofua: true, writeCache: true })
    expect(mode.pages.map(({ code, subpage, bytes: page }) => [code, subpage, page.length])).toEqual([
      [0x08, 0, 20],
      [0x0a, 0, 12],
    ])
  })

  it('(10) behind a long block descriptor and a subpage', () => {
    const mode = decodeMode10(vectors.mode10)
    expect(mode).toMatchObject({ writeProtected: true, dpofua: false, writeCache: false })
    expect(mode.pages.map(({ code, subpage, bytes: page }) => [code, subpage, page.length])).toEqual([
      [0x0a, 1, 8],
      [0x08, 0, 20],
    ])
  })

  it('ends where it says, and its pages without subpages may have any code', () => {
    const pages = '81 02 0000 8a 01 00'
    const codes = (mode: { pages: readonly { code: number; subpage: number }[] }): number[][] =>
      mode.pages.map(({ code, subpage }) => [code, subpage])
    expect(codes(decodeMode6(bytes(`0a 00 00 00 ${pages}`)))).toEqual([
      [0x01, 0],
      [0x0a, 0],
    ])
    expect(codes(decodeMode6(bytes(`09 00 00 00 ${pages}`)))).toEqual([[0x01, 0]])
    expect(codes(decodeMode10(bytes(`000d 00 00 00 00 0000 ${pages}`)))).toHaveLength(2)
    expect(codes(decodeMode10(bytes(`000c 00 00 00 00 0000 ${pages}`)))).toEqual([[0x01, 0]])
  })

  it('without block descriptors', () => {
    expect(decodeMode6(bytes('17 00 80 00 08 12 04 00 0000 0000 0000 0000 00 00 00 00 00000000'))).toMatchObject({
      writeProtected: true,
      writeCache: true,
    })
  })

  it('does not know the write cache without the caching page, nor with a subpage of its code', () => {
    expect(decodeMode6(bytes('03 00 00 00')).writeCache).toBeUndefined()
    expect(decodeMode6(bytes('0b 00 00 00 48 01 0004 ffffffff')).writeCache).toBeUndefined()
    expect(decodeMode6(bytes('05 00 00 00 08 00')).writeCache).toBeUndefined()
  })
})

describe('REPORT LUNS', () => {
  it('has each LUN once', () => {
    const { luns, length } = decodeLuns(vectors.lunList)
    expect(luns.map((lun) => lun.name)).toEqual(['0', '5', '300', '70000', '0x0101000200000000'])
    expect(length).toBe(vectors.lunList.length)
  })

  it('tells how long the list would have been', () => {
    const { luns, length } = decodeLuns(vectors.lunList.subarray(0, 31))
    expect(luns.map((lun) => lun.name)).toEqual(['0', '5'])
    expect(length).toBe(56)
    expect(decodeLuns(bytes('fffffff8 00000000'))).toEqual({ luns: [], length: 2 ** 32 })
  })
})

describe('REPORT TARGET PORT GROUPS', () => {
  const groups = [
    {
      group: 1,
      access: 'optimized',
      state: 0,
      preferred: true,
      supports: ['optimized', 'non-optimized', 'standby', 'unavailable', 'transitioning'],
      status: 2,
      ports: [1, 2],
    },
    {
      group: 2,
      access: 'non-optimized',
      state: 1,
      preferred: false,
      supports: ['optimized', 'non-optimized', 'standby', 'unavailable', 'transitioning'],
      status: 1,
      ports: [3],
    },
  ]

  it('in both formats', () => {
    expect(decodePortGroups(vectors.portGroups)).toEqual({ groups, length: 32 })
    expect(decodePortGroups(vectors.portGroupsExtended)).toEqual({ groups, length: 36 })
  })

  it('leaves a cut group out', () => {
    expect(decodePortGroups(vectors.portGroups.subarray(0, 31))).toEqual({ groups: groups.slice(0, 1), length: 32 })
  })

  it('supports of a group are only what it names', () => {
    expect(decodePortGroups(bytes('00000008 00 51 0001 00 00 00 00')).groups[0]!.supports).toEqual(['optimized'])
  })

  it.each([
    [0, 'optimized'],
    [1, 'non-optimized'],
    [2, 'standby'],
    [3, 'unavailable'],
    [4, 'non-optimized'],
    [5, 'unavailable'],
    [14, 'unavailable'],
    [15, 'transitioning'],
  ])('state %i is %s', (state, access) => {
    expect(accessOf(state)).toBe(access)
  })

  it('finds the group of a port', () => {
    const found = decodePortGroups(vectors.portGroups).groups
    expect(groupOf(found, { relativePort: 3, portGroup: 1 })?.group).toBe(1)
    expect(groupOf(found, { relativePort: 3, portGroup: undefined })?.group).toBe(2)
    expect(groupOf(found, { relativePort: 3, portGroup: 9 })?.group).toBe(2)
    expect(groupOf(found, { relativePort: 9, portGroup: undefined })).toBeUndefined()
    expect(groupOf(found, { relativePort: undefined, portGroup: undefined })).toBeUndefined()
  })
})

describe('PERSISTENT RESERVE IN', () => {
  it('keys', () => {
    expect(reservations.decodeReservationKeys(vectors.reservationKeys)).toEqual({
      generation: 7,
      keys: ['0x0123456789abcdef', '0x00000000deadbeef'],
      length: 24,
    })
    expect(reservations.decodeReservationKeys(vectors.reservationKeys.subarray(0, 20))).toMatchObject({
      keys: ['0x0123456789abcdef'],
      length: 24,
    })
  })

  it('reservation', () => {
    expect(reservations.decodeReservation(vectors.reservation)).toEqual({
      generation: 7,
      held: { key: '0x0123456789abcdef', type: 5, scope: 0 },
    })
    expect(reservations.decodeReservation(bytes('00000008 00000000'))).toEqual({ generation: 8, held: undefined })
  })

  it('capabilities', () => {
    expect(reservations.decodeReservationCapabilities(vectors.reservationCapabilities)).toEqual({
      allPorts: true,
      persist: true,
      persistActive: true,
      compatible: true,
      replaceLost: false,
      types: [1, 3, 5, 6, 7, 8],
    })
    const set = ['80 00', '10 00', '04 00', '01 00', '00 01'].map((flags) => {
      const found = reservations.decodeReservationCapabilities(bytes(`0008 ${flags} ffff 0000`))
      return Object.entries(found).filter(([, value]) => value !== false)
    })
    expect(set).toEqual(
      ['replaceLost', 'compatible', 'allPorts', 'persist', 'persistActive'].map((name) =>
        expect.arrayContaining([
          [name, true],
          ['types', undefined],
        ]),
      ),
    )
    expect(set.map((entries) => entries.length)).toEqual([2, 2, 2, 2, 2])
    const types = ['0200', '0800', '2000', '4000', '8000', '0001'].map(
      (mask) => reservations.decodeReservationCapabilities(bytes(`0008 00 80 ${mask} 0000`)).types,
    )
    expect(types).toEqual(Object.values(ReservationType).map((type) => [type]))
    expect(Object.values(ReservationType)).toEqual([1, 3, 5, 6, 7, 8])
  })

  it('full status', () => {
    expect(reservations.decodeReservationStatus(vectors.reservationStatus)).toEqual({
      generation: 7,
      length: vectors.reservationStatus.length,
      registrants: [
        {
          key: '0x0123456789abcdef',
          holder: true,
          type: 5,
          scope: 0,
          allPorts: false,
          relativePort: 2,
          initiator: 'iqn.2026-11.io.x:h1,i,0x00023d000001',
        },
        {
          key: '0x00000000deadbeef',
          holder: false,
          type: 0,
          scope: 0,
          allPorts: true,
          relativePort: 1,
          initiator: 'iqn.2026-11.io.x:h2',
        },
      ],
    })
  })

  it('full status that is cut has its whole descriptors', () => {
    const counts = [31, 79, 80, 103, 127].map(
      (length) =>
        reservations.decodeReservationStatus(vectors.reservationStatus.subarray(0, length)).registrants.length,
    )
    expect(counts).toEqual([0, 0, 1, 1, 1])
    expect(reservations.decodeReservationStatus(vectors.reservationStatus.subarray(0, 90)).length).toBe(128)
  })

  it('full status of an initiator of another protocol', () => {
    const page = bytes('00000001 00000020 0000000000000001 00000000 00 00 00000000 0001 00000008 00000000 2100aabb')
    expect(reservations.decodeReservationStatus(page).registrants[0]!.initiator).toBe('000000002100aabb')
  })
})

describe('REPORT SUPPORTED OPERATION CODES', () => {
  it.each([
    ['00 00', 'unknown'],
    ['00 01', 'unsupported'],
    ['00 03 000a', 'supported'],
    ['00 85', 'vendor-specific'],
    ['00 06', 'unknown'],
  ])('%s is %s', (hex, support) => {
    expect(decodeCommandSupport(bytes(hex))).toBe(support)
  })
})
