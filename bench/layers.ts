import { execFileSync } from 'node:child_process'
import { nodeWith } from './checkout.ts'
import type { Effort } from './compare.ts'
import type { Cost } from './micro.ts'
import { SERVER_CORE } from './servers.ts'
import { median, ratio, verdict } from './statistics.ts'

const GOAL = 150
// What two runs of the same build differ by: where V8 happens to put things.
const NOISE = 0.1

/** Prints what select, submit and complete cost over four paths that do nothing. */
export async function measureLayers({ rounds, beside }: Effort): Promise<void> {
  const builds = beside === undefined ? [undefined] : [undefined, beside]
  const all = builds.map((): Cost[][] => [])
  for (let round = 0; round < rounds; round++) {
    for (const [index, checkout] of builds.entries()) all[index]?.push(run(checkout))
  }
  const [ours = [], before] = all
  console.log(`\nselect + submit + complete over 4 paths: medians of ${rounds}, ns per I/O, bytes`)
  for (const [index, { name }] of (ours[0] ?? []).entries()) {
    const times = (runs: readonly Cost[][]): number[] => runs.map((costs) => costs[index]?.nanoseconds ?? Number.NaN)
    const bytes = median(ours.map((costs) => costs[index]?.bytes ?? Number.NaN))
    console.log(
      verdict({ of: `ns, ${name} (${bytes.toFixed(2)} bytes; goal 0)`, value: median(times(ours)), atMost: GOAL }),
    )
    if (before === undefined) continue
    const of = `times what it was before (${median(times(before)).toFixed(0)} ns)`
    console.log(verdict({ of, value: ratio(times(ours), times(before)), atMost: 1 + NOISE }))
  }
}

function run(checkout: string | undefined): Cost[] {
  const command = ['-c', SERVER_CORE, ...nodeWith(checkout), '--expose-gc', 'bench/micro.ts']
  return JSON.parse(execFileSync('taskset', command, { encoding: 'utf8' })) as Cost[]
}
