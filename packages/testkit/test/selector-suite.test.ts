import { describe, expect, it } from 'vitest'
import type { SelectorSuiteOptions } from '../src/index.ts'
import { createMinimalSelector, runMutants, selectorMutants, selectorSuite } from '../src/index.ts'

const minimal: SelectorSuiteOptions = { create: createMinimalSelector, has: { spreads: true } }

describe('the minimal selector', () => selectorSuite({ describe, it }, minimal))

describe('mutants of the selector suite', async () => {
  const reports = await runMutants(selectorSuite, minimal, selectorMutants)
  it.each(reports)('catches a policy that $name', ({ outcome, failures }) => {
    expect(outcome, failures.join('\n')).toBe('caught')
  })
})
