import { createRandom, randomInt } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import { Outbox, OutboxPool } from '../src/index.ts'

/** A socket that keeps the very views that it was given, and lets one write leave when told; `quick` takes all at once. */
function slowSocket() {
  const held: { bytes: Uint8Array; left: (() => void) | undefined }[] = []
  const taken: Buffer[] = []
  const socket = {
    destroyed: false,
    quick: false,
    corked: false,
    writes: 0,
    get writableLength() {
      return held.reduce((sum, { bytes }) => sum + bytes.length, 0)
    },
    cork() {
      socket.corked = true
      socket.writes++
    },
    uncork() {
      socket.corked = false
    },
    write(bytes: Uint8Array, left?: () => void) {
      if (!socket.corked) socket.writes++
      held.push({ bytes, left })
      if (socket.quick) leave()
      return socket.quick
    },
  }
  const leave = (count = held.length): void => {
    for (const { bytes, left } of held.splice(0, count)) {
      taken.push(Buffer.from(bytes))
      left?.()
    }
  }
  return { socket, taken, leave, text: () => Buffer.concat(taken).toString('latin1') }
}

function bed(keep = 4) {
  const jobs: (() => void)[] = []
  const clock = { now: () => 0, after: () => ({ cancel() {} }), defer: (job: () => void) => void jobs.push(job) }
  const pool = new OutboxPool(keep)
  const slow = slowSocket()
  const turn = (): void => {
    for (const job of jobs.splice(0)) job()
  }
  return { ...slow, pool, jobs, turn, outbox: new Outbox(slow.socket, pool, clock) }
}

function append(out: Outbox, text: string): void {
  const at = out.reserve(text.length)
  out.bytes.write(text, at, 'latin1')
}

it('what is put in during a turn leaves in one write at its end, in order', () => {
  const { outbox, socket, jobs, turn, leave, text } = bed()
  append(outbox, 'head')
  outbox.attach(Buffer.from('payload'))
  append(outbox, 'tail')
  outbox.attach(Buffer.from('more'))
  expect([jobs.length, socket.writes]).toEqual([1, 0])
  turn()
  // One of the content; the other one is empty, and asks when it has left.
  expect(socket.writes).toBeLessThanOrEqual(2)
  leave()
  expect(text()).toBe('headpayloadtailmore')
})

it('small writes that leave at once use the same memory and the same views again: no garbage', () => {
  const { outbox, socket, pool } = bed()
  socket.quick = true
  const seen = new Set<Uint8Array>()
  const { write } = socket
  socket.write = (bytes, left) => {
    seen.add(bytes)
    return write(bytes, left)
  }
  for (let count = 0; count < 100; count++) {
    append(outbox, count % 2 === 0 ? 'x'.repeat(48) : 'y'.repeat(96))
    outbox.flush()
  }
  expect(seen.size).toBe(2)
  expect(pool.outstanding).toBe(0)
})

it('at rest there is no slab; while bytes wait in the socket there is', () => {
  const { outbox, pool, leave } = bed()
  append(outbox, 'first')
  outbox.flush()
  expect([pool.outstanding, outbox.position, outbox.left]).toEqual([1, 5, 0])
  leave()
  expect([pool.outstanding, outbox.position, outbox.left]).toEqual([0, 5, 5])
})

it('a slab with bytes that are not flushed is not given back when an earlier flush has left', () => {
  const { outbox, pool, leave, text } = bed()
  const other = new Outbox(slowSocket().socket, pool, { now: () => 0, after: () => ({ cancel() {} }), defer() {} })
  append(outbox, 'first')
  outbox.flush()
  append(outbox, 'second')
  outbox.attach(Buffer.from('view'))
  leave()
  append(other, 'XXXXXXXXXXXXXXXX')
  outbox.flush()
  leave()
  expect(text()).toBe('firstsecondview')
  expect(pool.outstanding).toBe(1)
})

it('what fills several slabs all goes out, and every slab comes back, the first ones before the last has left', () => {
  const { outbox, pool, leave, text } = bed(1)
  const parts = Array.from({ length: 40 }, (_, i) => String.fromCharCode(65 + i).repeat(30_000))
  for (const part of parts.slice(0, 20)) append(outbox, part)
  outbox.flush()
  for (const part of parts.slice(20)) append(outbox, part)
  outbox.flush()
  const all = pool.outstanding
  expect(all).toBeGreaterThan(4)
  leave(3)
  expect(pool.outstanding).toBeLessThan(all)
  expect(pool.outstanding).toBeGreaterThan(0)
  leave()
  expect(text()).toBe(parts.join(''))
  expect([outbox.position - outbox.left, pool.outstanding]).toEqual([0, 0])
})

it('there is news when what was held back has left, also of a single small write, and none where all leaves at once', () => {
  const { outbox, socket, leave } = bed()
  let news = 0
  outbox.onLeft = () => news++
  socket.quick = true
  append(outbox, 'at once')
  outbox.flush()
  expect(news).toBe(0)
  socket.quick = false
  append(outbox, 'held back')
  outbox.flush()
  expect(news).toBe(0)
  leave()
  expect([news, outbox.left]).toEqual([1, outbox.position])
})

it('what is dropped before a flush gives its slabs back, what was flushed keeps them until it has left', () => {
  const { outbox, pool, leave, text } = bed(1)
  append(outbox, 'flushed')
  outbox.flush()
  for (let i = 0; i < 20; i++) append(outbox, 'x'.repeat(30_000))
  outbox.drop()
  expect([outbox.position - outbox.left, pool.outstanding]).toEqual([7, 1])
  leave()
  expect([text(), outbox.position - outbox.left, pool.outstanding]).toEqual(['flushed', 0, 0])
})

it('a socket that was destroyed gets nothing, and what was put in is dropped', () => {
  const { outbox, socket, pool } = bed()
  socket.destroyed = true
  append(outbox, 'gone')
  outbox.flush()
  expect([socket.writes, pool.outstanding, outbox.position]).toEqual([0, 0, 0])
})

it('whatever the socket takes and when: what leaves is what was put in', () => {
  const random = createRandom(Math.floor(Math.random() * 2 ** 31))
  const { outbox, pool, socket, turn, leave, taken } = bed(2)
  const expected: Buffer[] = []
  let length = 0
  for (let count = 0; count < 5000; count++) {
    const bytes = Buffer.alloc(1 + randomInt(random, 3000), randomInt(random, 256))
    expected.push(bytes)
    length += bytes.length
    if (random() < 0.5) outbox.attach(bytes)
    else {
      const at = outbox.reserve(bytes.length)
      outbox.bytes.set(bytes, at)
    }
    expect(outbox.position).toBe(length)
    if (random() < 0.2) turn()
    if (random() < 0.05) socket.quick = !socket.quick
    if (random() < 0.1) leave(randomInt(random, 5))
    // What waits in the socket is held as views: what is written now must not change it.
    expect(outbox.left).toBeLessThanOrEqual(outbox.position)
  }
  turn()
  leave()
  expect(Buffer.concat(taken).equals(Buffer.concat(expected))).toBe(true)
  expect([outbox.left, pool.outstanding]).toEqual([length, 0])
})
