import { BlockError } from '@blockbraid/core'
import { expect, test } from 'vitest'
import { Direction, Outcome } from '../../src/queue/command.ts'
import { dataIn, icResp, r2t, response, termReq } from '../support/controller-pdus.ts'
import { type Running, start, type TestQueue, testQueue } from '../support/queue.ts'

const page = (fill: number, length = 4096): Buffer => Buffer.alloc(length, fill)

interface Scene extends TestQueue {
  /** 8 KiB into `into`, which is zero before. */
  readonly read: Running
  readonly into: Buffer
  /** 8 KiB, none of which goes with the command. */
  readonly write: Running
  readonly flush: Running
}

function scene(options: Parameters<typeof testQueue>[0] = {}): Scene {
  const bed = testQueue(options)
  const into = page(0, 8192)
  const read = start(bed.queue, Direction.Read, into)
  const write = start(bed.queue, Direction.Write, page(9, 8192))
  const flush = start(bed.queue, Direction.None)
  bed.sent()
  return { ...bed, read, into, write, flush }
}

const ROWS: [string, (scene: Scene) => Buffer[], string, number][] = [
  [
    'success of a read with less data than asked',
    ({ read }) => [dataIn({ cid: read.cid }, page(1)), response({ cid: read.cid })],
    'success of a read of 8192 bytes, of which 4096 came',
    2,
  ],
  [
    'success of a read without any data',
    ({ read }) => [response({ cid: read.cid })],
    'success of a read of 8192 bytes, of which 0 came',
    2,
  ],
  [
    'SUCCESS with less data than asked',
    ({ read }) => [dataIn({ cid: read.cid, flags: 12 }, page(1))],
    'success of a read of 8192 bytes, of which 4096 came',
    2,
  ],
  [
    'SUCCESS without LAST_PDU',
    ({ read }) => [dataIn({ cid: read.cid, flags: 8 }, page(1, 8192))],
    'C2HData with SUCCESS and without LAST_PDU',
    1,
  ],
  [
    'success of a write that was not asked for',
    ({ write }) => [response({ cid: write.cid })],
    'success of a write of 8192 bytes, of which 0 were asked for',
    2,
  ],
  [
    'success of a write that was asked for in part',
    ({ write }) => [r2t({ cid: write.cid, length: 4096 }), response({ cid: write.cid })],
    'success of a write of 8192 bytes, of which 4096 were asked for',
    2,
  ],
  ['R2T of length 0', ({ write }) => [r2t({ cid: write.cid, length: 0 })], 'R2T for no bytes', 1],
  [
    'R2T past the end',
    ({ write }) => [r2t({ cid: write.cid, length: 8193 })],
    'R2T up to byte 8193 of a command of 8192 bytes',
    4,
  ],
  [
    'R2T of 4 GiB',
    ({ write }) => [r2t({ cid: write.cid, length: 0xffff_ffff })],
    'R2T up to byte 4294967295 of a command of 8192 bytes',
    4,
  ],
  [
    'R2T that leaves bytes out',
    ({ write }) => [r2t({ cid: write.cid, offset: 4096, length: 4096 })],
    'R2T at byte 4096 of a command of which 0 bytes were sent',
    4,
  ],
  ['R2T for a read', ({ read }) => [r2t({ cid: read.cid, length: 4096 })], 'R2T for a command that writes nothing', 1],
  [
    'R2T for a command without data',
    ({ flush }) => [r2t({ cid: flush.cid, length: 4096 })],
    'R2T for a command that writes nothing',
    1,
  ],
  ['R2T for an unknown CID', () => [r2t({ cid: 0x7f03, length: 4096 })], 'R2T for CID 32515, which no command has', 1],
  [
    'R2T while another is being served',
    ({ write }) => [r2t({ cid: write.cid, length: 4096 }), r2t({ cid: write.cid, offset: 4096, length: 4096 })],
    'R2T while another is being served',
    5,
  ],
  [
    'data for a write',
    ({ write }) => [dataIn({ cid: write.cid }, page(1))],
    'C2HData for a command that reads nothing',
    1,
  ],
  [
    'data for a command without data',
    ({ flush }) => [dataIn({ cid: flush.cid }, page(1))],
    'C2HData for a command that reads nothing',
    1,
  ],
  [
    'data for an unknown CID',
    () => [dataIn({ cid: 0xffff }, page(1))],
    'C2HData for CID 65535, which no command has',
    1,
  ],
  [
    'data past the end',
    ({ read }) => [
      dataIn({ cid: read.cid, flags: 0 }, page(1)),
      dataIn({ cid: read.cid, offset: 4096 }, page(2, 4100)),
    ],
    'C2HData up to byte 8196 of a command of 8192 bytes',
    4,
  ],
  [
    'data at the same offset twice',
    ({ read }) => [dataIn({ cid: read.cid, flags: 0 }, page(1)), dataIn({ cid: read.cid }, page(2))],
    'C2HData at byte 0 of a command, expected at 4096',
    4,
  ],
  [
    'data that leaves bytes out',
    ({ read }) => [dataIn({ cid: read.cid, offset: 4096, flags: 4 }, page(2))],
    'C2HData at byte 4096 of a command, expected at 0',
    4,
  ],
  [
    'a PDU of 4 GiB',
    ({ read }) => [dataIn({ cid: read.cid }, page(1), {}, { plen: 0xffff_ffff })],
    'C2HData with PLEN 4294967295; no command has more than 8192 bytes',
    1,
  ],
  [
    'PDO out of place',
    ({ read }) => [dataIn({ cid: read.cid }, page(1), {}, { pdo: 28 })],
    'C2HData with PDO 28, and not 24',
    1,
  ],
  [
    'a completion for an unknown CID',
    () => [response({ cid: 0x1234 })],
    'a completion for CID 4660, which no command has',
    1,
  ],
  [
    'a completion for CID FFFFh',
    () => [response({ cid: 0xffff })],
    'a completion for CID 65535, which no command has',
    1,
  ],
  [
    'a completion that was there before',
    ({ flush }) => [response({ cid: flush.cid }), response({ cid: flush.cid })],
    'a completion for CID',
    1,
  ],
  [
    'data behind a completion',
    ({ read }) => [response({ cid: read.cid, status: 0x281 }), dataIn({ cid: read.cid }, page(1))],
    'C2HData for CID',
    1,
  ],
  ['a second ICResp', () => [icResp()], 'ICResp after the connection was agreed on', 2],
]

test.each(ROWS)('%s: the queue is lost, its commands once, and the controller told', (_, bytes, reason, fes) => {
  const bed = scene()
  bed.receive(...bytes(bed))
  expect(bed.state.broken).toBeInstanceOf(BlockError)
  expect(bed.state.broken?.code).toBe('PROTOCOL')
  expect(bed.state.broken?.message).toContain(reason)
  for (const { ends } of [bed.read, bed.write, bed.flush]) {
    expect(ends.length).toBe(1)
    expect(ends[0]?.outcome === Outcome.Answered ? ends[0].status !== 0 || ends === bed.flush.ends : true).toBe(true)
  }
  expect(bed.write.ends[0]?.outcome).toBe(Outcome.Lost)
  const [said, ...more] = bed.sent()
  expect(more).toEqual([])
  expect(said).toMatchObject({ type: 2 })
  expect(said?.header.readUInt16LE(8)).toBe(fes)
  expect(bed.state.told).toBe(true)
  // Nothing is taken afterwards.
  bed.receive(dataIn({ cid: bed.read.cid }, page(0xee)), response({ cid: bed.read.cid }))
  expect(bed.into.includes(0xee)).toBe(false)
})

test('R2T below what was sent: the queue is lost', () => {
  const bed = scene()
  bed.receive(r2t({ cid: bed.write.cid, length: 4096 }))
  expect(bed.sent().length).toBe(1)
  bed.receive(r2t({ cid: bed.write.cid, length: 4096 }))
  expect(bed.state.broken?.message).toContain('R2T at byte 0 of a command of which 4096 bytes were sent')
  expect(bed.write.ends).toMatchObject([{ outcome: Outcome.Lost }])
})

test('data and a completion for a command that had the same place: the queue is lost, and the new one unharmed', () => {
  const { queue, sent, receive, state } = testQueue({ depth: 2 })
  const old = start(queue, Direction.Read, page(0))
  sent()
  receive(dataIn({ cid: old.cid, flags: 12 }, page(1)))
  const into = page(0)
  const now = start(queue, Direction.Read, into)
  sent()
  expect(now.cid).not.toBe(old.cid)
  receive(dataIn({ cid: old.cid, flags: 12 }, page(0xee)))
  expect(state.broken?.message).toContain(`C2HData for CID ${old.cid}, which no command has`)
  expect(into.includes(0xee)).toBe(false)
  expect(now.ends).toMatchObject([{ outcome: Outcome.Lost, received: 0 }])
})

test.each([
  ['header digest', { headerDigest: true }, { dataDigest: false }],
  ['data digest', { dataDigest: true }, { headerDigest: false }],
])('%s flag cleared though negotiated: the queue is lost', (name, connection, framing) => {
  const bed = scene({ connection })
  bed.receive(dataIn({ cid: bed.read.cid }, page(0xee, 8192), framing))
  expect(bed.state.broken?.message).toContain(`without the ${name} that was agreed on`)
  expect(bed.into.includes(0xee)).toBe(false)
})

test.each([
  [1, 'a field of a header is invalid'],
  [0x4444, 'fatal error status 4444h, which the standard does not have'],
])('a termination request with status %i: the queue is lost, and nothing said', (fes, words) => {
  const bed = scene()
  bed.receive(termReq(fes))
  expect(bed.state.broken?.message).toContain(words)
  expect(bed.state.told).toBe(false)
  expect(bed.sent()).toEqual([])
  for (const { ends } of [bed.read, bed.write, bed.flush]) expect(ends).toMatchObject([{ outcome: Outcome.Lost }])
})

test('a termination request with a bad PLEN: the queue is lost at once', () => {
  const bed = scene()
  bed.receive(termReq(1, 0, Buffer.alloc(0), 0x8000_0000).subarray(0, 8))
  expect(bed.state.broken?.message).toContain('a C2HTermReq with PLEN 2147483648')
})

test.each([
  ['MAXH2CDATA below 4096', icResp({ maxH2cData: 512 }), 'MAXH2CDATA 512'],
  ['a digest that was not asked for', icResp({ digests: 3 }), 'a digest that was not asked for'],
  ['an HTTP server', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 'a PDU of type 48h'],
])('%s: no command goes', (_, answer, words) => {
  const { queue, state, sent } = testQueue({ answer })
  const read = start(queue, Direction.Read, 512)
  expect(state.broken?.message).toContain(words)
  expect(sent().filter(({ type }) => type === 4)).toEqual([])
  expect(read.ends).toEqual([])
  queue.refuseWaiting()
  expect(read.ends).toMatchObject([{ outcome: Outcome.NotSent }])
})

test('payload that has not left is not sent any more once its command has ended', () => {
  const bed = testQueue()
  const data = page(9)
  const write = start(bed.queue, Direction.Write, data)
  // In the same turn, before anything of it has gone.
  bed.receive(response({ cid: 0x777 }))
  expect(write.ends).toMatchObject([{ outcome: Outcome.Lost }])
  data.fill(0xee)
  expect(bed.sent().map(({ type }) => type)).toEqual([2])
})

test('where the socket holds payload, no termination request is queued behind it', () => {
  const bed = testQueue()
  bed.wire.window = 100
  start(bed.queue, Direction.Write, page(9))
  bed.wire.outbox.flush()
  bed.receive(response({ cid: 0x777 }))
  expect(bed.state.told).toBe(false)
})

test('a controller that answers early answers no command twice', () => {
  const bed = testQueue()
  bed.wire.window = 100
  const write = start(bed.queue, Direction.Write, page(1))
  bed.wire.outbox.flush()
  bed.receive(response({ cid: write.cid }), response({ cid: write.cid }))
  expect(bed.state.broken?.message).toContain(`a second completion for CID ${write.cid}`)
  expect(write.ends).toMatchObject([{ outcome: Outcome.Lost }])
})
