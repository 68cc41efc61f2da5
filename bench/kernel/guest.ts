// Inside the machine: kernel nodes beside one another with the same fio jobs, and the user-space device itself.
// Prints one line of JSON.   guest.ts ROUNDS SECONDS
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { UserDevice } from '@blockbraid/core'
import { createHostAgent } from '@blockbraid/core'
import { memory } from '@blockbraid/target-memory'
import { readDirectly } from './direct.ts'
import type { Contender } from './jobs.ts'
import { SIZE } from './jobs.ts'
import { measure, onNode, withCpu } from './measure.ts'

const [rounds, seconds] = process.argv.slice(2).map(Number) as [number, number]
const started: { stop(): Promise<void> }[] = []
const contenders: Contender[] = []

const QEMU_NODE = '/dev/nbd9'
for (const kind of ['ublk', 'nbd'] as const) {
  const node = await serve(kind)
  contenders.push({ name: `blockbraid ${node.replace(/\d+$/, '')}`, read: (job) => onNode(node, job, seconds) })
}
await qemu()
contenders.push({ name: 'qemu-nbd, nbd-client', read: (job) => onNode(QEMU_NODE, job, seconds) })
const device = await memoryDevice()
contenders.push({ name: 'the user-space device', read: (job) => withCpu(() => readDirectly(device, job, seconds)) })

const results = await measure(contenders, rounds)
for (const { stop } of started.reverse()) await stop()
console.log(JSON.stringify(results))

async function serve(kind: string): Promise<string> {
  const script = new URL('serve.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [script, kind, SIZE], { stdio: ['ignore', 'pipe', 'inherit'] })
  started.push({
    async stop() {
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  })
  for await (const line of createInterface({ input: child.stdout })) return line
  throw new Error(`the server of ${kind} ended`)
}

async function qemu(): Promise<void> {
  const file = '/dev/shm/bench.img'
  const socket = '/run/bench.sock'
  execFileSync('truncate', ['-s', SIZE.replace('iB', ''), file])
  const args = ['-t', '-f', 'raw', '-x', 'x', '-e', '4', '-k', socket, file]
  const server = spawn('qemu-nbd', args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const client = ['-unix', socket, '-N', 'x', QEMU_NODE]
  for (let tries = 0; ; tries++) {
    await sleep(200)
    try {
      execFileSync('nbd-client', client, { stdio: 'pipe' })
      break
    } catch (error) {
      if (tries > 50) throw error
    }
  }
  started.push({
    async stop() {
      execFileSync('nbd-client', ['-d', QEMU_NODE], { stdio: 'ignore' })
      server.kill('SIGTERM')
      await once(server, 'exit')
    },
  })
}

async function memoryDevice(): Promise<UserDevice> {
  const agent = createHostAgent({ targets: [memory({ volumes: [{ size: SIZE }] })] })
  await agent.rescan()
  return agent.open(agent.devices()[0]!.id)
}
