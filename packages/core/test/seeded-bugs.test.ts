import { describe, expect, it } from 'vitest'
import { bugs, patchOf } from '../../../scripts/sim/bugs/all.ts'
import { run } from '../../../scripts/sim/crew.ts'

const SCHEDULES = 300

describe('the seeded bugs', () => {
  it('apply to the sources as they are', () => {
    for (const bug of bugs) expect(() => patchOf(bug), bug.name).not.toThrow()
    expect(new Set(bugs.map(({ name }) => name)).size).toBe(bugs.length)
  })

  it.each(['double-completion', 'lost-parked', 'split-hides-error'])('%s is found', async (bug) => {
    const time = Number.POSITIVE_INFINITY
    const { found } = await run({ from: 1, count: SCHEDULES, time, jobs: 1, bug, shrinks: false })
    expect(found?.fault).toBeDefined()
  })
})
