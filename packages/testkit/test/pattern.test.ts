import { describe, expect, it } from 'vitest'
import { fillPattern, pattern, patternFault, readStamp } from '../src/index.ts'

const stamp = { seed: 7, offset: 2 ** 40, generation: 3 }

describe('patterns', () => {
  it('verify what they have filled, at any alignment of the view', () => {
    const room = Buffer.alloc(4096 + 7)
    const view = room.subarray(3, 3 + 4096)
    fillPattern(view, stamp)
    expect(patternFault(view, stamp)).toBeUndefined()
    expect(room[2]).toBe(0)
    expect(readStamp(view, 512)).toEqual({ ...stamp, offset: stamp.offset + 512 })
  })

  it('notice a single bit, and say what lies there', () => {
    const data = pattern(4096, stamp)
    for (const at of [0, 511, 512, 1000, 4095]) {
      data[at]! ^= 1
      expect(patternFault(data, stamp)).toContain(`at ${stamp.offset + at - (at % 512)}`)
      data[at]! ^= 1
    }
    fillPattern(data.subarray(1024, 1536), { seed: 7, offset: 0, generation: 2 })
    expect(patternFault(data, stamp)).toContain('found seed 7, offset 0, generation 2')
    data.fill(0, 512, 1024)
    expect(patternFault(data, stamp)).toContain('found zeroes')
    expect(readStamp(data, 512)).toBeUndefined()
    expect(readStamp(data, 4000)).toBeUndefined()
  })

  it('differ by seed, place and generation', () => {
    const bodies = [stamp, { ...stamp, seed: 8 }, { ...stamp, offset: 0 }, { ...stamp, generation: 4 }]
    expect(new Set(bodies.map((each) => pattern(512, each).toString('hex', 16))).size).toBe(4)
  })

  it('refuse what is no multiple of 512', () => {
    expect(() => pattern(100, stamp)).toThrow('length must be a multiple of 512, not 100')
    expect(() => pattern(512, { ...stamp, offset: 5 })).toThrow('offset must be a multiple of 512, not 5')
  })
})
