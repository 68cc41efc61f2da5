import { messageOf } from '@blockbraid/core'
import { virtualHost } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { mutants } from './mutants.ts'
import type { Outcome } from './schedule.ts'
import { schedule } from './schedule.ts'
import type { Kind, Seams, Stack } from './world.ts'

// Failure schedules of whole stacks in virtual time: the same ones each time, and as many that are new. STACK_SEEDS asks
// for more, STACK_FROM begins elsewhere: a failure names its seed.
const ASKED = process.env['STACK_SEEDS']
const SEEDS = Number(ASKED ?? 3)
const FROM = Number(process.env['STACK_FROM'] ?? 1)
const FRESH = Math.floor(Math.random() * 2 ** 31)
const stacks: readonly Stack[] = ['iscsi', 'nvme', 'both']

// A schedule takes some seconds of its own time, and a third of a second of ours.
const LIMIT = 600_000
const HOURS = 4 * 3_600_000

async function run(stack: Stack, seed: number, kind: Kind = 'all', seams: Seams = {}): Promise<Outcome> {
  const host = virtualHost(seed)
  try {
    return await host.clock.runUntil(schedule(host, stack, kind, seams), LIMIT)
  } catch (error) {
    throw new Error(`seed ${seed}: ${messageOf(error)} (replay: STACK_FROM=${seed} STACK_SEEDS=1)`, { cause: error })
  }
}

async function runAll(stack: Stack, from: number): Promise<void> {
  let answers = 0
  for (let seed = from; seed < from + SEEDS; seed++) {
    answers += (await run(stack, seed, seed % 4 === 0 ? 'late' : 'all')).answers
  }
  if (ASKED !== undefined) console.log(`${stack}: ${SEEDS} schedules from ${from}, ${answers} requests answered`)
}

describe.each(stacks)('core, initiator and array by %s over a fake network: what was acknowledged stands', (stack) => {
  it(`over ${SEEDS} failure schedules, from seed ${FROM}`, () => runAll(stack, FROM), HOURS)

  it.runIf(ASKED === undefined)(`over ${SEEDS} new ones, from seed ${FRESH}`, () => runAll(stack, FRESH), HOURS)

  it('a seed replays exactly', async () => {
    const one = await run(stack, 7)
    expect(await run(stack, 7)).toEqual(one)
  })
})

// Where the course of that seed is another one by now, one of these finds it.
const SEARCH = 300

describe('the schedules find', () => {
  it.each(mutants)(
    '$name, by $stack',
    async ({ stack, seed, seams }) => {
      for (let next = seed; next < seed + SEARCH; next++) {
        const error = await run(stack, next, 'late', seams).then(() => undefined, messageOf)
        if (error !== undefined && /block \d+ (reads as|holds) /.test(error)) return
      }
      expect.unreachable(`${SEARCH} schedules have not found it`)
    },
    HOURS,
  )
})
