import { crc32c } from '@blockbraid/wire'
import { expect, test } from 'vitest'
import { padding } from '../../src/pdu/opcode.ts'
import type { Task } from '../../src/session/task.ts'
import { Direction } from '../../src/session/task.ts'
import { fakeSession, pdu } from './support.ts'

const DATA_IN = 0x25
const MOST = 64

/** A read that brings no buffers, answered in Data-In of `size` bytes, which come in chunks of `chunk` bytes. */
function read(length: number, size: number, chunk: number, digests: boolean) {
  const { wire, session, state } = fakeSession({ headerDigest: digests, dataDigest: digests })
  let retained = 0
  wire.retain = () => void retained++
  const task = session.take() as Task
  task.owner = session
  task.direction = Direction.Read
  task.length = length
  task.lends = true
  let views: readonly Uint8Array[] = []
  task.done = ({ buffers }) => {
    views = buffers
  }
  session.send(task)
  const content = Buffer.from(Array.from({ length }, (_, at) => (at * 7 + (at >> 8)) % 251))
  const parts: Buffer[] = []
  for (let at = 0; at < length; at += size) {
    const data = content.subarray(at, at + size)
    const last = at + size >= length
    const bytes = pdu({ opcode: DATA_IN, flags: last ? 0x81 : 0, tag: task.tag, word40: at, data })
    parts.push(digests ? withDigests(bytes, data.length) : bytes)
  }
  const stream = Buffer.concat(parts)
  // Later bytes overwrite what was not retained, as they do in a slab.
  for (let at = 0; at < stream.length; at += chunk) {
    const before = retained
    const bytes = Buffer.from(stream.subarray(at, at + chunk))
    wire.sink?.bytes(bytes, 0, bytes.length)
    if (retained === before) bytes.fill(0xee)
  }
  return { content, views, retained, lost: state.lost }
}

function withDigests(bytes: Buffer, length: number): Buffer {
  const digest = (part: Buffer): Buffer => {
    const sum = Buffer.alloc(4)
    sum.writeUInt32LE(crc32c(part))
    return sum
  }
  const header = bytes.subarray(0, 48)
  const data = bytes.subarray(48, 48 + length + padding(length))
  return Buffer.concat([header, digest(header), data, digest(data)])
}

test.each([false, true])('a read has few views, however small its pieces are, with digests: %s', (digests) => {
  for (const size of [1, 2, 3, 7, 48, 100, 511, 512, 513, 1000, 4096, 8192]) {
    for (const chunk of [1 + size, 52, 4096, 1 << 24]) {
      const { content, views, retained, lost } = read(16_384, size, chunk, digests)
      expect(lost).toBeUndefined()
      expect(views.length).toBeLessThanOrEqual(MOST)
      expect(retained).toBeLessThan(MOST)
      expect(Buffer.concat(views).equals(content)).toBe(true)
    }
  }
})

test('a megabyte in pieces of one byte is one buffer of a megabyte, and not a million views', () => {
  const { content, views, retained } = read(1 << 20, 1, 65_536, false)
  expect(views.length).toBeLessThanOrEqual(5)
  expect(retained).toBeLessThanOrEqual(4)
  expect(Buffer.concat(views).equals(content)).toBe(true)
})

test('what comes in large pieces is not copied', () => {
  const { views, retained } = read(1 << 18, 8192, 1 << 24, false)
  expect(views.map(({ length }) => length)).toEqual(Array(32).fill(8192))
  expect(retained).toBe(32)
})
