import type { PathView } from '@blockbraid/core'
import { createIoView, createViews, selectorSuite } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { queueDepth } from '../src/index.ts'

interface Counted extends PathView {
  inflight: number
}

const path = (id: string, inflight: number): Counted => ({ ...createViews(1)[0]!, id, inflight })

describe('queue-depth', () => {
  const io = createIoView()

  it('picks the path with the fewest I/Os in flight', () => {
    const selector = queueDepth()
    selector.update([path('a', 3), path('b', 1), path('c', 2)])
    expect(selector.select(io)?.id).toBe('b')
  })

  it('lets equals take turns', () => {
    const selector = queueDepth()
    selector.update([path('a', 1), path('b', 1), path('c', 1)])
    expect(Array.from({ length: 6 }, () => selector.select(io)?.id).join('')).toBe('bcabca')
  })

  it('levels out unequal paths', () => {
    const paths = [path('a', 5), path('b', 0), path('c', 2)]
    const selector = queueDepth()
    selector.update(paths)
    for (let count = 0; count < 8; count++) (selector.select(io) as Counted).inflight++
    expect(paths.map(({ inflight }) => inflight)).toEqual([5, 5, 5])
  })

  it('follows the list', () => {
    const selector = queueDepth()
    selector.update([path('a', 0), path('b', 0), path('c', 0)])
    for (let count = 0; count < 5; count++) selector.select(io)
    selector.update([path('d', 9)])
    expect(selector.select(io)?.id).toBe('d')
  })
})

selectorSuite({ describe, it }, { create: () => queueDepth(), has: { spreads: true } })
