import { put16le, put32le, put64le } from '@blockbraid/wire'
import { describe, expect, it } from 'vitest'
import { anaGroupOf, anaLogLength, decodeAnaLog } from '../../src/nvme/ana.ts'
import { decodeDiscoveryHeader, decodeDiscoveryRecords } from '../../src/nvme/discovery-log.ts'
import { decodeErrorLog } from '../../src/nvme/error-log.ts'
import { decodeEvent } from '../../src/nvme/event.ts'
import { decodeReservations } from '../../src/nvme/reservations.ts'
import { decodeResetLog } from '../../src/nvme/reset-log.ts'
import { decodeSmartLog } from '../../src/nvme/smart-log.ts'
import { anaLog, discoveryHead, discoveryRecord, resetLog } from './layouts.ts'

describe('the ANA log', () => {
  const log = anaLog(
    [
      { id: 1, state: 1, namespaces: [1, 4] },
      { id: 2, state: 2 },
      { id: 3, state: 3, namespaces: [7] },
      { id: 4, state: 4 },
      { id: 5, state: 15 },
    ],
    9,
  )

  it('is read group by group', () => {
    const { changes, groups } = decodeAnaLog(log)
    expect(changes).toBe('0000000000000009')
    expect(groups.map(({ id, access, namespaces }) => [id, access, namespaces])).toEqual([
      [1, 'optimized', [1, 4]],
      [2, 'non-optimized', []],
      [3, 'standby', [7]],
      [4, 'unavailable', []],
      [5, 'transitioning', []],
    ])
  })

  it('has the group of a namespace, by its lists or by the number of the group', () => {
    const decoded = decodeAnaLog(log)
    expect(anaGroupOf(decoded, 4)?.id).toBe(1)
    expect(anaGroupOf(decoded, 9, 2)?.id).toBe(2)
    expect(anaGroupOf(decoded, 7, 2)?.id).toBe(3)
    expect(anaGroupOf(decoded, 9, 8)).toBeUndefined()
  })

  it('says how much of it there is, however little has come', () => {
    for (let cut = 16; cut < log.length; cut++) {
      const length = anaLogLength(log.subarray(0, cut))
      expect(length).toBeGreaterThan(cut)
      expect(length).toBeLessThanOrEqual(log.length)
      expect(() => decodeAnaLog(log.subarray(0, cut))).toThrow(`an ANA log of ${cut} bytes ends before its last group`)
    }
    expect(anaLogLength(log)).toBe(log.length)
    expect(anaLogLength(new Uint8Array([...log, 1, 2, 3, 4]))).toBe(log.length)
  })

  it.each([
    ['groups', (bytes: Uint8Array) => put16le(bytes, 8, 0xffff), /^an ANA log of \d+ bytes is longer than 131072$/],
    [
      'namespaces',
      (bytes: Uint8Array) => put32le(bytes, 20, 0xffff_ffff),
      /^an ANA log of \d+ bytes is longer than 131072$/,
    ],
    ['states', (bytes: Uint8Array) => bytes.fill(9, 32, 33), /^ANA group 1 has the state 9; it must be 1 to 4, or 15$/],
  ])('with absurd %s is refused', (_name, break_, message) => {
    const bytes = log.slice()
    break_(bytes)
    expect(() => decodeAnaLog(bytes)).toThrow(message)
  })
})

describe('the discovery log', () => {
  it('has a head and records of any transport', () => {
    expect(decodeDiscoveryHeader(discoveryHead(7, 3))).toEqual({
      generation: '0000000000000007',
      records: 3,
      format: 0,
    })
    const bytes = Buffer.concat([
      discoveryRecord(),
      discoveryRecord({ transport: 1, family: 2, address: '::1', service: '4421' }),
      discoveryRecord({ type: 1, subNqn: 'nqn.2014-08.org.nvmexpress.discovery', service: '8009' }),
    ])
    expect(decodeDiscoveryRecords(bytes)).toMatchObject([
      { transport: 3, family: 1, type: 2, address: '127.0.0.1', service: '4420', controller: 0xffff },
      { transport: 1, family: 2, type: 2, address: '::1', service: '4421' },
      { transport: 3, type: 1, service: '8009', subNqn: 'nqn.2014-08.org.nvmexpress.discovery' },
    ])
  })

  it('that is cut ends with its last whole record', () => {
    expect(decodeDiscoveryRecords(discoveryRecord().subarray(0, 1023))).toEqual([])
    expect(() => decodeDiscoveryHeader(new Uint8Array(17))).toThrow('a discovery log of 17 bytes is too short')
  })

  it('has texts that can be shown, whatever they are', () => {
    const [record] = decodeDiscoveryRecords(new Uint8Array(1024).fill(0x07))
    expect(record?.address).toBe('?'.repeat(256))
  })
})

describe('the error log', () => {
  it('has the entries that are in use', () => {
    const bytes = new Uint8Array(192)
    put64le(bytes, 0, 5)
    put16le(bytes, 8, 1)
    put16le(bytes, 10, 0x77)
    put16le(bytes, 12, 0x4002 << 1)
    put16le(bytes, 14, 0x0328)
    put64le(bytes, 16, 99)
    put32le(bytes, 24, 1)
    put64le(bytes, 64, 4)
    put16le(bytes, 64 + 14, 0xffff)
    expect(decodeErrorLog(bytes)).toMatchObject([
      { count: 5, queue: 1, cid: 0x77, status: 0x4002, byte: 0x28, bit: 3, lba: 99, nsid: 1 },
      { count: 4, byte: undefined, bit: undefined },
    ])
  })
})

describe('the SMART log', () => {
  it('is read, its counters too where they are long', () => {
    const bytes = new Uint8Array(512)
    bytes[0] = 0b1001
    put16le(bytes, 1, 300)
    bytes[3] = 90
    bytes[5] = 3
    bytes[32 + 8] = 1
    put64le(bytes, 128, 1234)
    expect(decodeSmartLog(bytes)).toMatchObject({
      critical: 9,
      warnings: ['spare capacity is low', 'media is read only'],
      temperature: 27,
      spare: 90,
      used: 3,
      unitsRead: 2 ** 64,
      powerOnHours: 1234,
    })
    expect(() => decodeSmartLog(bytes.subarray(1))).toThrow('a SMART log of 511 bytes is too short')
  })
})

describe('the log of cross-controller resets', () => {
  it('has a state that is proven, or none', () => {
    const log = resetLog(
      { id: 1, instance: 2, state: 0 },
      { id: 3, instance: 4, state: 1 },
      { id: 5, instance: 6, state: 7 },
    )
    expect(decodeResetLog(log)).toEqual([
      { id: 1, instance: 2, state: 'running' },
      { id: 3, instance: 4, state: 'done' },
      { id: 5, instance: 6, state: 'failed' },
    ])
  })

  it('with an absurd count has the entries that are there', () => {
    const log = resetLog({ id: 1, instance: 2, state: 1 })
    put16le(log, 0, 0xffff)
    expect(decodeResetLog(log)).toHaveLength(1)
    expect(decodeResetLog(new Uint8Array(65536).fill(0xff))).toHaveLength(255)
  })
})

describe('a reservation report', () => {
  it('is read in both forms', () => {
    const bytes = new Uint8Array(192)
    put32le(bytes, 0, 7)
    bytes.set([4, 2, 0, 0, 0, 1], 4)
    put16le(bytes, 64, 1)
    bytes[66] = 1
    bytes.set([0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01], 72)
    bytes.fill(0xaa, 80, 96)
    put16le(bytes, 128, 2)
    expect(decodeReservations(bytes)).toEqual({
      generation: 7,
      type: 4,
      count: 2,
      persist: true,
      registrants: [
        { controller: 1, holder: true, key: '0x0123456789abcdef', hostId: 'aa'.repeat(16) },
        { controller: 2, holder: false, key: '0x0000000000000000', hostId: '00'.repeat(16) },
      ],
    })
    const short = new Uint8Array(48)
    short.set([4, 1], 4)
    put64le(short, 32, 5)
    put64le(short, 40, 6)
    expect(decodeReservations(short, false).registrants).toEqual([
      { controller: 0, holder: false, key: '0x0000000000000006', hostId: '0000000000000005' },
    ])
  })

  it('with an absurd count has the registrants that came', () => {
    const bytes = new Uint8Array(128)
    bytes.set([1, 0xff, 0xff], 4)
    expect(decodeReservations(bytes)).toMatchObject({ count: 65535, registrants: [{ controller: 0 }] })
  })
})

describe('an asynchronous event', () => {
  it.each([
    [0x0004_0002, 'namespaces', 0x04, 'namespaces changed'],
    [0x000c_0302, 'ana', 0x0c, 'access states changed'],
    [0x0070_f002, 'discovery', 0x70, 'the discovery log changed'],
    [0x001e_f402, 'reset', 0x1e, 'a cross-controller reset has ended'],
    [0x0001_0300, 'error', 0x01, 'a persistent internal error'],
    [0x0000_6300, 'error', 0x01, 'an error, code 99'],
    [0x0002_0101, 'smart', 0x02, 'temperature out of bounds'],
    [0x0080_0006, 'other', 0x80, 'an event of type 6, code 0'],
    [0xffff_ffff, 'other', 0xff, 'an event of type 7, code 255'],
  ])('%s is read', (result, kind, log, text) => {
    expect(decodeEvent(result)).toEqual({ kind, log, text })
  })
})
