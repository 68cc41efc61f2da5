import { readSync, writeSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { closeFd, mapMemory, Ring, socketPair } from '../src/index.ts'
import { fill, NOP, openRing, READ, ringProblem, WRITE } from './ring-bed.ts'

let rings: Ring[] = []

afterEach(() => {
  for (const ring of rings.splice(0)) ring.close()
  rings = []
})

function ringOf(...options: Parameters<typeof openRing>): ReturnType<typeof openRing> {
  const opened = openRing(...options)
  rings.push(opened.ring)
  return opened
}

describe.skipIf(ringProblem !== undefined)(`io_uring${ringProblem === undefined ? '' : `: ${ringProblem}`}`, () => {
  it('completes what was submitted, with its number', async () => {
    const { ring, completed, until } = ringOf({ entries: 8 })
    for (let i = 0; i < 5; i++) fill(ring, NOP, 100 + i)
    expect(completed).toHaveLength(0)
    ring.submit()
    await until(5)
    expect(completed).toEqual([100, 101, 102, 103, 104].map((userData) => ({ userData, result: 0, flags: 0 })))
  })

  it('has as many free entries as it says, zeroed, in a ring', async () => {
    const { ring, completed, until } = ringOf({ entries: 5 })
    expect(ring.entries).toBe(8)
    expect(ring.words.length).toBe(8 * 16)
    for (let round = 1; round <= 4; round++) {
      for (let i = 0; i < 8; i++) {
        const at = ring.next()
        expect(at % 16).toBe(0)
        expect(ring.words.subarray(at, at + 16).every((word) => word === 0)).toBe(true)
        ring.words.fill(0xffffffff, at, at + 16)
        ring.words.fill(0, at, at + 8)
        ring.words.fill(0, at + 9, at + 16)
      }
      expect(ring.next()).toBe(-1)
      ring.submit()
      await until(8 * round)
    }
    expect(completed.every(({ userData, result }) => userData === 0xffffffff && result === 0)).toBe(true)
  })

  it('has wide entries', async () => {
    const { ring, completed, until } = ringOf({ entries: 4, wide: true })
    expect(ring.words.length).toBe(4 * 32)
    const starts = Array.from({ length: 4 }, () => ring.next())
    expect(starts).toEqual([0, 32, 64, 96])
    for (const start of starts) ring.words[start + 8] = start
    ring.submit()
    await until(4)
    expect(completed.map(({ userData }) => userData)).toEqual(starts)
  })

  it('reads and writes mapped memory', async () => {
    const { ring, completed, until } = ringOf({ entries: 8 })
    const memory = mapMemory(8192)
    const bytes = Buffer.from(memory.buffer)
    const [a, b] = socketPair()
    fill(ring, READ, 1, { fd: a, address: memory.address + 4096, length: 4096 })
    ring.submit()
    bytes.write('by the ring', 0)
    fill(ring, WRITE, 2, { fd: b, address: memory.address, length: 11 })
    ring.submit()
    await until(2)
    expect(completed.toSorted((x, y) => x.userData - y.userData).map(({ result }) => result)).toEqual([11, 11])
    expect(bytes.toString('latin1', 4096, 4107)).toBe('by the ring')
    closeFd(a)
    closeFd(b)
    memory.unmap()
  })

  it('wakes a sleeping event loop, once for many', async () => {
    const pairs = Array.from({ length: 32 }, () => socketPair())
    const memory = mapMemory(4096)
    const { ring, completed, until, wakeUps } = ringOf({ entries: 64 })
    for (const [i, [a]] of pairs.entries()) fill(ring, READ, i, { fd: a, address: memory.address + i, length: 1 })
    ring.submit()
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(wakeUps()).toBe(0)
    for (const [, b] of pairs) writeSync(b, 'x')
    await until(32)
    expect(completed.every(({ result }) => result === 1)).toBe(true)
    expect(wakeUps()).toBeLessThan(4)
    for (const fd of pairs.flat()) closeFd(fd)
  })

  it('gives errors as negative results', async () => {
    const { ring, completed, until } = ringOf({ entries: 4 })
    fill(ring, READ, 1, { fd: 1_000_000, address: 0, length: 1 })
    fill(ring, 250, 2)
    fill(ring, NOP, 3)
    ring.submit()
    await until(3)
    expect(completed.map(({ userData, result }) => [userData, result])).toEqual([
      [1, -9],
      [2, -22],
      [3, 0],
    ])
  })

  it('loses nothing when completions do not fit', async () => {
    const { ring, completed, until } = ringOf({ entries: 8, completions: 8 })
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 8; i++) fill(ring, NOP, round * 8 + i)
      ring.submit()
    }
    await until(400)
    expect(completed.map(({ userData }) => userData)).toEqual(Array.from({ length: 400 }, (_, i) => i))
  })

  it('counts past 2 ** 16 and on', async () => {
    const { ring, completed, until } = ringOf({ entries: 4096 })
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 4096; i++) fill(ring, NOP, i)
      ring.submit()
      await until(4096)
      completed.length = 0
    }
  })

  it('lets handlers submit, drain and close', async () => {
    const seen: number[] = []
    const ring = new Ring({ entries: 8 }, () => ring.drain(handle))
    rings.push(ring)
    const closed = new Promise<void>((resolve) => {
      ring.drain(() => {})
      process.nextTick(() => fill(ring, NOP, 0) && ring.submit())
      const timer = setInterval(() => {
        if (ring.words.length > 0) return
        clearInterval(timer)
        resolve()
      }, 1)
    })
    function handle(userData: number): void {
      seen.push(userData)
      if (userData < 10) {
        fill(ring, NOP, userData + 1)
        fill(ring, NOP, 1000)
        ring.submit()
        ring.drain(handle)
      } else if (userData === 10) {
        ring.close()
      }
    }
    await closed
    expect(seen.filter((userData) => userData !== 1000)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(ring.next()).toBe(-1)
    expect(ring.drain(handle)).toBe(0)
    ring.submit()
  })

  it('goes on after an exception of a handler', () => {
    const { ring } = ringOf({ entries: 4 })
    for (let i = 0; i < 3; i++) fill(ring, NOP, i)
    ring.submit()
    const seen: number[] = []
    const handle = (userData: number): void => {
      seen.push(userData)
      if (userData === 1) throw new Error('from the handler')
    }
    expect(() => ring.drain(handle)).toThrow('from the handler')
    expect(ring.drain(handle)).toBe(1)
    expect(ring.drain(handle)).toBe(0)
    expect(seen).toEqual([0, 1, 2])
  })

  it('detaches its views and frees its descriptor', async () => {
    const { ring, wakeUps } = ringOf({ entries: 4 })
    const { words, fd } = ring
    fill(ring, NOP, 1)
    ring.submit()
    ring.close()
    ring.close()
    ring.unref()
    ring.ref()
    expect(words.length).toBe(0)
    expect(() => readSync(fd, Buffer.alloc(1))).toThrow('EBADF')
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(wakeUps()).toBe(0)
  })

  it('refuses what the kernel refuses', () => {
    expect(() => new Ring({ entries: 8, completions: 4 }, () => {})).toThrow(
      expect.objectContaining({ code: 'EINVAL', syscall: 'io_uring_setup' }),
    )
  })
})

it('names wrong arguments', () => {
  expect(() => new Ring({ entries: 0 }, () => {})).toThrow(/^entries is 0, must be/)
  expect(() => new Ring({ entries: 8, completions: 65537 }, () => {})).toThrow(/^completions is 65537, must be/)
  expect(() => new Ring({ entries: 8 }, undefined as never)).toThrow(/^onCompletions is undefined, must be a function/)
})
