import { BlockError } from '@blockbraid/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decoders } from './decoders.ts'

/** What a decoder gives, or `PROTOCOL` and the like; anything but a BlockError passes through. */
function outcome(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): unknown {
  try {
    return decode(bytes)
  } catch (error) {
    if (BlockError.is(error)) return error.code
    throw error
  }
}

describe.each(decoders)('%s', (_name, decode, whole, least) => {
  it('takes its answer cut at every length', () => {
    for (let length = 0; length <= whole.length; length++) {
      // The bytes behind the cut must not be seen: a view of the same memory, and a copy without them.
      const view = outcome(decode, whole.subarray(0, length))
      expect(view, `cut at ${length}`).toEqual(outcome(decode, whole.slice(0, length)))
      expect(view === 'PROTOCOL', `cut at ${length}`).toBe(length < least)
    }
  })

  it('does not read past the length that an answer tells', () => {
    const longer = new Uint8Array(whole.length + 64).fill(0xff)
    longer.set(whole)
    expect(decode(longer)).toEqual(decode(whole))
  })

  it('takes any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        outcome(decode, noise)
      }),
      { numRuns: 1500 },
    )
  })

  it('takes its answer with bytes changed', () => {
    const change = fc.tuple(fc.nat(whole.length - 1), fc.nat(255))
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), fc.nat(whole.length), (changes, length) => {
        const bytes = whole.slice(0, length)
        for (const [at, value] of changes) bytes[at] = value
        outcome(decode, bytes)
      }),
      { numRuns: 1500 },
    )
  })
})

describe('a list as long as its buffer', () => {
  it.each(decoders)('does not hold up %s', (_name, decode, whole) => {
    for (const filler of [0x00, 0xff]) {
      const huge = new Uint8Array(1 << 20).fill(filler)
      huge.set(whole.subarray(0, 4))
      outcome(decode, huge)
    }
  })
})
