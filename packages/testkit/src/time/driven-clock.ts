import type { Clock } from '@blockbraid/core'
import { createRandom } from './random.ts'
import type { HeapTimer } from './timer-heap.ts'
import { TimerHeap } from './timer-heap.ts'

/** A clock whose time stands still until somebody moves it. */
export interface VirtualClock extends Clock {
  /** Timers that have not fired. */
  readonly timers: number
  /** Moves time on by `milliseconds`, firing what falls due; rejects with what a timer throws. */
  advance(milliseconds: number): Promise<void>
  /**
   * Fires timers one by one until `goal` holds or has settled, and hands on its outcome. Rejects when no
   * timer is left to fire, or when more than `limit` virtual milliseconds (default one hour) would pass.
   */
  runUntil<T>(goal: Promise<T>, limit?: number): Promise<T>
  /** The same for a condition. */
  runUntil(goal: () => boolean, limit?: number): Promise<void>
}

const HOUR = 3_600_000

// Code that waits for turns gets that many before it counts as stuck.
const LAST_TURNS = 16

/**
 * Virtual time that stands still until `drain` has settled, which lets promises settle. With a `seed`, timers due at
 * the same instant fire in an order drawn from it.
 */
export function createDrivenClock(drain: () => Promise<void>, seed?: number): VirtualClock {
  const heap = new TimerHeap()
  const random = seed === undefined ? undefined : createRandom(seed)
  let now = 0
  let sequence = 0

  const fire = (timer: HeapTimer): void => {
    now = Math.max(now, timer.due)
    const callback = timer.callback
    timer.callback = undefined
    callback?.()
  }

  /** Fires the next timer if it is due by `deadline`; afterwards tells whether it did. */
  const step = (deadline: number): boolean => {
    const next = heap.peek()
    if (next === undefined || next.due > deadline) return false
    heap.pop()
    fire(next)
    return true
  }

  const run = async (reached: () => boolean, limit: number): Promise<void> => {
    const deadline = now + limit * 1000
    for (;;) {
      await drain()
      if (reached()) return
      if (step(deadline)) continue
      if (heap.size === 0) {
        for (let turn = 0; turn < LAST_TURNS && heap.size === 0 && !reached(); turn++) await drain()
        if (heap.size > 0 || reached()) continue
        throw new Error(`virtual time stands at ${now} µs: nothing is left to happen`)
      }
      now = deadline
      throw new Error(`virtual time: not reached within ${limit} ms`)
    }
  }

  const runUntilSettled = async (goal: Promise<unknown>, limit: number): Promise<unknown> => {
    let settled = false
    const note = (): void => {
      settled = true
    }
    goal.then(note, note)
    await run(() => settled, limit)
    return goal
  }

  return Object.assign(new Timers(heap), {
    now: () => now,
    after(milliseconds: number, callback: () => void) {
      const timer: HeapTimer = {
        due: now + Math.max(0, milliseconds) * 1000,
        tie: random?.() ?? 0,
        sequence: sequence++,
        callback,
      }
      heap.push(timer)
      return { cancel: () => heap.cancel(timer) }
    },
    defer: (callback: () => void) => queueMicrotask(callback),
    async advance(milliseconds: number) {
      const deadline = now + milliseconds * 1000
      do await drain()
      while (step(deadline))
      now = Math.max(now, deadline)
    },
    runUntil: (goal: Promise<unknown> | (() => boolean), limit = HOUR): Promise<never> =>
      (typeof goal === 'function' ? run(goal, limit) : runUntilSettled(goal, limit)) as Promise<never>,
  })
}

// A getter in a literal is old to the collector from the start, and would hold the whole of what ran on this clock until
// it collects everything.
class Timers {
  readonly #heap: TimerHeap

  constructor(heap: TimerHeap) {
    this.#heap = heap
  }

  get timers(): number {
    return this.#heap.size
  }
}
