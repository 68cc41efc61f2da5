import { createRandom, randomInt } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import { Bucket } from '../../src/rates/bucket.ts'

const SECOND = 1e6

/** Takes `count` times `cost` as soon as there is enough; returns when the last one went, µs. */
function saturate(bucket: Bucket, count: number, cost: number, from: number): number {
  let now = from
  for (let taken = 0; taken < count; taken++) {
    now = bucket.due(cost, now)
    bucket.take(cost, now)
  }
  return now
}

it.each([
  [3, 1],
  [7, 1],
  [999_983, 1],
  [10_000_019, 4096],
  [12_500_000_000, 262_144],
])(
  'at %i a second, %i each, a million of them are on time to a microsecond, after a year of uptime too',
  (rate, cost) => {
    for (const from of [0, 365 * 24 * 3600 * SECOND]) {
      const count = 1_000_000
      const ended = saturate(new Bucket(rate, 0, from), count, cost, from)
      const exact = ((count - 1) * cost * SECOND) / rate
      expect(Math.abs(ended - from - exact)).toBeLessThan(1)
    }
  },
)

/** How many go at one time. */
function takeAll(bucket: Bucket, now: number): number {
  let taken = 0
  for (; bucket.due(1, now) <= now; taken++) bucket.take(1, now)
  return taken
}

it('is full at first and after a pause, and never holds more', () => {
  const bucket = new Bucket(100, 10, 0)
  expect(takeAll(bucket, 0)).toBe(10)
  expect(takeAll(bucket, 0)).toBe(0)
  expect(takeAll(bucket, 0.05 * SECOND)).toBe(5)
  expect(takeAll(bucket, 3600 * SECOND)).toBe(10)
})

it('what costs more than it can hold goes when it is full, and the debt is paid before the next one', () => {
  const bucket = new Bucket(1000, 100, 0)
  expect(bucket.due(5000, 0)).toBe(0)
  bucket.take(5000, 0)
  expect(bucket.due(1, 0)).toBe(4.901 * SECOND)
  expect(bucket.due(5000, 0)).toBe(5 * SECOND)
})

it('other rates: what is owed stays owed, what is there is cut to what the new one holds', () => {
  const bucket = new Bucket(1000, 100, 0)
  bucket.take(1100, 0)
  bucket.change(2000, 50, 0)
  expect(bucket.due(0, 0)).toBe(0.5 * SECOND)
  bucket.change(2000, 10, 10 * SECOND)
  expect(takeAll(bucket, 10 * SECOND)).toBe(10)
})

it('at random: over every stretch of time at most what was earned in it, and a full bucket', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = createRandom(seed)
    const rate = 1 + randomInt(random, 10 ** (1 + randomInt(random, 8)))
    const burst = (rate * randomInt(random, 1000)) / 1000
    const most = 1 + randomInt(random, 3 * burst + 10)
    const bucket = new Bucket(rate, burst, 0)
    let now = 0
    let taken = 0
    // The least of what was taken less what was earned: the most of any stretch is measured from there.
    let least = 0
    for (let step = 0; step < 2000; step++) {
      const cost = 1 + randomInt(random, most)
      now = bucket.due(cost, now)
      least = Math.min(least, taken - (now * rate) / SECOND)
      bucket.take(cost, now)
      taken += cost
      const over = taken - (now * rate) / SECOND - least
      const allowed = burst + Math.max(0, most - burst) + (2 * rate) / 1e7 + 1e-3
      if (over > allowed) throw new Error(`seed ${seed}, step ${step}: ${over} at once, ${allowed} allowed`)
      if (random() < 0.1) now += random() * SECOND
    }
  }
})
