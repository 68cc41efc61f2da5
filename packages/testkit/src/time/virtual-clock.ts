import type { Host } from '@blockbraid/core'
import type { VirtualClock } from './driven-clock.ts'
import { createDrivenClock } from './driven-clock.ts'
import { createRandom } from './random.ts'

// Every microtask and nextTick that is due runs before a setImmediate callback does.
const drain = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/**
 * Virtual time, from 0. Timers due at the same instant fire in the order they were made; with a `seed`,
 * in an order drawn from it. Promises settle between timers. Nothing but timers moves it: a program that
 * waits for a socket or a file needs the real clock.
 */
export function createVirtualClock(seed?: number): VirtualClock {
  return createDrivenClock(drain, seed)
}

/** A host in virtual time, all of whose randomness comes from the seed. */
export interface VirtualHost extends Host {
  /** Its time, from 0. */
  readonly clock: VirtualClock
  /** What it was made of. */
  readonly seed: number
}

/** Makes a {@link VirtualHost}. */
export function virtualHost(seed = 1): VirtualHost {
  return { clock: createVirtualClock(seed), random: createRandom(seed), seed }
}
