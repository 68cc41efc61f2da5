import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { watched } from './memory.ts'
import { cpuSeconds } from './servers.ts'
import { verdict } from './statistics.ts'

const PAIRS = 100
const SECONDS = 5
const MIB = 1024 * 1024

/** An agent with 100 pairs of 4 paths: the memory that it holds, and the CPU time it uses in five seconds. */
export async function measureAgent(folder: string, checkout: string | undefined): Promise<void> {
  const control = join(folder, 'control.sock')
  const config = join(folder, 'config.yaml')
  const volumes = Array.from({ length: PAIRS }, () => '{ size: 1GiB }').join(', ')
  await writeFile(
    config,
    `control: ${control}
targets:
  - { use: memory, ports: 4, volumes: [${volumes}] }
devices:
  - volume: "*"
    name: "vol-{n}"
    policy: queue-depth
    transport: { use: nbd, socket: ${folder}/nbd.sock }
`,
  )
  const cli = join(checkout ?? '.', 'packages/agent/dist/cli.js')
  const agent = watched(checkout, [cli, 'up', config])
  try {
    const { pairs, paths } = await settled(cli, control)
    const before = cpuSeconds(agent.pid)
    await sleep(SECONDS * 1000)
    const used = cpuSeconds(agent.pid) - before
    const resident = residentBytes(agent.pid)
    const { rss, heap } = await agent.memory()
    console.log(
      verdict({ of: `MiB resident, agent with ${pairs} pairs, ${paths} paths`, value: resident / MIB, atMost: 95 }),
    )
    console.log(
      `  after a garbage collection ${(rss / MIB).toFixed(0)} MiB, of it ${(heap / MIB).toFixed(0)} JavaScript's and buffers`,
    )
    console.log(`  ${(used * 1000).toFixed(0)} ms of CPU in ${SECONDS} s`)
  } finally {
    await agent.stop()
  }
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

async function settled(cli: string, control: string): Promise<{ pairs: number; paths: number }> {
  for (let tries = 0; tries < 100; tries++) {
    await sleep(200)
    try {
      const { pairs } = JSON.parse(list(cli, control)) as { pairs: { paths: { state: string }[] }[] }
      const up = pairs.flatMap(({ paths }) => paths).filter(({ state }) => state === 'up')
      if (pairs.length === PAIRS && up.length === 4 * PAIRS) return { pairs: pairs.length, paths: up.length }
    } catch {
      // Not listening yet.
    }
  }
  throw new Error('the agent did not come up with all its paths')
}

function list(cli: string, control: string): string {
  return execFileSync(process.execPath, [cli, 'ls', '--json', '--control', control], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
}
