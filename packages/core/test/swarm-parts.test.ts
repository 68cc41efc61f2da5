import { queueDepth } from '@blockbraid/policy-queue-depth'
import { roundRobin } from '@blockbraid/policy-round-robin'
import type { MemoryArray } from '@blockbraid/target-memory'
import { createMemoryArray, memory } from '@blockbraid/target-memory'
import type { Plan, SwarmParts, SwarmPolicy } from '@blockbraid/testkit/simulation'
import { drawPlan, printTest, runPlan } from '@blockbraid/testkit/simulation'
import { describe, expect, it } from 'vitest'
import { bugNamed } from '../../../scripts/sim/bugs/all.ts'
import { settingOf } from '../../../scripts/sim/setting.ts'

const SEEDS = 12
const policies: readonly SwarmPolicy[] = [
  { name: 'round-robin', create: () => roundRobin({ minIos: 3 }) },
  { name: 'queue-depth', create: () => queueDepth() },
]
const parts: SwarmParts = {
  createArray: createMemoryArray,
  createTarget: (array, initiator, host) => memory({ array: array as MemoryArray, initiator }, host),
  policies,
}
const withPolicies = (...list: readonly unknown[]): SwarmParts => ({ ...parts, policies: list as SwarmPolicy[] })

describe('a plan that names its policies', () => {
  const names = policies.map(({ name }) => name)

  it('is the same schedule on parts that have others beside, in another order', async () => {
    const others = withPolicies({ name: 'other', create: () => roundRobin() }, policies[1], policies[0])
    let differ = 0
    for (let seed = 1; seed <= SEEDS; seed++) {
      const plan = drawPlan(seed)
      const outcome = await runPlan(plan, parts)
      expect(await runPlan({ ...plan, policies: names }, others), `seed ${seed}`).toEqual(outcome)
      if ((await runPlan(plan, others)).at !== outcome.at) differ++
    }
    expect(differ).toBeGreaterThan(0)
  })

  it('is not played on parts that lack one', async () => {
    const plan: Plan = { ...drawPlan(1), policies: ['queue-depth', 'weighted'] }
    await expect(runPlan(plan, parts)).rejects.toThrow(
      new TypeError('policies of the plan has weighted, which parts.policies lacks: it has round-robin, queue-depth'),
    )
  })
})

describe('parts that no schedule can be played on', () => {
  const throws = (): never => {
    throw new Error('no licence')
  }

  it.each([
    [
      'no policies',
      { ...parts, policies: undefined },
      'parts.policies is undefined; it must be a list of at least one',
    ],
    ['an empty list', withPolicies(), 'parts.policies is empty; it must be a list of at least one policy'],
    [
      'a create that throws',
      withPolicies({ name: 'x', create: throws }),
      'parts.policies: create of x threw: no licence',
    ],
    [
      'no policy made',
      withPolicies({ name: 'x', create: () => ({}) }),
      'create of x returned no policy, { name, update',
    ],
    ['no array', { ...parts, createArray: undefined }, 'parts.createArray is undefined; it must be a function'],
    ['no target', { ...parts, createTarget: 1 }, 'parts.createTarget is 1; it must be a function'],
  ])('are a wrong argument, and no fault: %s', async (_what, wrong, words) => {
    const error: unknown = await runPlan(drawPlan(1), wrong as SwarmParts).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(TypeError)
    expect(String(error)).toContain(words)
  })
})

describe('a seed', () => {
  it.each([-1, 1.5, Number.NaN, 2 ** 53, '1', undefined])('that is %s is refused in words', (seed) => {
    const words = `seed is ${seed}; it must be a whole number from 0 on, below 2 ** 53`
    expect(() => drawPlan(seed as number)).toThrow(new TypeError(words))
  })

  it('may be any whole number from 0 on', () => {
    for (const seed of [0, 1, 2 ** 32, 2 ** 53 - 1]) expect(drawPlan(seed).seed).toBe(seed)
  })
})

describe('a printed test', () => {
  const plan = drawPlan(3)

  it('has its imports, its parts and the names of its policies', () => {
    const text = printTest(plan, 'lost', { parts, ...settingOf(undefined) })
    for (const line of [
      "import { expect, it } from 'vitest'",
      "import { runPlan } from '@blockbraid/testkit/simulation'",
      "import { roundRobin } from '@blockbraid/policy-round-robin'",
      'const parts: SwarmParts = {',
      "    policies: ['round-robin', 'queue-depth'],",
      '  // lost',
    ]) {
      expect(text.split('\n')).toContain(line)
    }
    expect(text).not.toContain('export ')
  })

  it('says what has to be patched where it was found with a bug', () => {
    const text = printTest(plan, 'lost', { parts, ...settingOf(bugNamed('double-completion')) })
    expect(text).toContain(
      '\n// It fails with the bug double-completion alone: what met trouble is done twice. In packages/core/src/',
    )
    expect(text).toContain('\n//         if (twice) parent.done(parent, status)\n')
  })

  it('says that it needs parts where none are given', () => {
    expect(printTest(plan, "it's")).toContain('// With the parts that it was played on, as `const parts: SwarmParts`.')
  })
})
