import type { Socket } from 'node:net'
import { expect, it } from 'vitest'
import { Output, SlabPool } from '../src/transmission/output.ts'

/** A socket that takes writes and finishes them when told. */
function slowSocket(): { socket: Socket; taken: Buffer[]; finish(): void } {
  const taken: Buffer[] = []
  const callbacks: (() => void)[] = []
  const socket = {
    cork() {},
    uncork() {},
    write(bytes: Buffer, callback?: () => void) {
      taken.push(bytes)
      if (callback !== undefined) callbacks.push(callback)
      return true
    },
  }
  return { socket: socket as unknown as Socket, taken, finish: () => callbacks.shift()?.() }
}

function append(out: Output, text: string): void {
  const at = out.reserve(text.length)
  out.bytes.write(text, at, 'latin1')
}

it('a slab with a reply that is not flushed is not given back when an earlier flush finishes', () => {
  const { socket, taken, finish } = slowSocket()
  const slabs = new SlabPool(4)
  const one = new Output(socket, slabs, () => {})
  const other = new Output(slowSocket().socket, slabs, () => {})
  append(one, 'first')
  one.flush()
  append(one, 'second')
  one.attach(Buffer.from('view'))
  finish()
  append(other, 'XXXXXXXXXXXXXXXX')
  one.flush()
  expect(Buffer.concat(taken).toString()).toBe('firstsecondview')
  expect([one.unsent, slabs.outstanding]).toEqual([10, 2])
  finish()
  expect([one.unsent, slabs.outstanding]).toEqual([0, 1])
})

it('replies that fill several slabs all go out, and every slab comes back', () => {
  const { socket, taken, finish } = slowSocket()
  const slabs = new SlabPool(1)
  const out = new Output(socket, slabs, () => {})
  const text = Array.from({ length: 40 }, (_, i) => String.fromCharCode(65 + i).repeat(30_000))
  for (const part of text.slice(0, 20)) append(out, part)
  out.flush()
  for (const part of text.slice(20)) append(out, part)
  out.flush()
  expect(Buffer.concat(taken).toString('latin1')).toBe(text.join(''))
  expect(slabs.outstanding).toBeGreaterThan(4)
  finish()
  finish()
  expect([out.unsent, slabs.outstanding]).toEqual([0, 0])
})

it('what is dropped before a flush gives its slabs back, what was flushed keeps them until the socket is done', () => {
  const { socket, finish } = slowSocket()
  const slabs = new SlabPool(1)
  const out = new Output(socket, slabs, () => {})
  append(out, 'flushed')
  out.flush()
  for (let i = 0; i < 20; i++) append(out, 'x'.repeat(30_000))
  out.drop()
  expect([out.unsent, slabs.outstanding]).toEqual([7, 1])
  finish()
  expect([out.unsent, slabs.outstanding]).toEqual([0, 0])
})
