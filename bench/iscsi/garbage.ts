import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Allocation } from './allocations.ts'
import type { Lun } from './lun.ts'

const run = promisify(execFile)

/** Prints how many bytes a read allocates, by whose code does it, and which functions of ours most. */
export async function printGarbage({ name, portal, target, lun }: Lun, core: string): Promise<void> {
  console.log(`\n${name}: bytes allocated per 4k random read (goal: 0 beyond what node:net itself makes)`)
  for (const into of [true, false]) {
    for (const depth of ['1', '32', '128']) {
      const script = ['bench/iscsi/load.ts', portal, target, lun, '--depth', depth, '--random', '--garbage']
      const { stdout } = await run('taskset', ['-c', core, process.execPath, ...script, ...(into ? ['--into'] : [])])
      const { garbage } = JSON.parse(stdout) as { garbage: Allocation[] }
      const owners = new Map<string, number>()
      for (const { owner, bytes } of garbage) owners.set(owner, (owners.get(owner) ?? 0) + bytes)
      console.log(`  ${into ? 'into buffers' : 'as views'}, depth ${depth}: ${list([...owners])}`)
      const ours = garbage.filter(({ owner, bytes }) => owner !== 'node' && bytes >= 1).slice(0, 6)
      if (ours.length > 0) console.log(`    of that ${list(ours.map((one) => [one.function, one.bytes]))}`)
    }
  }
}

function list(parts: readonly (readonly [string, number])[]): string {
  return parts.map(([what, bytes]) => `${what} ${bytes.toFixed(1)}`).join(', ')
}
