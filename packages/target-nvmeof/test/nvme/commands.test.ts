import { describe, expect, it } from 'vitest'
import {
  abort,
  asyncEventRequest,
  crossControllerReset,
  getFeature,
  getLog,
  grantedQueues,
  identify,
  keepAlive,
  setFeature,
  setHostBehavior,
  setQueues,
} from '../../src/nvme/admin.ts'
import { submissionOf } from '../../src/nvme/ask.ts'
import type { NvmeRequest } from '../../src/nvme/command.ts'
import { authenticationReceive, authenticationSend, connect, propertyGet, propertySet } from '../../src/nvme/fabrics.ts'
import {
  compare,
  deallocate,
  flush,
  putFlush,
  putRange,
  RangeFlag,
  read,
  verify,
  write,
  writeZeroes,
} from '../../src/nvme/io.ts'
import {
  reservationAcquire,
  reservationRegister,
  reservationRelease,
  reservationReport,
} from '../../src/nvme/reserve.ts'

/** The dwords of an entry that are not zero. */
function dwords(sqe: Uint8Array): Record<number, string> {
  const view = new DataView(sqe.buffer, sqe.byteOffset, 64)
  const found: Record<number, string> = {}
  for (let at = 0; at < 16; at++) {
    const value = view.getUint32(4 * at, true)
    if (value !== 0) found[at] = value.toString(16)
  }
  return found
}

const built = (request: NvmeRequest): Record<number, string> => dwords(submissionOf(request).sqe as Uint8Array)
const block = new Uint8Array(512)

// By hand from the tables of NVMe Base 2.1 and NVM Command Set 1.1.
const vectors: [name: string, request: NvmeRequest, entry: Record<number, string>, data: number][] = [
  ['Property Get of 8 bytes', propertyGet(0, 8), { 0: '407f', 1: '4', 10: '1' }, 0],
  ['Property Get of 4 bytes', propertyGet(0x1c, 4), { 0: '407f', 1: '4', 11: '1c' }, 0],
  ['Property Set', propertySet(0x14, 0x460001), { 0: '407f', 11: '14', 12: '460001' }, 0],
  ['Authentication Send', authenticationSend(block), { 0: '407f', 1: '5', 10: 'e9010100', 11: '200' }, 512],
  ['Authentication Receive', authenticationReceive(96), { 0: '407f', 1: '6', 10: 'e9010100', 11: '60' }, 96],
  ['Identify', identify(3, 7), { 0: '4006', 1: '7', 10: '3' }, 4096],
  ['Get Log Page', getLog(0x0c, 4096), { 0: '4002', 1: 'ffffffff', 10: '3ff000c' }, 4096],
  [
    'Get Log Page, far, long, with its event kept',
    getLog(0x70, 0x50000, { offset: 2 ** 33 + 1024, keepEvent: true, nsid: 0 }),
    { 0: '4002', 10: '3fff8070', 11: '1', 12: '400', 13: '2' },
    0x50000,
  ],
  ['Get Log Page with a parameter', getLog(0x1e, 8, { parameter: 1 }), { 0: '4002', 1: 'ffffffff', 10: '1011e' }, 8],
  ['Get Features', getFeature(0x0f), { 0: '400a', 10: 'f' }, 0],
  ['Set Features', setFeature(0x0b, 0x8000_0900), { 0: '4009', 10: 'b', 11: '80000900' }, 0],
  ['Set Features, queues', setQueues(4), { 0: '4009', 10: '7', 11: '30003' }, 0],
  ['Set Features, host behaviour', setHostBehavior(), { 0: '4009', 10: '16' }, 512],
  ['Keep Alive', keepAlive(), { 0: '4018' }, 0],
  ['Asynchronous Event Request', asyncEventRequest(), { 0: '400c' }, 0],
  ['Abort', abort(1, 0xabcd), { 0: '4008', 10: 'abcd0001' }, 0],
  [
    'Cross-Controller Reset',
    crossControllerReset({ id: 0x1234, instance: 0xee, instanceRandom: '0123456789abcdef' }),
    { 0: '4038', 10: 'ee1234', 12: '89abcdef', 13: '1234567' },
    0,
  ],
  ['Read', read(9, { lba: 2 ** 40 + 5, blocks: 8 }, 4096), { 0: '4002', 1: '9', 10: '5', 11: '100', 12: '7' }, 4096],
  ['Write', write(9, { lba: 5, blocks: 1 }, block), { 0: '4001', 1: '9', 10: '5' }, 512],
  ['Write, durable', write(9, { lba: 5, blocks: 1 }, block, true), { 0: '4001', 1: '9', 10: '5', 12: '40000000' }, 512],
  ['Compare', compare(9, { lba: 0, blocks: 1 }, block), { 0: '4005', 1: '9' }, 512],
  ['Verify', verify(9, { lba: 0, blocks: 65536 }), { 0: '400c', 1: '9', 12: 'ffff' }, 0],
  ['Write Zeroes', writeZeroes(9, { lba: 1, blocks: 2 }), { 0: '4008', 1: '9', 10: '1', 12: '1' }, 0],
  [
    'Write Zeroes, deallocate',
    writeZeroes(9, { lba: 1, blocks: 2 }, true),
    { 0: '4008', 1: '9', 10: '1', 12: '2000001' },
    0,
  ],
  ['Flush', flush(9), { 0: '4000', 1: '9' }, 0],
  [
    'Dataset Management',
    deallocate(9, [
      { lba: 2 ** 33, blocks: 16 },
      { lba: 1, blocks: 2 },
    ]),
    { 0: '4009', 1: '9', 10: '1', 11: '4' },
    32,
  ],
  ['Reservation Register', reservationRegister(9, 0, { otherKey: '0x1' }), { 0: '400d', 1: '9' }, 16],
  [
    'Reservation Register, kept over a loss of power, whatever key',
    reservationRegister(9, 2, { ignoreKey: true, persist: true }),
    { 0: '400d', 1: '9', 10: 'c000000a' },
    16,
  ],
  ['Reservation Acquire', reservationAcquire(9, 1, { type: 4 }), { 0: '4011', 1: '9', 10: '401' }, 16],
  ['Reservation Release', reservationRelease(9, 0, { type: 4 }), { 0: '4015', 1: '9', 10: '400' }, 8],
  ['Reservation Report', reservationReport(9), { 0: '400e', 1: '9', 10: '3ff', 11: '1' }, 4096],
]

describe('a command', () => {
  it.each(vectors)('%s', (_name, request, entry, data) => {
    expect(built(request)).toEqual(entry)
    expect(typeof request.data === 'number' ? request.data : request.data.length).toBe(data)
  })

  it('Connect has the host, the subsystem and what the queue is to be', () => {
    const request = connect({
      queue: 2,
      entries: 128,
      keepAliveTimeout: 5000,
      controller: 0x1234,
      hostNqn: 'nqn.2014-08.org.nvmexpress:uuid:x',
      hostId: '00112233-4455-6677-8899-aabbccddeeff',
      subNqn: 'nqn.2026-11.io.blockbraid:array',
    })
    expect(built(request)).toEqual({ 0: '407f', 1: '1', 10: '20000', 11: '7f', 12: '1388' })
    const data = Buffer.from(request.data as Uint8Array)
    expect(data).toHaveLength(1024)
    expect(data.subarray(0, 18).toString('hex')).toBe('00112233445566778899aabbccddeeff3412')
    expect(data.toString('latin1', 256, 288).replaceAll('\0', '')).toBe('nqn.2026-11.io.blockbraid:array')
    expect(data.toString('latin1', 512, 546).replaceAll('\0', '')).toBe('nqn.2014-08.org.nvmexpress:uuid:x')
    expect(data.subarray(18, 256).every((byte) => byte === 0)).toBe(true)
    expect(data.subarray(768).every((byte) => byte === 0)).toBe(true)
  })

  it('Dataset Management has its ranges in its data', () => {
    const { data } = deallocate(9, [
      { lba: 2 ** 33 + 1, blocks: 16 },
      { lba: 3, blocks: 2 ** 32 - 1 },
    ])
    expect(Buffer.from(data as Uint8Array).toString('hex')).toBe(
      '00000000' + '10000000' + '0100000002000000' + '00000000' + 'ffffffff' + '0300000000000000',
    )
  })

  it('has keys little-endian', () => {
    const { data } = reservationAcquire(1, 1, { key: '0x1', otherKey: '0x0123456789abcdef' })
    expect(Buffer.from(data as Uint8Array).toString('hex')).toBe('0100000000000000' + 'efcdab8967452301')
  })

  it('is the same where it is written into an entry that was used before', () => {
    const used = new Uint8Array(64).fill(0xff)
    const entry = (put: (out: Uint8Array) => void): Record<number, string> => {
      used.fill(0xff)
      put(used)
      used.fill(0, 2, 4)
      used.fill(0, 24, 40)
      return dwords(used)
    }
    const { Fua } = RangeFlag
    expect(entry((out) => putRange(out, 1, 9, 2 ** 40 + 5, 8, Fua))).toEqual(
      built(write(9, { lba: 2 ** 40 + 5, blocks: 8 }, block, true)),
    )
    expect(entry((out) => putFlush(out, 9))).toEqual(built(flush(9)))
  })

  it.each([
    ['no blocks', () => read(1, { lba: 0, blocks: 0 }, 0), 'blocks: 0 is not an integer from 1 to 65536'],
    ['too many blocks', () => verify(1, { lba: 0, blocks: 65537 }), 'blocks: 65537 is not an integer from 1 to 65536'],
    ['a block below 0', () => flush(-1), 'nsid: -1 is not an integer from 0 to 4294967295'],
    ['no ranges', () => deallocate(1, []), 'ranges: 0 are not from 1 to 256'],
    ['an odd length', () => getLog(1, 6), 'length: 6 is no multiple of 4 above 0'],
    ['an odd offset', () => getLog(1, 4, { offset: 2 }), 'offset: 2 is no multiple of 4'],
    ['a bad key', () => reservationRegister(1, 0, { key: '12' }), 'key: 12 is not 0x and 1 to 16 hex digits'],
    ['no queues', () => setQueues(0), 'count: -1 is not an integer from 0 to 65534'],
    [
      'a bad random number',
      () => crossControllerReset({ id: 1, instance: 1, instanceRandom: 'x' }),
      'instanceRandom is x; it must be 16 hex digits',
    ],
    [
      'a long NQN',
      () =>
        connect({
          queue: 0,
          entries: 32,
          controller: 1,
          hostNqn: 'n'.repeat(224),
          hostId: '0'.repeat(32),
          subNqn: 'n',
        }),
      'hostNqn has 224 bytes; an NQN has 1 to 223',
    ],
    [
      'a bad host identifier',
      () => connect({ queue: 0, entries: 32, controller: 1, hostNqn: 'n', hostId: 'x', subNqn: 'n' }),
      'hostId is x; it must be a UUID',
    ],
  ])('with %s is a TypeError', (_name, build, message) => {
    expect(build).toThrow(new TypeError(message))
  })
})

it('as many queues are granted as have both halves', () => {
  expect(grantedQueues(0x0003_0007)).toBe(4)
  expect(grantedQueues(0x0007_0003)).toBe(4)
  expect(grantedQueues(0)).toBe(1)
})
