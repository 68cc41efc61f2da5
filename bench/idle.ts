import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { measureAgent } from './idle-agent.ts'
import { measureClients } from './idle-clients.ts'
import { leanClient } from './lean.ts'
import type { Goal } from './statistics.ts'
import { verdict } from './statistics.ts'

// What two runs of the same build differ by: when V8 last collected, and what the allocator kept.
const NOISE = 0.05
// Below one of a unit it says nothing.
const LEAST = 1

/** Prints what an idle agent holds, and what idle clients of an NBD server cost. */
export async function measureIdle(beside: string | undefined): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'blockbraid-idle-'))
  try {
    const lean = leanClient(folder)
    const measure = async (checkout?: string): Promise<Goal[]> => [
      ...(await measureAgent(folder, checkout)),
      ...(lean === undefined ? [] : await measureClients(folder, lean, checkout)),
    ]
    const goals = await measure()
    const before = beside === undefined ? [] : await measure(beside)
    console.log('\nidle')
    for (const [index, goal] of goals.entries()) {
      console.log(verdict(goal))
      const old = before[index]?.value
      if (old === undefined) continue
      const atMost = Math.max(old * (1 + NOISE), old + LEAST)
      console.log(verdict({ of: `  it was ${old.toFixed(1)} before`, value: goal.value, atMost }))
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}
