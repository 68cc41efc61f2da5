// Inside the machine: contenders one after another, round by round, with the CPU time that the whole machine spends.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Contender, Job, Sample } from './jobs.ts'
import { jobs } from './jobs.ts'

/** Samples of each contender, by job. */
export type Results = Readonly<Record<string, Readonly<Record<string, Sample[]>>>>

/** Every job with every contender, so many times. */
export async function measure(contenders: readonly Contender[], rounds: number): Promise<Results> {
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
  return results
}

/** fio on a block device. */
export function onNode(node: string, { name, rw, blockSize, depth, whole }: Job, seconds: number): Promise<Sample> {
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
export async function withCpu(work: () => Promise<{ ios: number; iops: number }>): Promise<Sample> {
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
