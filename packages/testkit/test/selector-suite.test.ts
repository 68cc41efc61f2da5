import { describe, expect, it } from 'vitest'
import type { SelectorSuiteOptions } from '../src/index.ts'
import { collect, createMinimalSelector, runMutants, selectorMutants, selectorSuite } from '../src/index.ts'

const minimal: SelectorSuiteOptions = { create: createMinimalSelector, has: { spreads: true } }

describe('the minimal selector', () => selectorSuite({ describe, it }, minimal))

describe('mutants of the selector suite', async () => {
  const reports = await runMutants(selectorSuite, minimal, selectorMutants)
  it.each(reports)('catches a policy that $name', ({ outcome, failures }) => {
    expect(outcome, failures.join('\n')).toBe('caught')
  })
})

it('says what V8 boxes, and what to take in its place', async () => {
  let drawn = 0
  const create: SelectorSuiteOptions['create'] = () => {
    const selector = createMinimalSelector()
    return {
      name: 'draws',
      update: (paths) => selector.update(paths),
      select(io) {
        drawn = Math.random() + drawn / 2
        return selector.select(io)
      },
    }
  }
  const reports = await collect((runner) => selectorSuite(runner, { create, has: { spreads: true } }))
  const failed = reports.filter(({ outcome }) => outcome === 'failed')
  expect(failed.map(({ title }) => title)).toEqual(['rule 11: select allocates nothing'])
  expect(String(failed[0]!.error)).toMatch(/a let keeps .* integerRandom of @blockbraid\/core .* Float64Array/)
})

it('gives its runner a time-out that is longer than its own limit, so that "stuck, waiting for" is told', () => {
  const timeouts: (number | undefined)[] = []
  const it = (_title: string, _body: () => Promise<void>, timeout?: number): void => void timeouts.push(timeout)
  selectorSuite({ describe: (_title, body) => body(), it }, minimal)
  for (const timeout of timeouts) expect(timeout).toBeGreaterThan(10_000)
})
