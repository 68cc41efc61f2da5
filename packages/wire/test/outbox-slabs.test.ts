import { systemHost } from '@blockbraid/core'
import { expect, it } from 'vitest'
import { Outbox, OutboxPool, type OutboxSocket } from '../src/index.ts'

/** A socket that takes writes and finishes them when told. */
function slowSocket(): { socket: OutboxSocket; taken: Uint8Array[]; finish(): void } {
  const taken: Uint8Array[] = []
  const waiting: { bytes: number; left: (() => void) | undefined }[] = []
  let corked: number | undefined
  const socket = {
    writableLength: 0,
    destroyed: false,
    cork() {
      corked = waiting.length
    },
    uncork() {
      // One write: its parts finish together.
      const parts = waiting.splice(corked ?? 0)
      corked = undefined
      waiting.push({ bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0), left: parts.at(-1)?.left })
    },
    write(bytes: Uint8Array, left?: () => void) {
      taken.push(bytes)
      socket.writableLength += bytes.length
      waiting.push({ bytes: bytes.length, left })
      return false
    },
  }
  const finish = (): void => {
    // What follows without bytes of its own is there only to be told.
    do {
      const { bytes, left } = waiting.shift() ?? { bytes: 0, left: undefined }
      socket.writableLength -= bytes
      left?.()
    } while (waiting[0]?.bytes === 0)
  }
  return { socket, taken, finish }
}

const outbox = (socket: OutboxSocket, slabs: OutboxPool): Outbox => new Outbox(socket, slabs, systemHost.clock)
const unsent = (out: Outbox): number => out.position - out.left

function append(out: Outbox, text: string): void {
  const at = out.reserve(text.length)
  out.bytes.write(text, at, 'latin1')
}

it('a slab with a reply that is not flushed is not given back when an earlier flush finishes', () => {
  const { socket, taken, finish } = slowSocket()
  const slabs = new OutboxPool(4)
  const one = outbox(socket, slabs)
  const other = outbox(slowSocket().socket, slabs)
  append(one, 'first')
  one.flush()
  append(one, 'second')
  one.attach(Buffer.from('view'))
  finish()
  append(other, 'XXXXXXXXXXXXXXXX')
  one.flush()
  expect(Buffer.concat(taken).toString()).toBe('firstsecondview')
  expect([unsent(one), slabs.outstanding]).toEqual([10, 2])
  finish()
  expect([unsent(one), slabs.outstanding]).toEqual([0, 1])
})

it('replies that fill several slabs all go out, and every slab comes back', () => {
  const { socket, taken, finish } = slowSocket()
  const slabs = new OutboxPool(1)
  const out = outbox(socket, slabs)
  const text = Array.from({ length: 40 }, (_, i) => String.fromCharCode(65 + i).repeat(30_000))
  for (const part of text.slice(0, 20)) append(out, part)
  out.flush()
  for (const part of text.slice(20)) append(out, part)
  out.flush()
  expect(Buffer.concat(taken).toString('latin1')).toBe(text.join(''))
  expect(slabs.outstanding).toBeGreaterThan(4)
  finish()
  finish()
  expect([unsent(out), slabs.outstanding]).toEqual([0, 0])
})

it('what is dropped before a flush gives its slabs back, what was flushed keeps them until the socket is done', () => {
  const { socket, finish } = slowSocket()
  const slabs = new OutboxPool(1)
  const out = outbox(socket, slabs)
  append(out, 'flushed')
  out.flush()
  for (let i = 0; i < 20; i++) append(out, 'x'.repeat(30_000))
  out.drop()
  expect([unsent(out), slabs.outstanding]).toEqual([7, 1])
  finish()
  expect([unsent(out), slabs.outstanding]).toEqual([0, 0])
})
