import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { watched } from './memory.ts'
import { cpuSeconds } from './servers.ts'
import type { Goal } from './statistics.ts'

const PAIRS = 100
const SECONDS = 5
const MIB = 1024 * 1024

/** An agent with 100 pairs of 4 paths: the memory that it holds, and the CPU time it uses in five seconds. */
export async function measureAgent(folder: string, checkout = '.'): Promise<Goal[]> {
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
  const cli = join(checkout, 'packages/agent/dist/cli.js')
  const agent = watched(undefined, [cli, 'up', config])
  try {
    const paths = await settled(cli, control)
    const before = cpuSeconds(agent.pid)
    await sleep(SECONDS * 1000)
    const used = cpuSeconds(agent.pid) - before
    const resident = residentBytes(agent.pid)
    const { heap } = await agent.memory()
    return [
      { of: `MiB resident, agent with ${PAIRS} pairs, ${paths} paths`, value: resident / MIB, atMost: 95 },
      { of: 'MiB of heap and buffers, after a collection', value: heap / MIB, atMost: 40 },
      { of: `ms of CPU in ${SECONDS} s`, value: used * 1000, atMost: 20 },
    ]
  } finally {
    await agent.stop()
  }
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

// Paths that are up.
async function settled(cli: string, control: string): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    await sleep(200)
    try {
      const { pairs } = JSON.parse(list(cli, control)) as { pairs: { paths: { state: string }[] }[] }
      const up = pairs.flatMap(({ paths }) => paths).filter(({ state }) => state === 'up')
      if (pairs.length === PAIRS && up.length === 4 * PAIRS) return up.length
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
