// Inside the machine: kernel nodes beside one another with the same fio jobs, and the user-space device itself.
// Prints one line of JSON.   guest.ts ROUNDS SECONDS
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { readDirectly } from './direct.ts'
import type { Contender, Job, Sample } from './jobs.ts'
import { jobs, SIZE } from './jobs.ts'

const [rounds, seconds] = process.argv.slice(2).map(Number) as [number, number]
const started: { stop(): Promise<void> }[] = []
const contenders: Contender[] = []

const QEMU_NODE = '/dev/nbd9'
for (const kind of ['ublk', 'nbd'] as const) {
  const node = await serve(kind)
  contenders.push({ name: `blockbraid ${node.replace(/\d+$/, '')}`, read: (job) => onNode(node, job) })
}
await qemu()
contenders.push({ name: 'qemu-nbd, nbd-client', read: (job) => onNode(QEMU_NODE, job) })
contenders.push({ name: 'the user-space device', read: (job) => withCpu(() => readDirectly(job, seconds)) })

// Every one reads back real data, none of them holes, and V8 has compiled what is measured.
for (const { name, read } of contenders) {
  await read({ name: 'fill', rw: 'write', blockSize: 131_072, depth: 4, whole: true })
  await read({ name: 'warm', rw: 'randread', blockSize: 4096, depth: 32 })
  console.error(`${name} is warm`)
}
const results: Record<string, Record<string, Sample[]>> = {}
for (const job of jobs) {
  const samples: Record<string, Sample[]> = {}
  for (let round = 0; round < rounds; round++) {
    for (const { name, read } of contenders) {
      samples[name] ??= []
      samples[name].push(await read(job))
    }
  }
  results[job.name] = samples
  console.error(`${job.name} is done`)
}
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

function onNode(node: string, { name, rw, blockSize, depth, whole }: Job): Promise<Sample> {
  return withCpu(async () => {
    const length = whole ? [] : ['--time_based', `--runtime=${seconds}`]
    const args = [
      ...[`--name=${name}`, `--filename=${node}`, `--rw=${rw}`, `--bs=${blockSize}`, `--iodepth=${depth}`],
      ...['--ioengine=libaio', '--direct=1', '--thread', '--output-format=json', ...length],
    ]
    const child = spawn('fio', args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    for await (const chunk of child.stdout) output += chunk
    const { jobs: done } = JSON.parse(output) as {
      jobs: { error: number; read: { total_ios: number; iops: number }; write: { total_ios: number; iops: number } }[]
    }
    const [job] = done
    if (job === undefined || job.error !== 0) throw new Error(`fio failed on ${node}: ${output}`)
    const { total_ios: ios, iops } = rw === 'write' ? job.write : job.read
    return { ios, iops }
  })
}

/** Adds the CPU time that the whole machine spent for each I/O: application, kernel and server. */
async function withCpu(work: () => Promise<{ ios: number; iops: number }>): Promise<Sample> {
  const before = busy()
  const { ios, iops } = await work()
  return { iops, cpu: ((busy() - before) * 1e6) / ios }
}

// proc(5): the first line of /proc/stat counts user, nice, system, idle, iowait, irq, softirq in 1/100 s.
function busy(): number {
  const fields = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]!.split(/\s+/).slice(1).map(Number)
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = fields
  return (user + nice + system + irq + softirq) / 100
}
