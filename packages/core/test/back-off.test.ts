import { expect, it } from 'vitest'
import { BackOff } from '../src/index.ts'

it('doubles the wait with each try, up to the longest, and begins anew once it is reset', () => {
  const backOff = new BackOff(100, 1000, () => 0.999_999)
  const next = (): number => {
    const wait = Math.round(backOff.wait())
    backOff.count()
    return wait
  }
  expect([next(), next(), next(), next(), next(), next()]).toEqual([100, 200, 400, 800, 1000, 1000])
  backOff.reset()
  expect(next()).toBe(100)
})

it('waits for half of that at least, and looks anew at chance each time it is asked', () => {
  const chances = [0, 0.5]
  const backOff = new BackOff(100, 1000, () => chances.shift() as number)
  expect([backOff.wait(), backOff.wait()]).toEqual([50, 75])
})
