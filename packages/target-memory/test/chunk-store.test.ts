import { createRandom, randomInt } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import { CHUNK } from '../src/chunk.ts'
import { ChunkStore } from '../src/chunk-store.ts'

const BLOCK = 512

function cut(random: () => number, bytes: Uint8Array): Uint8Array[] {
  const views: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const run = Math.min(bytes.length - at, 1 + Math.floor(random() * bytes.length))
    views.push(bytes.subarray(at, at + run))
    at += run
  }
  return views
}

it('agrees with flat memory over random operations', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = createRandom(seed)
    const size = 5 * CHUNK + 3 * BLOCK
    const flat = new Uint8Array(size)
    const store = new ChunkStore()
    // Far out, so that table and chunk numbers are past 2 ** 31.
    const base = seed % 2 === 0 ? 0 : 2 ** 52
    for (let step = 0; step < 200; step++) {
      const offset = Math.floor(random() * (size / BLOCK)) * BLOCK
      const length = Math.min(size - offset, (1 + Math.floor(random() ** 3 * 400)) * BLOCK)
      const kind = random()
      if (kind < 0.4) {
        const data = new Uint8Array(length).fill(1 + Math.floor(random() * 255))
        flat.set(data, offset)
        store.write(base + offset, cut(random, data))
      } else if (kind < 0.6) {
        flat.fill(0, offset, offset + length)
        store.zero(base + offset, length, random() < 0.3)
      } else if (kind < 0.8) {
        const data = new Uint8Array(length).fill(0xee)
        store.read(base + offset, cut(random, data))
        expect(Buffer.compare(data, flat.subarray(offset, offset + length)), `seed ${seed}, step ${step}`).toBe(0)
      } else {
        const data = Buffer.concat(store.views(base + offset, length))
        expect(Buffer.compare(data, flat.subarray(offset, offset + length)), `seed ${seed}, step ${step}`).toBe(0)
      }
    }
    let at = 0
    let data = 0
    for (const extent of store.extents(base, size)) {
      const part = flat.subarray(at, at + extent.length)
      if (extent.zero)
        expect(
          part.every((byte) => byte === 0),
          `seed ${seed}, extent at ${at}`,
        ).toBe(true)
      if (!extent.hole) data += extent.length
      at += extent.length
    }
    expect(at, `seed ${seed}`).toBe(size)
    expect(Math.ceil(data / CHUNK) * CHUNK, `seed ${seed}`).toBe(store.allocated)
    store.zero(base, size, false)
    expect(store.allocated, `seed ${seed}`).toBe(0)
  }
})

it('frees a chunk that has become zero piece by piece, and keeps it when told to', () => {
  const store = new ChunkStore()
  store.write(0, [new Uint8Array(2 * CHUNK).fill(1)])
  for (let at = 0; at < CHUNK; at += 4096) store.zero(at, 4096, false)
  expect(store.allocated).toBe(CHUNK)
  store.zero(CHUNK, CHUNK, true)
  expect(store.allocated).toBe(CHUNK)
  store.zero(4 * CHUNK, 2 * CHUNK, true)
  expect(store.allocated).toBe(3 * CHUNK)
  expect(store.extents(0, 8 * CHUNK)).toEqual([
    { length: CHUNK, hole: true, zero: true },
    { length: CHUNK, hole: false, zero: false },
    { length: 2 * CHUNK, hole: true, zero: true },
    { length: 2 * CHUNK, hole: false, zero: false },
    { length: 2 * CHUNK, hole: true, zero: true },
  ])
})

it('answers in part where a range has very many extents', () => {
  const store = new ChunkStore()
  for (let n = 0; n < 3000; n++) store.write(2 * n * CHUNK, [new Uint8Array([1])])
  const extents = store.extents(0, 6000 * CHUNK)
  expect(extents.length).toBe(4096)
  expect(extents.reduce((sum, { length }) => sum + length, 0)).toBe(4096 * CHUNK)
})

it('walks chunks in the order of their numbers, within a range', () => {
  const store = new ChunkStore()
  const random = createRandom(7)
  const numbers = new Set(Array.from({ length: 50 }, () => randomInt(random, 10_000)))
  for (const n of numbers) store.write(n * CHUNK, [new Uint8Array([1])])
  const sorted = [...numbers].sort((a, b) => a - b)
  expect([...store.chunks()].map(([n]) => n)).toEqual(sorted)
  const some = sorted.filter((n) => n >= 2000 && n < 5000)
  expect([...store.chunks(2000 * CHUNK, 3000 * CHUNK)].map(([n]) => n)).toEqual(some)
})
