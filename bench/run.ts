// `npm run bench`: blockbraid beside qemu-nbd and nbdkit with the same fio jobs, in the same run, each
// server pinned to one core and fio to the other; then what the layers cost by themselves; then the iSCSI initiator
// beside libiscsi and qemu-nbd (bench/iscsi/compare.ts, where tgt and libiscsi are installed). Kernel nodes, which take
// a machine of their own, only where `kernel` is named (bench/kernel/compare.ts).
//   --rounds N (5)   --seconds N (3)   names of jobs, `micro`, `idle`, `iscsi` or `kernel`, to run only these
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fio, type Job } from './fio.ts'
import { blockbraid, type Contender, cpuSeconds, nbdkit, qemuNbd } from './servers.ts'

const jobs: readonly (Job & { readonly goal: number })[] = [
  { name: '4k-randread-32', rw: 'randread', blockSize: '4k', depth: 32, goal: 2.5 },
  { name: '4k-randwrite-32', rw: 'randwrite', blockSize: '4k', depth: 32, goal: 1.5 },
  { name: '256k-read-8', rw: 'read', blockSize: '256k', depth: 8, goal: 1.5 },
  { name: '4k-randread-1', rw: 'randread', blockSize: '4k', depth: 1, goal: 1 },
]
const SIZE = '512MiB'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '3' } },
})
const rounds = Number(values.rounds)
const seconds = Number(values.seconds)
const chosen = positionals.length === 0 ? jobs : jobs.filter(({ name }) => positionals.includes(name))
const versions = ['fio --version', 'qemu-nbd --version', 'nbdkit --version', 'node --version'].map(
  (line) => execFileSync('sh', ['-c', line], { encoding: 'utf8' }).split('\n')[0],
)
console.log(`${versions.join(', ')}; ${cpus().length} CPUs ${cpus()[0]?.model}`)
if (chosen.length > 0) await compare()
if (positionals.length === 0 || positionals.includes('micro')) await script('bench/micro.ts')
if (positionals.length === 0 || positionals.includes('idle')) await script('bench/idle.ts')
if (positionals.length === 0 || positionals.includes('iscsi')) withRounds('bench/iscsi/compare.ts')
if (positionals.includes('kernel')) withRounds('bench/kernel/compare.ts')

async function compare(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'blockbraid-bench-'))
  const file = join('/dev/shm', `blockbraid-bench-${process.pid}.img`)
  await writeFile(file, '')
  execFileSync('truncate', ['-s', SIZE.replace('iB', ''), file])
  const ours = await blockbraid(folder, SIZE)
  const contenders: Contender[] = [...ours, await qemuNbd(folder, file), await nbdkit(folder, SIZE)]
  try {
    // Every server reads back real data, none of them holes.
    for (const { uri } of contenders) await fio(uri, SIZE, { name: 'fill', rw: 'write', blockSize: '1m', depth: 4 }, 0)
    for (const job of chosen) print(job, contenders, await measure(job, contenders))
  } finally {
    for (const { stop } of contenders) await stop()
    await rm(file)
    await rm(folder, { recursive: true })
  }
}

interface Sample {
  readonly iops: number
  /** CPU time of the server per I/O, µs. */
  readonly cpu: number
}

async function measure(job: Job, contenders: readonly Contender[]): Promise<Sample[][]> {
  const results: Sample[][] = contenders.map(() => [])
  for (let round = 0; round < rounds; round++) {
    // In turn, so that whatever else the machine does meets all of them.
    for (const [index, { uri, pid }] of contenders.entries()) {
      const before = cpuSeconds(pid)
      const iops = await fio(uri, SIZE, job, seconds)
      results[index]?.push({ iops, cpu: ((cpuSeconds(pid) - before) * 1e6) / (iops * seconds) })
    }
  }
  return results
}

function print(job: (typeof jobs)[number], contenders: readonly Contender[], results: readonly Sample[][]): void {
  const medians = results.map((samples) => median(samples.map(({ iops }) => iops)))
  const ours = medians[0] as number
  console.log(`\n${job.name}: medians of ${rounds}`)
  console.log('                I/Os a second (least to most)      blockbraid   CPU of the server')
  for (const [index, { name }] of contenders.entries()) {
    const runs = (results[index] as Sample[]).map(({ iops }) => iops)
    const cpu = median((results[index] as Sample[]).map(({ cpu }) => cpu))
    const range = `(${Math.min(...runs).toFixed(0)} to ${Math.max(...runs).toFixed(0)})`
    const ratio = index === 0 ? '' : `${(ours / (medians[index] as number)).toFixed(2)} times`
    const columns = [
      name.padEnd(14),
      (medians[index] as number).toFixed(0).padStart(8),
      range.padEnd(24),
      ratio.padEnd(12),
    ]
    console.log(`  ${columns.join(' ')} ${cpu.toFixed(1).padStart(6)} µs per I/O`)
  }
  console.log(`  goal: ${job.goal} times qemu-nbd, ahead of nbdkit, at least 0.95 times the native path`)
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] as number
}

async function script(file: string): Promise<void> {
  console.log('')
  execFileSync('taskset', ['-c', '0', process.execPath, '--expose-gc', file], { stdio: 'inherit' })
}

// What pins by itself what it starts, or does so in another machine.
function withRounds(file: string): void {
  const length = ['--rounds', String(rounds), '--seconds', String(seconds)]
  execFileSync(process.execPath, [file, ...length], { stdio: 'inherit' })
}
