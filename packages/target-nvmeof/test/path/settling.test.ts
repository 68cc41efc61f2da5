import { virtualHost } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import { Settling } from '../../src/path/settling.ts'

function made(seconds: number) {
  const { clock } = virtualHost()
  let over = 0
  const settling = new Settling(clock, seconds, () => over++)
  return { clock, settling, over: () => over }
}

test('a transition that ends in time is one', async () => {
  const { clock, settling, over } = made(4)
  expect(settling.judge('transitioning')).toBe('transitioning')
  await clock.advance(3900)
  expect(settling.judge('transitioning')).toBe('transitioning')
  expect(settling.judge('optimized')).toBe('optimized')
  await clock.advance(10_000)
  expect(over()).toBe(0)
  expect(settling.judge('transitioning')).toBe('transitioning')
})

test('one that takes longer is none until another state was told, and is told once', async () => {
  const { clock, settling, over } = made(4)
  settling.judge('transitioning')
  await clock.advance(3000)
  // That it is told again does not prolong it.
  settling.judge('transitioning')
  await clock.advance(1001)
  expect(over()).toBe(1)
  expect(settling.judge('transitioning')).toBe('unavailable')
  await clock.advance(10_000)
  expect(over()).toBe(1)
  expect(settling.judge('non-optimized')).toBe('non-optimized')
  expect(settling.judge('transitioning')).toBe('transitioning')
})

test('where the controller does not tell how long, it is ten seconds', async () => {
  const { clock, settling, over } = made(0)
  settling.judge('transitioning')
  await clock.advance(9900)
  expect(over()).toBe(0)
  await clock.advance(101)
  expect(over()).toBe(1)
})

test('a path that is closed waits no longer', async () => {
  const { clock, settling, over } = made(1)
  settling.judge('transitioning')
  settling.stop()
  await clock.advance(5000)
  expect(over()).toBe(0)
})
