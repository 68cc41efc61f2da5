import { createRandom } from '@blockbraid/testkit'
import { crc32c } from '@blockbraid/wire'
import { expect, test } from 'vitest'
import { HEADER_LENGTH, padding } from '../../src/pdu/opcode.ts'
import type { OutboxSocket } from '../../src/session/outbox.ts'
import { Outbox } from '../../src/session/outbox.ts'
import { Direction } from '../../src/session/task.ts'
import { start } from './commands.ts'
import { fakeSession, pdu, turn } from './support.ts'

/** A socket that keeps the very views that it was given until `take` lets them go. */
function slowSocket() {
  const held: Uint8Array[] = []
  const socket = {
    destroyed: false,
    get writableLength() {
      return held.reduce((sum, { length }) => sum + length, 0)
    },
    cork() {},
    uncork() {},
    write(bytes: Uint8Array) {
      held.push(bytes)
      return false
    },
  }
  return {
    socket: socket as unknown as OutboxSocket & { destroyed: boolean },
    held,
    take: () => Buffer.concat(held.splice(0)),
  }
}

function clockOf() {
  const jobs: (() => void)[] = []
  const clock = {
    now: () => 0,
    after: () => ({ cancel() {} }),
    defer: (job: () => void) => void jobs.push(job),
  }
  const run = (): void => {
    for (const job of jobs.splice(0)) job()
  }
  return { clock, run, jobs }
}

test.each([
  [false, false],
  [true, false],
  [false, true],
  [true, true],
])('header digest %s, data digest %s: what leaves is what was put in, however slow the socket', (header, data) => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  const random = createRandom(seed)
  const pick = (count: number): number => Math.floor(random() * count)
  const { clock, run } = clockOf()
  const { socket, take } = slowSocket()
  const outbox = new Outbox(socket, clock)
  outbox.useDigests(header, data)
  const expected: Buffer[] = []
  const left: Buffer[] = []
  let length = 0
  const put = (bytes: Buffer): void => {
    expected.push(bytes)
    length += bytes.length
  }
  const digest = (bytes: Buffer): Buffer => {
    const out = Buffer.alloc(4)
    out.writeUInt32LE(crc32c(bytes))
    return out
  }
  for (let count = 0; count < 5000; count++) {
    const at = outbox.begin()
    const head = Buffer.alloc(HEADER_LENGTH, pick(256))
    head.copy(outbox.slab, at)
    put(head)
    if (header) put(digest(head))
    if (pick(2) === 0) outbox.end(at)
    else {
      const views = Array.from({ length: 1 + pick(3) }, () => Buffer.alloc(1 + pick(300), pick(256)))
      const all = Buffer.concat(views)
      const offset = pick(all.length)
      const count = 1 + pick(all.length - offset)
      outbox.endWith(at, views, offset, count)
      const payload = Buffer.concat([all.subarray(offset, offset + count), Buffer.alloc(padding(count))])
      put(payload)
      if (data) put(digest(payload))
    }
    expect(outbox.position, `seed ${seed}`).toBe(length)
    if (pick(5) === 0) run()
    // What waits in the socket is held as views: headers that are written now must not change it.
    if (pick(40) === 0) left.push(take())
    expect(outbox.flushed, `seed ${seed}`).toBe(left.reduce((sum, one) => sum + one.length, 0))
    if (left.length > 100) left.push(Buffer.concat(left.splice(0)))
  }
  run()
  left.push(take())
  expect(Buffer.concat(left).equals(Buffer.concat(expected)), `seed ${seed}`).toBe(true)
  expect(outbox.flushed).toBe(length)
})

test('one flush for all of a turn, in order; a destroyed socket gets nothing', () => {
  const { clock, run, jobs } = clockOf()
  const { socket, held } = slowSocket()
  const outbox = new Outbox(socket, clock)
  for (let count = 0; count < 10; count++) {
    const at = outbox.begin()
    outbox.slab.fill(count, at, at + HEADER_LENGTH)
    outbox.end(at)
  }
  expect(jobs.length).toBe(1)
  run()
  expect(held.length).toBe(1)
  socket.destroyed = true
  outbox.begin()
  run()
  expect(held.length).toBe(1)
})

test('bytes that the standard does not want are zero in every header, though the slab is used again', async () => {
  const { wire, session } = fakeSession({ initialR2T: true, immediateData: false })
  for (let round = 0; round < 3; round++) {
    const write = start(session, Direction.Write, { data: Buffer.alloc(2048, 0xff) })
    const none = start(session, Direction.None)
    await turn()
    const commands = wire.sent()
    expect(commands.map(({ header }) => header.subarray(2, 8).toString('hex'))).toEqual([
      '000000000000',
      '000000000000',
    ])
    wire.receive(pdu({ opcode: 0x31, tag: write.tag, transferTag: 9, word44: 2048 }))
    await turn()
    const [out] = wire.sent()
    expect(out?.header.subarray(1, 5).toString('hex')).toBe('80000000')
    expect(out?.header.readUInt32BE(24)).toBe(0)
    expect(out?.header.readUInt32BE(32)).toBe(0)
    expect(out?.header.readUInt32BE(44)).toBe(0)
    wire.receive(pdu({ opcode: 0x21, tag: write.tag }), pdu({ opcode: 0x21, tag: none.tag }))
  }
})

test('a write buffer is free only when its bytes have left: the data of each R2T counts', async () => {
  const { wire, session } = fakeSession({ initialR2T: true, immediateData: false })
  const { tag, ends } = start(session, Direction.Write, { data: Buffer.alloc(4096) })
  await turn()
  wire.receive(pdu({ opcode: 0x31, tag, transferTag: 9, word44: 4096 }))
  // Not even given to the socket yet.
  wire.receive(pdu({ opcode: 0x21, tag }))
  expect(ends).toEqual([])
  wire.writableLength = 1
  await turn()
  await new Promise((resolve) => setTimeout(resolve, 10))
  expect(ends).toEqual([])
  wire.writableLength = 0
  await expect.poll(() => ends.length).toBe(1)
})

test('a session that ends while a write waits for its bytes to leave ends it at once, and only then', async () => {
  const { wire, session } = fakeSession()
  const { tag, ends } = start(session, Direction.Write, { data: Buffer.alloc(2048) })
  wire.writableLength = 100
  await turn()
  wire.receive(pdu({ opcode: 0x21, tag }))
  expect(ends).toEqual([])
  wire.receive(pdu({ opcode: 0x2a }))
  expect(ends.length).toBe(1)
  // Nothing of the socket refers to the buffer any more.
  expect(wire.destroyed).toBe(true)
})
