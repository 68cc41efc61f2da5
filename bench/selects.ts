import { execFileSync } from 'node:child_process'
import { policies } from './policies.ts'
import type { SelectCost } from './select.ts'
import { SERVER_CORE } from './servers.ts'
import { verdict } from './statistics.ts'

/** Nanoseconds, by the number of paths. */
const GOALS: Readonly<Record<number, number>> = { 4: 50, 64: 1000 }

/** Prints what a select of each policy costs, each in a process of its own. */
export function measureSelects(): void {
  console.log('\nselect over 4 and 64 paths with I/O in flight: ns, bytes')
  for (const name of Object.keys(policies)) {
    const command = ['-c', SERVER_CORE, process.execPath, '--expose-gc', 'bench/select.ts', name]
    const costs = JSON.parse(execFileSync('taskset', command, { encoding: 'utf8' })) as SelectCost[]
    for (const { paths, nanoseconds, bytes } of costs) {
      const of = `ns, ${name}, ${paths} paths (${bytes.toFixed(1)} bytes; goal 0)`
      console.log(verdict({ of, value: nanoseconds, atMost: GOALS[paths]! }))
    }
  }
}
