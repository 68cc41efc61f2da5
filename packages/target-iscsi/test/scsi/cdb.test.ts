import { describe, expect, it } from 'vitest'
import type { ScsiCommand } from '../../src/scsi/cdb.ts'
import * as cdb from '../../src/scsi/cdb.ts'
import {
  persistentReserveIn,
  persistentReserveOut,
  ReservationType,
  ReserveIn,
  ReserveOut,
} from '../../src/scsi/reserve.ts'

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** What a function writes into a dirty buffer at offset 3, and that it writes nowhere else. */
function put(fill: (out: Uint8Array, at: number) => void): string {
  const out = new Uint8Array(22).fill(0xee)
  fill(out, 3)
  expect(hex(out.subarray(0, 3))).toBe('eeeeee')
  expect(hex(out.subarray(19))).toBe('eeeeee')
  return hex(out.subarray(3, 19))
}

describe('I/O commands', () => {
  it.each([
    ['READ(10)', cdb.READ, false, false, 0x01020304, 0x0506, '28000102030400050600000000000000'],
    ['READ(10) with FUA', cdb.READ, false, true, 0xffffffff, 1, '2808ffffffff00000100000000000000'],
    ['WRITE(10)', cdb.WRITE, false, false, 8, 0xffff, '2a000000000800ffff00000000000000'],
    ['READ(16)', cdb.READ, true, false, 0x1_8000_0000, 8, '88000000000180000000000000080000'],
    ['READ(16) of the last block', cdb.READ, true, false, 2 ** 53 - 1, 1, '8800001fffffffffffff000000010000'],
    ['WRITE(16) with FUA', cdb.WRITE, true, true, 2 ** 44 - 1, 0x10000, '8a0800000fffffffffff000100000000'],
  ])('%s', (_name, op, long, fua, lba, blocks, expected) => {
    expect(put((out, at) => cdb.putReadWrite(out, at, op, long, fua, lba, blocks))).toBe(expected)
  })

  it.each([
    [false, 0, 0xffff],
    [false, 2 ** 32 - 8, 8],
    [true, 2 ** 32 - 8, 9],
    [true, 2 ** 32, 1],
    [true, 0, 0x10000],
  ])('long form: %s for %i + %i', (long, lba, blocks) => {
    expect(cdb.needsLong(lba, blocks)).toBe(long)
  })

  it('SYNCHRONIZE CACHE', () => {
    expect(put((out, at) => cdb.putSyncCache(out, at, false))).toBe('35'.padEnd(32, '0'))
    expect(put((out, at) => cdb.putSyncCache(out, at, true))).toBe('91'.padEnd(32, '0'))
    check(cdb.syncCache(), '35000000000000000000', 0)
    check(cdb.syncCache(true), '91'.padEnd(32, '0'), 0)
  })

  it('WRITE SAME', () => {
    const { Unmap, NoData } = cdb.WriteSameFlag
    expect(put((out, at) => cdb.putWriteSame(out, at, false, Unmap, 0x10, 0x200))).toBe(
      '41080000001000020000000000000000',
    )
    expect(put((out, at) => cdb.putWriteSame(out, at, true, Unmap | NoData, 0x1_0000_0000, 0x10000))).toBe(
      '93090000000100000000000100000000',
    )
  })

  it.each([
    [false, 0],
    [false, 0x10000],
    [true, 0],
    [true, 2 ** 32],
    [true, Number.NaN],
  ])('WRITE SAME never goes to the end of the medium (long: %s, %d blocks)', (long, blocks) => {
    const out = new Uint8Array(16)
    expect(() => cdb.putWriteSame(out, 0, long, 0, 0, blocks)).toThrow(TypeError)
  })

  it('UNMAP', () => {
    const ranges = [
      { lba: 0x1_0000_0002, blocks: 3 },
      { lba: 4, blocks: 0xffff_ffff },
    ]
    const command = cdb.unmap(ranges)
    expect(hex(command.cdb)).toBe('42000000000000002800')
    expect(command.data).toBeInstanceOf(Uint8Array)
    expect(hex(command.data as Uint8Array)).toBe(
      '0026002000000000' + '00000001000000020000000300000000' + '0000000000000004ffffffff00000000',
    )
    expect(put((out, at) => cdb.putUnmap(out, at, 2))).toBe('42000000000000002800000000000000')
    const dirty = new Uint8Array(40).fill(0xee)
    cdb.putUnmapHead(dirty, 0, 2)
    ranges.forEach(({ lba, blocks }, index) => {
      cdb.putUnmapRange(dirty, 0, index, lba, blocks)
    })
    expect(dirty).toEqual(command.data)
    expect(cdb.unmapLength(cdb.MAX_UNMAP_RANGES)).toBeLessThan(0x10000)
    expect(cdb.unmapLength(cdb.MAX_UNMAP_RANGES + 1)).toBeGreaterThan(0xffff)
    expect(() => cdb.unmap(new Array(4096).fill({ lba: 0, blocks: 1 }))).toThrow(/ranges: 4096/)
  })
})

function check(command: ScsiCommand, bytes: string, data: number | string): void {
  expect(hex(command.cdb)).toBe(bytes)
  expect(typeof command.data === 'number' ? command.data : hex(command.data)).toBe(data)
}

describe('control commands', () => {
  it.each<[string, ScsiCommand, string, number | string]>([
    ['TEST UNIT READY', cdb.testUnitReady(), '000000000000', 0],
    ['INQUIRY', cdb.inquiry(), '12000000ff00', 255],
    ['INQUIRY of a page', cdb.inquiry(0x83, 0x1234), '120183123400', 0x1234],
    ['INQUIRY of page 0', cdb.inquiry(0, 252), '12010000fc00', 252],
    ['REPORT LUNS', cdb.reportLuns(0x12345), 'a00000000000000123450000', 0x12345],
    ['READ CAPACITY(10)', cdb.readCapacity10(), '25000000000000000000', 8],
    ['READ CAPACITY(16)', cdb.readCapacity16(), '9e100000000000000000000000200000', 32],
    ['MODE SENSE(6)', cdb.modeSense6(0x08), '1a080800ff00', 255],
    ['MODE SENSE(10)', cdb.modeSense10(cdb.ModePageCode.All, 0x200), '5a083f00000000020000', 0x200],
    ['REPORT TARGET PORT GROUPS', cdb.reportTargetPortGroups(0x400), 'a30a00000000000004000000', 0x400],
    [
      'SET TARGET PORT GROUPS',
      cdb.setTargetPortGroups([
        { group: 1, state: 0 },
        { group: 0x102, state: 2 },
      ]),
      'a40a000000000000000c0000',
      '00000000' + '00000001' + '02000102',
    ],
    ['REPORT SUPPORTED OPERATION CODES', cdb.reportSupportedOpcode(0x42), 'a30c01420000000000400000', 64],
    [
      'REPORT SUPPORTED OPERATION CODES of an action',
      cdb.reportSupportedOpcode(0x9e, 0x10),
      'a30c029e0010000000400000',
      64,
    ],
    ['PERSISTENT RESERVE IN, keys', persistentReserveIn(ReserveIn.ReadKeys, 0x1234), '5e000000000000123400', 0x1234],
    ['PERSISTENT RESERVE IN, status', persistentReserveIn(ReserveIn.ReadFullStatus), '5e030000000000200000', 8192],
    [
      'PERSISTENT RESERVE OUT, register',
      persistentReserveOut(ReserveOut.Register, { serviceKey: '0xABCDEF', persist: true, allPorts: true }),
      '5f000000000000001800',
      '0000000000000000' + '0000000000abcdef' + '00000000' + '05000000',
    ],
    [
      'PERSISTENT RESERVE OUT, preempt',
      persistentReserveOut(ReserveOut.Preempt, {
        key: '0xfedcba9876543210',
        serviceKey: '0x1',
        type: ReservationType.ExclusiveAccessRegistrants,
      }),
      '5f040600000000001800',
      'fedcba9876543210' + '0000000000000001' + '00000000' + '00000000',
    ],
  ])('%s', (_name, command, bytes, data) => {
    check(command, bytes, data)
  })

  it.each<[string, () => unknown]>([
    ['length', () => cdb.inquiry(0, 65536)],
    ['length', () => cdb.reportLuns(-1)],
    ['length', () => cdb.modeSense6(8, 256)],
    ['page', () => cdb.modeSense10(0x40)],
    ['state', () => cdb.setTargetPortGroups([{ group: 0, state: 16 }])],
    ['group', () => cdb.setTargetPortGroups([{ group: 65536, state: 0 }])],
    ['opcode', () => cdb.reportSupportedOpcode(1.5)],
    ['action', () => persistentReserveIn(32)],
    ['serviceAction', () => cdb.reportSupportedOpcode(0x9e, 65536)],
    ['length', () => persistentReserveIn(0, 65536)],
    ['key', () => persistentReserveOut(0, { key: '12' })],
    ['serviceKey', () => persistentReserveOut(0, { serviceKey: '0x11112222333344445' })],
    ['type', () => persistentReserveOut(1, { type: 16 })],
  ])('a wrong %s is a TypeError that names it', (field, build) => {
    expect(build).toThrow(TypeError)
    expect(build).toThrow(new RegExp(`^${field}: `))
  })
})
