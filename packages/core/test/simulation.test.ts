import { simulate } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { messageOf } from '../src/index.ts'
import type { Kind } from './simulation/kinds.ts'
import { kinds } from './simulation/kinds.ts'
import { mutants } from './simulation/mutants.ts'
import { schedule } from './simulation/schedule.ts'

// Failure schedules in virtual time: the same ones each time, and as many that are new. SIMULATION_SEEDS asks for
// more, SIMULATION_FROM begins elsewhere: a failure names its seed.
const SEEDS = Number(process.env['SIMULATION_SEEDS'] ?? 150)
const FROM = Number(process.env['SIMULATION_FROM'] ?? 1)
const FRESH = Math.floor(Math.random() * 2 ** 31)

// Of a mutant that is found with one seed in some hundred.
const SEARCH = 1500
const QUIET = 25
const HOURS = 4 * 3_600_000

const all = new Set(Object.keys(kinds) as Kind[])
const without = (some: readonly Kind[]): Set<Kind> => new Set([...all].filter((kind) => !some.includes(kind)))

/** `count` seeds from `from`. */
function* seeds(count: number, from: number): Generator<number> {
  for (let seed = from; seed < from + count; seed++) yield seed
}

describe('what was acknowledged stands, in every block, also after a power loss', () => {
  it(
    `over ${SEEDS} failure schedules of all kinds, from seed ${FROM}`,
    async () => {
      await simulate(seeds(SEEDS, FROM), (host) => schedule(host, all))
    },
    HOURS,
  )

  it.runIf(process.env['SIMULATION_SEEDS'] === undefined)(
    `over ${SEEDS} new ones, from seed ${FRESH}`,
    async () => {
      await simulate(seeds(SEEDS, FRESH), (host) => schedule(host, all))
    },
    HOURS,
  )

  it.each(Object.entries(kinds))('with %s alone: %s', async (kind) => {
    await simulate(seeds(QUIET, 1), (host) => schedule(host, new Set([kind as Kind])))
  })
})

describe('the schedules find a core that', () => {
  it.each(mutants)(
    '$name, by the kind: $kind',
    async ({ kind, seams }) => {
      const found = simulate(seeds(SEARCH, 1), (host) =>
        schedule(host, new Set(kind === undefined ? [] : [kind]), seams()),
      )
      const error = await found.then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      expect(messageOf(error)).toMatch(/block \d+ (reads as|holds) /)
    },
    120_000,
  )

  it.each(mutants.filter(({ kind }) => kind !== undefined))(
    '$name: not without it',
    async ({ hiddenWithout, seams }) => {
      await simulate(seeds(QUIET, 1), (host) => schedule(host, without(hiddenWithout), seams()))
    },
    120_000,
  )
})
