// An idle agent with 100 pairs of 4 paths: its resident memory, and the CPU time it uses in five seconds.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cpuSeconds } from './servers.ts'

const PAIRS = 100
const SECONDS = 5

const folder = await mkdtemp(join(tmpdir(), 'blockbraid-idle-'))
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
const cli = 'packages/agent/dist/cli.js'
const agent = spawn(process.execPath, [cli, 'up', config], { stdio: ['ignore', 'ignore', 'inherit'] })
const exited = once(agent, 'exit')
try {
  const { pairs, paths } = await settled()
  const before = cpuSeconds(agent.pid as number)
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000))
  const used = cpuSeconds(agent.pid as number) - before
  const status = await readFile(`/proc/${agent.pid}/status`, 'utf8')
  const rss = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024
  console.log(`idle agent, ${pairs} pairs, ${paths} paths: ${rss.toFixed(0)} MiB resident (goal below 150)`)
  console.log(`idle agent: ${(used * 1000).toFixed(0)} ms of CPU in ${SECONDS} s`)
} finally {
  agent.kill('SIGTERM')
  await exited
  await rm(folder, { recursive: true })
}

async function settled(): Promise<{ pairs: number; paths: number }> {
  for (let tries = 0; tries < 100; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 200))
    try {
      const { pairs } = JSON.parse(list()) as { pairs: { paths: { state: string }[] }[] }
      const up = pairs.flatMap(({ paths }) => paths).filter(({ state }) => state === 'up')
      if (pairs.length === PAIRS && up.length === 4 * PAIRS) return { pairs: pairs.length, paths: up.length }
    } catch {
      // Not listening yet.
    }
  }
  throw new Error('the agent did not come up with all its paths')
}

function list(): string {
  return execFileSync(process.execPath, [cli, 'ls', '--json', '--control', control], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
}
