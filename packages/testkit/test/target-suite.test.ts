import type { Target } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import type { TargetSuiteOptions } from '../src/index.ts'
import { createMinimalArray, runMutants, targetMutants, targetSuite, virtualHost } from '../src/index.ts'
import type { MinimalArray } from '../src/minimal/array.ts'

const host = virtualHost(1)
const arrays = new WeakMap<Target, MinimalArray>()
let latest: MinimalArray

const minimal: TargetSuiteOptions = {
  async open() {
    const array = createMinimalArray(host)
    arrays.set(array.target, array)
    latest = array
    return array.target
  },
  has: { changed: true, exchange: true, fence: true },
  expect: { volumes: 2, paths: 4 },
  change: (target) => arrays.get(target)!.addVolume(),
  exchange: (target, info) => arrays.get(target)!.exchange(info),
  hang: (path) => latest.hang(path),
  release: (path) => latest.release(path),
  kill: (target) => arrays.get(target)!.killProcess(target),
  heir: async (target) => arrays.get(target)!.heir(),
  clock: host.clock,
}

describe('the minimal target', () => targetSuite({ describe, it }, minimal))

describe('mutants of the target suite', async () => {
  const reports = await runMutants(targetSuite, minimal, targetMutants)
  it.each(reports)('catches a target that $name', ({ outcome, failures }) => {
    expect(outcome, failures.join('\n')).toBe('caught')
  })
})
