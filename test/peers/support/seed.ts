import { createRandom } from '@blockbraid/testkit'
import { onTestFailed } from 'vitest'

/** Randomness of one test: new in each run, told when the test fails, repeated with PEERS_SEED. */
export function seeded(): { seed: number; random: () => number } {
  const seed = Number(process.env['PEERS_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  onTestFailed(() => console.error(`PEERS_SEED=${seed} repeats this`))
  return { seed, random: createRandom(seed) }
}
