import { once } from 'node:events'
import { Socket } from 'node:net'
import { systemClock } from '@blockbraid/core'
import { closeFd, socketPair } from '@blockbraid/linux'
import { afterEach, expect, it } from 'vitest'
import type { InputSlab, WireSink } from '../src/index.ts'
import { DescriptorWire, InputPool, InputWindow, letGo, OutboxPool } from '../src/index.ts'
import { log } from './support.ts'

const open: (() => void)[] = []

afterEach(() => {
  for (const close of open.splice(0).reverse()) close()
})

/** Wires that are read into one window, each with a socket at its other end. */
function bed() {
  const inputs = new InputPool(4)
  const outputs = new OutboxPool(4)
  const window = new InputWindow(inputs)
  let over = 0
  const shared = { clock: systemClock, window, outputs, over: () => over++ }
  const join = (sink: WireSink): { wire: DescriptorWire; other: Socket } => {
    const [a, b] = socketPair()
    const wire = new DescriptorWire(a, shared)
    const other = new Socket({ fd: b, allowHalfOpen: true })
    other.on('error', () => {})
    wire.sink = sink
    open.push(
      () => wire.destroy(),
      () => other.destroy(),
    )
    return { wire, other }
  }
  return { inputs, outputs, window, join, over: () => over }
}

it('what comes is heard in order, FIN behind it; and it ends in order with all that was given', async () => {
  const { join, outputs, over } = bed()
  const heard = log()
  const { wire, other } = join(heard)
  other.end('hello')
  await expect.poll(() => heard.said).toEqual(['hello', 'finished'])
  const views = Array.from({ length: 3000 }, (_, i) => Buffer.alloc(1000, i % 251))
  for (const view of views) wire.outbox.attach(view)
  wire.end()
  expect([wire.outbox.position - wire.outbox.left > 0, over()]).toEqual([true, 0])
  const received: Buffer[] = []
  for await (const chunk of other) received.push(chunk)
  expect(Buffer.concat(received).equals(Buffer.concat(views))).toBe(true)
  expect(heard.said).toEqual(['hello', 'finished', 'closed in order'])
  expect([over(), outputs.outstanding]).toEqual([1, 0])
})

it('there is news when what waited has left, and none where all leaves at once', async () => {
  const { wire, other } = bed().join(log())
  let news = 0
  wire.outbox.onLeft = () => news++
  wire.outbox.attach(Buffer.alloc(1000))
  wire.outbox.flush()
  expect([wire.outbox.left, news]).toEqual([1000, 0])
  wire.outbox.attach(Buffer.alloc(2 ** 21))
  wire.outbox.flush()
  expect(wire.outbox.left).toBeLessThan(2 ** 21 + 1000)
  other.resume()
  await expect.poll(() => wire.outbox.left).toBe(2 ** 21 + 1000)
  await expect.poll(() => news).toBeGreaterThan(0)
})

it('nothing is read while it is paused, and then 64 KiB at first', async () => {
  const sizes: number[] = []
  const sink = { ...log(), bytes: (_: Buffer, start: number, end: number) => void sizes.push(end - start) }
  const { wire, other } = bed().join(sink)
  wire.pause()
  other.write(Buffer.alloc(150_000))
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(sizes).toEqual([])
  wire.resume()
  await expect.poll(() => sizes.reduce((sum, size) => sum + size, 0)).toBe(150_000)
  expect(sizes[0]).toBe(65536)
})

it('what one wire holds no other overwrites, and when it is let go of the memory is used again', async () => {
  const { join, inputs, window } = bed()
  const held: { slab: InputSlab; view: Buffer; byte: number }[] = []
  const others = Array.from({ length: 4 }, (_, number) => {
    const { wire, other } = join({
      ...log(),
      bytes: (chunk, start, end) => {
        // Every other piece is kept.
        if (held.length % 2 === number % 2)
          held.push({ slab: wire.hold(), view: chunk.subarray(start, end), byte: number })
      },
    })
    return other
  })
  for (let round = 0; round < 200; round++) {
    for (const [number, other] of others.entries()) other.write(Buffer.alloc(1 + ((round * 977) % 40_000), number))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await expect.poll(() => held.length).toBeGreaterThan(100)
  for (const { view, byte } of held) expect(view.equals(Buffer.alloc(view.length, byte))).toBe(true)
  for (const other of others) other.destroy()
  for (const { slab } of held) letGo(slab)
  window.close()
  expect(inputs.outstanding).toBe(0)
})

it('an end by the other side that lost something is told as an error, once', async () => {
  const heard = log()
  const { wire, other } = bed().join(heard)
  wire.outbox.attach(Buffer.from('never read'))
  wire.outbox.flush()
  await new Promise((resolve) => setImmediate(resolve))
  other.destroy()
  await once(other, 'close')
  await expect.poll(() => heard.said).toEqual([expect.stringMatching(/^(closed ECONNRESET|finished)$/)])
})

it('a write that fails is told at the end of the turn, not inside of it', async () => {
  const [a, b] = socketPair()
  const inputs = new InputPool(1)
  const wire = new DescriptorWire(a, {
    clock: systemClock,
    window: new InputWindow(inputs),
    outputs: new OutboxPool(1),
  })
  const heard = log()
  wire.sink = heard
  closeFd(b)
  wire.outbox.attach(Buffer.from('x'))
  wire.outbox.flush()
  expect(heard.said).toEqual([])
  await Promise.resolve()
  expect(heard.said).toEqual(['closed EPIPE'])
})

it('after destroy nothing is heard, and what waited is dropped', async () => {
  const { join, outputs, over } = bed()
  const heard = log()
  const { wire, other } = join(heard)
  const at = wire.outbox.reserve(4)
  wire.outbox.bytes.write('said', at)
  wire.outbox.attach(Buffer.alloc(2 ** 21))
  wire.outbox.flush()
  other.write('hello')
  wire.destroy()
  wire.destroy()
  await new Promise((resolve) => setTimeout(resolve, 10))
  expect(heard.said).toEqual([])
  expect([outputs.outstanding, over()]).toEqual([0, 1])
})
