import { createRandom } from '@blockbraid/testkit'
import type { OutboxSocket } from '@blockbraid/wire'
import { crc32c, Outbox, OutboxPool } from '@blockbraid/wire'
import { expect, test } from 'vitest'
import { HEADER_LENGTH, padding } from '../../src/pdu/opcode.ts'
import { PduWriter } from '../../src/pdu/writer.ts'

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
      if (bytes.length > 0) held.push(bytes)
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
  const outbox = new Outbox(socket, new OutboxPool(1), clock)
  const writer = new PduWriter(outbox)
  writer.useDigests(header, data)
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
    const at = writer.begin()
    const head = Buffer.alloc(HEADER_LENGTH, pick(256))
    head.copy(writer.bytes, at)
    put(head)
    if (header) put(digest(head))
    if (pick(2) === 0) writer.end(at)
    else {
      const views = Array.from({ length: 1 + pick(3) }, () => Buffer.alloc(1 + pick(300), pick(256)))
      const all = Buffer.concat(views)
      const offset = pick(all.length)
      const count = 1 + pick(all.length - offset)
      writer.endWith(at, views, offset, count)
      const payload = Buffer.concat([all.subarray(offset, offset + count), Buffer.alloc(padding(count))])
      put(payload)
      if (data) put(digest(payload))
    }
    expect(outbox.position, `seed ${seed}`).toBe(length)
    if (pick(5) === 0) run()
    // What waits in the socket is held as views: headers that are written now must not change it.
    if (pick(40) === 0) left.push(take())
    expect(outbox.left, `seed ${seed}`).toBe(left.reduce((sum, one) => sum + one.length, 0))
    if (left.length > 100) left.push(Buffer.concat(left.splice(0)))
  }
  run()
  left.push(take())
  expect(Buffer.concat(left).equals(Buffer.concat(expected)), `seed ${seed}`).toBe(true)
  expect(outbox.left).toBe(length)
})

test('one flush for all of a turn, in order; a destroyed socket gets nothing', () => {
  const { clock, run, jobs } = clockOf()
  const { socket, held } = slowSocket()
  const outbox = new Outbox(socket, new OutboxPool(1), clock)
  const writer = new PduWriter(outbox)
  for (let count = 0; count < 10; count++) {
    const at = writer.begin()
    writer.bytes.fill(count, at, at + HEADER_LENGTH)
    writer.end(at)
  }
  expect(jobs.length).toBe(1)
  run()
  expect(held.length).toBe(1)
  socket.destroyed = true
  writer.begin()
  run()
  expect(held.length).toBe(1)
})
