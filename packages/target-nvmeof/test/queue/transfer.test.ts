import { expect, test } from 'vitest'
import { Direction, Outcome } from '../../src/queue/command.ts'
import { dataIn, icResp, r2t, response } from '../support/controller-pdus.ts'
import { start, testQueue } from '../support/queue.ts'

const page = (fill: number, length = 4096): Buffer => Buffer.alloc(length, fill)
const pattern = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, at) => (at * 7) & 255))

test('a connection begins with ICReq, and commands wait for its answer', () => {
  const { queue, sent, receive } = testQueue({ answer: null })
  const read = start(queue, Direction.Read, 512)
  const [icReq, ...more] = sent()
  expect(more).toEqual([])
  expect(icReq?.header.toString('hex')).toBe(`0000800080000000${'00'.repeat(120)}`)
  receive(icResp())
  const [command] = sent()
  expect(command?.type).toBe(4)
  receive(dataIn({ cid: command?.cid as number, flags: 12 }, page(5, 512)))
  expect(read.ends).toMatchObject([{ outcome: Outcome.Answered, status: 0, received: 512, data: page(5, 512) }])
})

test('a read ends with its completion, or with data that stands for it', () => {
  const { queue, sent, receive } = testQueue()
  const one = start(queue, Direction.Read, 8192)
  const two = start(queue, Direction.Read, page(0))
  const pdus = sent()
  expect(pdus.map(({ type, header, pdo }) => [type, header.length, pdo])).toEqual([
    [4, 72, 0],
    [4, 72, 0],
  ])
  // PSDT, and a transport data block descriptor.
  expect(pdus[0]?.sqe[1]).toBe(0x40)
  expect(pdus[0]?.sqe.toString('hex', 24, 40)).toBe('0000000000000000002000000000005a')
  receive(
    dataIn({ cid: one.cid, flags: 0 }, page(1)),
    dataIn({ cid: two.cid, flags: 12 }, page(2)),
    dataIn({ cid: one.cid, offset: 4096, flags: 4 }, page(3)),
  )
  expect(two.ends).toMatchObject([{ outcome: Outcome.Answered, status: 0, data: page(2) }])
  expect(one.ends).toEqual([])
  receive(response({ cid: one.cid, result: 7 }))
  expect(one.ends).toMatchObject([{ status: 0, result: 7, data: Buffer.concat([page(1), page(3)]) }])
})

test('a small write goes with its command, a larger one as it is asked for', () => {
  const { queue, sent, receive, state } = testQueue()
  const small = start(queue, Direction.Write, page(1))
  const data = pattern(20_000)
  const large = start(queue, Direction.Write, data)
  const [first, second] = sent()
  expect(first?.pdo).toBe(72)
  expect(first?.sqe.toString('hex', 24, 40)).toBe('00000000000000000010000000000001')
  expect(first?.data).toEqual(page(1))
  expect(second?.data.length).toBe(0)
  expect(second?.sqe.toString('hex', 24, 40)).toBe('0000000000000000204e00000000005a')
  receive(response({ cid: small.cid }))
  expect(small.ends).toMatchObject([{ outcome: Outcome.Answered, status: 0 }])
  receive(r2t({ cid: large.cid, tag: 77, length: 12_000 }))
  const asked = sent()
  expect(asked.map(({ type, flags, header }) => [type, flags, header.toString('hex', 8, 20)])).toEqual([
    [6, 0, `${hex16(large.cid)}4d000000000000200000`],
    [6, 4, `${hex16(large.cid)}4d0000200000e00e0000`],
  ])
  receive(r2t({ cid: large.cid, tag: 78, offset: 12_000, length: 8000 }))
  const rest = sent()
  expect(Buffer.concat([...asked, ...rest].map((pdu) => pdu.data))).toEqual(data)
  receive(response({ cid: large.cid }))
  expect(large.ends).toMatchObject([{ outcome: Outcome.Answered, status: 0 }])
  expect(state.broken).toBeUndefined()
})

test('data of a fabrics command goes with it whatever the queue takes', () => {
  const { queue, sent } = testQueue({ inCapsule: 0 })
  start(queue, Direction.Write, page(1, 1024), { opcode: 0x7f })
  start(queue, Direction.Write, page(1, 512))
  expect(sent().map(({ data }) => data.length)).toEqual([1024, 0])
})

test('no more commands go than the queue has room for, and the next goes as soon as one has ended', () => {
  const { queue, sent, receive } = testQueue({ depth: 4 })
  const running = Array.from({ length: 6 }, () => start(queue, Direction.None))
  const [first, second, third, ...none] = sent()
  expect(none).toEqual([])
  receive(response({ cid: second?.cid as number }), response({ cid: third?.cid as number, sqHead: 3 }))
  const later = sent()
  expect(later.length).toBe(2)
  receive(...[first, ...later].map((pdu) => response({ cid: pdu?.cid as number })))
  expect(sent().length).toBe(1)
  expect(running.map(({ ends }) => ends.length)).toEqual([1, 1, 1, 1, 1, 0])
})

test('a CID comes back late, and is never FFFFh', () => {
  const { queue, sent, receive } = testQueue({ depth: 4 })
  const seen: number[] = []
  for (let count = 0; count < 70_000; count++) {
    const { cid } = start(queue, Direction.None)
    sent()
    receive(response({ cid }))
    seen.push(cid)
  }
  expect(new Set(seen.slice(0, 49_152)).size).toBe(49_152)
  expect(seen.includes(0xffff)).toBe(false)
})

test.each([
  [true, false],
  [false, true],
  [true, true],
])('header digest %s, data digest %s, alignment both ways', (headerDigest, dataDigest) => {
  const framing = { headerDigest, dataDigest, align: 64 }
  const answer = icResp({ digests: (headerDigest ? 1 : 0) | (dataDigest ? 2 : 0), cpda: 31 })
  const { queue, sent, receive } = testQueue({ connection: framing, answer })
  const write = start(queue, Direction.Write, pattern(1000))
  const large = start(queue, Direction.Write, pattern(5000))
  const read = start(queue, Direction.Read, 1000)
  const pdus = sent()
  expect(pdus[0]?.pdo).toBe(128)
  expect(pdus[0]?.data).toEqual(pattern(1000))
  receive(r2t({ cid: large.cid, length: 5000 }, framing))
  const [data] = sent()
  expect(data?.pdo).toBe(128)
  expect(data?.data).toEqual(pattern(5000))
  receive(
    dataIn({ cid: read.cid, flags: 12 }, pattern(1000), framing),
    response({ cid: large.cid }, framing),
    response({ cid: write.cid }, framing),
  )
  for (const { ends } of [write, large, read]) expect(ends).toMatchObject([{ outcome: Outcome.Answered, status: 0 }])
  expect(read.ends[0]?.data).toEqual(pattern(1000))
})

test('the status of a completion is what the controller says, data or not', () => {
  const { queue, sent, receive } = testQueue()
  const read = start(queue, Direction.Read, page(0, 512))
  const write = start(queue, Direction.Write, page(0, 8192))
  sent()
  receive(response({ cid: read.cid, status: 0x281 }), response({ cid: write.cid, status: 0x4080 }))
  expect(read.ends).toMatchObject([{ outcome: Outcome.Answered, status: 0x281, received: 0 }])
  expect(write.ends).toMatchObject([{ outcome: Outcome.Answered, status: 0x4080 }])
})

test('data whose digest is wrong ends its command with Transient Transport Error, and no other', () => {
  const framing = { dataDigest: true }
  const { queue, receive, state } = testQueue({ connection: framing })
  const one = start(queue, Direction.Read, 512)
  const two = start(queue, Direction.Read, 512)
  const wrong = dataIn({ cid: one.cid, flags: 12 }, page(1, 512), framing)
  wrong[100] = 9
  receive(wrong, dataIn({ cid: two.cid, flags: 12 }, page(2, 512), framing))
  expect(one.ends).toMatchObject([{ outcome: Outcome.Answered, status: 0x22 }])
  expect(two.ends).toMatchObject([{ outcome: Outcome.Answered, status: 0 }])
  expect(state.broken).toBeUndefined()
})

test('a read that may come short says how much came', () => {
  const { queue, receive } = testQueue()
  const log = start(queue, Direction.Read, page(0), { atMost: true })
  receive(dataIn({ cid: log.cid }, page(3, 100)), response({ cid: log.cid }))
  expect(log.ends).toMatchObject([{ outcome: Outcome.Answered, status: 0, received: 100 }])
})

test('a write that is answered before its data has left ends when it has', () => {
  const { queue, wire, receive } = testQueue()
  wire.window = 100
  const write = start(queue, Direction.Write, page(1))
  wire.outbox.flush()
  receive(response({ cid: write.cid }))
  expect(write.ends).toEqual([])
  expect(queue.hasEarly).toBe(true)
  queue.endEarly()
  expect(write.ends).toEqual([])
  wire.window = 10_000
  queue.endEarly()
  expect(write.ends).toMatchObject([{ outcome: Outcome.Answered, status: 0 }])
  expect(queue.hasEarly).toBe(false)
})

function hex16(value: number): string {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes.toString('hex')
}
