import { type Clock, systemHost } from '@blockbraid/core'
import { createVirtualClock } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import { KeepAlive } from '../../src/session/keep-alive.ts'

/** A keep-alive on a clock, and what it did. */
function watch(interval: number, timeout: number, clock: Clock) {
  const log = { pings: 0, dead: 0 }
  const alive = new KeepAlive(
    clock,
    { interval, timeout },
    () => log.pings++,
    () => log.dead++,
  )
  return { alive, log }
}

// Milliseconds; what is lost to whole milliseconds of timers.
const SLACK = 5

test.each([
  [5000, 5000],
  [1000, 5000],
  [5000, 1000],
  [1, 100],
])('interval %i ms, time-out %i ms: death is found within both, whenever it comes', async (interval, timeout) => {
  for (const last of [0, 0.3, 0.9, 1, 1.001, 1.5, 2, 2.4, 3, 3.7, 7.1]) {
    const clock = createVirtualClock()
    const { alive, log } = watch(interval, timeout, clock)
    // The target answers each ping at once until it dies; the last thing heard is just before that.
    const death = Math.round(last * (interval + timeout))
    let answered = 0
    while (clock.now() < death * 1000) {
      await clock.advance(Math.max(1, Math.floor(Math.min(interval, timeout) / 50)))
      if (log.pings > answered && clock.now() < death * 1000) {
        answered = log.pings
        alive.heard()
      }
    }
    alive.heard()
    await clock.advance(interval + timeout + SLACK)
    expect(log.dead, `last sign of life at ${death} ms`).toBe(1)
    expect(clock.timers).toBe(0)
  }
})

test('a target that talks is not pinged; one that only answers pings lives', async () => {
  const clock = createVirtualClock()
  const { alive, log } = watch(1000, 500, clock)
  for (let count = 0; count < 100; count++) {
    await clock.advance(900)
    alive.heard()
  }
  expect(log).toEqual({ pings: 0, dead: 0 })
  let answered = 0
  for (let count = 0; count < 1000; count++) {
    await clock.advance(100)
    if (log.pings > answered) {
      answered = log.pings
      alive.heard()
    }
  }
  expect(log.dead).toBe(0)
  expect(log.pings).toBeGreaterThan(50)
  alive.stop()
  expect(clock.timers).toBe(0)
})

test('an interval of 0: no ping, no timer', () => {
  const clock = createVirtualClock()
  watch(0, 1000, clock)
  expect(clock.timers).toBe(0)
})

test('stopped while it waits, after a ping, or from inside of a ping: no timer is left', async () => {
  for (const at of [0, 1500]) {
    const clock = createVirtualClock()
    const { alive, log } = watch(1000, 1000, clock)
    await clock.advance(at)
    alive.stop()
    expect(clock.timers).toBe(0)
    await clock.advance(5000)
    expect(log.dead).toBe(0)
  }
  const clock = createVirtualClock()
  let dead = 0
  const alive: KeepAlive = new KeepAlive(
    clock,
    { interval: 1000, timeout: 1000 },
    () => alive.stop(),
    () => dead++,
  )
  await clock.advance(5000)
  expect(dead).toBe(0)
  expect(clock.timers).toBe(0)
})

test('an answer that stands in the socket when this process was held up counts', async () => {
  const { log, alive } = watch(20, 50, systemHost.clock)
  await expect.poll(() => log.pings).toBe(1)
  // What the event loop finds after a stop of this process: timers first, then the socket.
  await new Promise<void>((resolve) =>
    setImmediate(() => {
      const until = performance.now() + 120
      while (performance.now() < until);
      setImmediate(() => {
        alive.heard()
        resolve()
      })
    }),
  )
  await new Promise((resolve) => setTimeout(resolve, 5))
  expect(log.dead).toBe(0)
  alive.stop()
})
