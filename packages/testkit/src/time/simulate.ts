import { messageOf } from '@blockbraid/core'
import type { VirtualHost } from './virtual-clock.ts'
import { virtualHost } from './virtual-clock.ts'

/** A schedule of a simulation: awaits what it likes, time is moved for it. */
export type Schedule = (host: VirtualHost) => Promise<void>

/** Limits of {@link simulate}. */
export interface SimulateOptions {
  /** Virtual milliseconds one run may take; default one hour. */
  limit?: number
}

/**
 * Runs `schedule` once per seed, each time in a virtual host of its own; a number stands for the seeds
 * 1 to that number. The first failure ends it, with an error that names the seed and has the cause.
 */
export async function simulate(
  seeds: number | Iterable<number>,
  schedule: Schedule,
  options: SimulateOptions = {},
): Promise<void> {
  const list = typeof seeds === 'number' ? Array.from({ length: seeds }, (_, index) => index + 1) : seeds
  for (const seed of list) {
    const host = virtualHost(seed)
    try {
      await host.clock.runUntil(schedule(host), options.limit)
    } catch (error) {
      const message = `seed ${seed} failed at ${host.clock.now()} µs: ${messageOf(error)} (replay: simulate([${seed}], …))`
      throw new Error(message, { cause: error })
    }
  }
}
