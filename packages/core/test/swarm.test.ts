import { readFileSync } from 'node:fs'
import { queueDepth } from '@blockbraid/policy-queue-depth'
import { roundRobin } from '@blockbraid/policy-round-robin'
import type { MemoryArray } from '@blockbraid/target-memory'
import { createMemoryArray, memory } from '@blockbraid/target-memory'
import { forward } from '@blockbraid/testkit'
import type { Plan, RunOptions, Seams, SwarmParts } from '@blockbraid/testkit/simulation'
import { drawPlan, printTest, runPlan, shrinkPlan } from '@blockbraid/testkit/simulation'
import { describe, expect, it } from 'vitest'
import type { Path } from '../src/index.ts'

const FRESH = 1 + Math.floor(Math.random() * 2 ** 31)
const SCHEDULES = 120
const COMPARED = 30
const SEARCH = 600

const parts: SwarmParts = {
  createArray: createMemoryArray,
  createTarget: (array, initiator, host) => memory({ array: array as MemoryArray, initiator }, host),
  policies: [
    { name: 'round-robin', create: () => roundRobin() },
    { name: 'queue-depth', create: () => queueDepth() },
  ],
}

const byEventLoop = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

async function firstFault(from: number, count: number, options: RunOptions): Promise<Plan | undefined> {
  for (let seed = from; seed < from + count; seed++) {
    const plan = drawPlan(seed)
    if ((await runPlan(plan, parts, options)).fault !== undefined) return plan
  }
  return undefined
}

/** Paths whose close settles at once, so that core takes them for fenced. */
const unfenced: Seams = {
  target: (target) => ({
    name: target.name,
    events: target.events!,
    discover: (options) => target.discover(options),
    fence: (token, options) => target.fence!(token, options),
    close: (options) => target.close(options),
    async connect(info, options) {
      const path = await target.connect(info, options)
      return forward<Path>(path, { close: async () => void path.close() })
    },
  }),
}

describe('a swarm of schedules', () => {
  it(`finds nothing in ${SCHEDULES} new ones, from seed ${FRESH}`, async () => {
    const failed = await firstFault(FRESH, SCHEDULES, {})
    expect(failed === undefined ? '' : printTest(failed, 'as it was drawn', { parts })).toBe('')
  }, 120_000)

  it('ends in the same way with the event loop and without it', async () => {
    for (let seed = 1; seed <= COMPARED; seed++) {
      const plan = drawPlan(seed)
      const outcome = await runPlan(plan, parts)
      expect(await runPlan(plan, parts, { turn: byEventLoop }), `seed ${seed}`).toEqual(outcome)
    }
  }, 60_000)

  it('finds writes that move before their fence, and makes the schedule short', async () => {
    const options = { seams: unfenced }
    const plan = await firstFault(1, SEARCH, options)
    expect(plan).toBeDefined()
    const short = await shrinkPlan(
      plan!,
      async (shorter) => (await runPlan(shorter, parts, options)).fault !== undefined,
    )
    expect(short.events.length).toBeLessThan(plan!.events.length / 2)
    const { fault } = await runPlan(short, parts, options)
    expect(fault).toBeDefined()
    expect(printTest(short, fault!)).toContain(`seed: ${plan!.seed}`)
  }, 120_000)

  it('needs nothing of the machine', () => {
    const root = new URL('../../testkit/src/', import.meta.url)
    const seen = new Set<string>()
    const visit = (url: URL): void => {
      if (seen.has(url.href)) return
      seen.add(url.href)
      const source = readFileSync(url, 'utf8')
      expect(source, url.pathname).not.toMatch(/'node:|\bBuffer\b|\bset(?:Immediate|Timeout|Interval)\b|\bglobalThis\b/)
      for (const [, file] of source.matchAll(/from '(\.[^']+)'/g)) visit(new URL(file!, url))
    }
    visit(new URL('simulation/index.ts', root))
    expect(seen.size).toBeGreaterThan(15)
  })
})
