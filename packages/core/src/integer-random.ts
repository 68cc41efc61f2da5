import type { Host } from './clock.ts'
import { systemHost } from './clock.ts'

/**
 * Makes a source of whole random numbers from 0 to `below` - 1, for `below` up to 2 ** 31, seeded by one number of
 * `host.random`. Unlike `host.random` it allocates nothing, so that a policy may call it in `select`. Not for secrets.
 */
export function integerRandom({ random }: Pick<Host, 'random'> = systemHost): (below: number) => number {
  // Not a variable: V8 would box what does not fit 31 bits. The generator, xorshift, never leaves 0.
  const state = Int32Array.of(random() * 2 ** 32 || 1)
  return (below) => {
    let next = state[0] as number
    next ^= next << 13
    next ^= next >>> 17
    next ^= next << 5
    state[0] = next
    return Math.floor(((next >>> 0) / 2 ** 32) * below)
  }
}
