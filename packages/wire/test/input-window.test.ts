import { describe, expect, it } from 'vitest'
import type { InputSlab } from '../src/index.ts'
import { InputPool, InputWindow, letGo } from '../src/index.ts'

/** Reads `size` bytes of which nothing is kept, or what `keep` does; where they were read to. */
function read(window: InputWindow, size: number, keep?: () => void): { bytes: Buffer; start: number } {
  const at = { bytes: window.open(), start: window.start }
  keep?.()
  window.pass(size)
  return at
}

describe('the window that sockets are read into', () => {
  it('is the same memory again while nobody holds what is in it', () => {
    const pool = new InputPool(4)
    const window = new InputWindow(pool)
    const { bytes } = read(window, 1000)
    let held: InputSlab | undefined
    expect(read(window, 1000, () => (held = window.hold()))).toEqual({ bytes, start: 0 })
    expect(read(window, 10).start).toBe(1000)
    expect(read(window, 10).start).toBe(1000)
    letGo(held!)
    expect(read(window, 10)).toEqual({ bytes, start: 0 })
    window.close()
    expect(pool.outstanding).toBe(0)
  })

  it('goes on in another slab where the rest is small, and gives back what nobody holds', () => {
    const pool = new InputPool(1)
    const window = new InputWindow(pool)
    const held: InputSlab[] = []
    for (let i = 0; i < 3; i++) {
      const { bytes, start } = read(window, 2 ** 20 - 65535, () => held.push(window.hold()))
      expect([bytes.length, start]).toEqual([2 ** 20, 0])
    }
    expect(new Set(held).size).toBe(3)
    window.open()
    expect(pool.outstanding).toBe(4)
    for (const slab of held) letGo(slab)
    window.close()
    expect(pool.outstanding).toBe(0)
    expect(held.includes(pool.take())).toBe(true)
    expect(held.includes(pool.take())).toBe(false)
  })

  it('never reads over what is kept as views', () => {
    const pool = new InputPool(4)
    const window = new InputWindow(pool)
    const { bytes } = read(window, 100, () => window.retain())
    const next = read(window, 100)
    expect([next.bytes === bytes, next.start]).toEqual([true, 100])
    window.close()
    expect([pool.outstanding, pool.take().bytes === bytes]).toEqual([0, false])
  })
})
