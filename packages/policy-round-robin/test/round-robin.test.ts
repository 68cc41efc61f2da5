import type { PathView } from '@blockbraid/core'
import { createIoView, createViews, selectorSuite } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { roundRobin } from '../src/index.ts'

const path = (id: string): PathView => ({ ...createViews(1)[0]!, id })

describe('round-robin', () => {
  const io = createIoView()
  const [a, b, c] = ['a', 'b', 'c'].map(path) as [PathView, PathView, PathView]
  const order = (selector: ReturnType<typeof roundRobin>, count: number): string =>
    Array.from({ length: count }, () => selector.select(io)?.id).join('')

  it('takes each path in turn', () => {
    const selector = roundRobin()
    selector.update([a, b, c])
    expect(order(selector, 7)).toBe('abcabca')
  })

  it('stays on a path for minIos', () => {
    const selector = roundRobin({ minIos: 3 })
    selector.update([a, b])
    expect(order(selector, 8)).toBe('aaabbbaa')
  })

  it('goes on from the path it was on when the list changes', () => {
    const selector = roundRobin()
    selector.update([a, b, c])
    expect(order(selector, 2)).toBe('ab')
    selector.update([b, c])
    expect(order(selector, 3)).toBe('cbc')
    selector.update([a])
    expect(order(selector, 2)).toBe('aa')
  })

  it('says what is wrong with minIos', () => {
    for (const minIos of [0, 1.5, -1, Number.NaN, '4' as never]) {
      expect(() => roundRobin({ minIos })).toThrow(`minIos is ${minIos}; it must be a whole number of I/Os, 1 or more`)
    }
  })
})

selectorSuite({ describe, it }, { create: () => roundRobin(), has: { spreads: true } })
