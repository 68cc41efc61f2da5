// Our NVMe/TCP initiator beside our iSCSI initiator, on the same volume behind the simulated array of each: in turn on one
// core, the arrays on the other. Medians; ratios are NVMe's to iSCSI's, medians of those of the rounds.
//   compare.ts --rounds N (5) --seconds N (3) --beside FOLDER
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpus } from 'node:os'
import { parseArgs, promisify } from 'node:util'
import { nodeWith } from '../checkout.ts'
import type { Allocation } from '../iscsi/allocations.ts'
import type { Load } from '../path-load.ts'
import { median, NOISE, ratio, verdict } from '../statistics.ts'

const run = promisify(execFile)
const INITIATOR_CORE = '0'
const TARGET_CORE = '1'
// µs of CPU time for a 4 KiB read at depth 128.
const LEAN = 2

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    beside: { type: 'string' },
  },
})
const rounds = Number(values.rounds)

interface Job {
  readonly title: string
  readonly depth: number
  readonly size: number
  readonly writes: boolean
}

const small = [1, 32, 128].flatMap((depth) =>
  [false, true].map((writes) => ({ title: `4k random ${writes ? 'writes' : 'reads'}`, depth, size: 4096, writes })),
)
const jobs: readonly Job[] = [...small, { title: '128k random reads', depth: 8, size: 131_072, writes: false }]

type Protocol = 'nvme' | 'iscsi'
type Places = Readonly<Record<Protocol, readonly [portal: string, name: string]>>

const contenders: readonly { readonly name: string; readonly protocol: Protocol; readonly checkout?: string }[] = [
  { name: 'nvme', protocol: 'nvme' },
  { name: 'iscsi', protocol: 'iscsi' },
  ...(values.beside === undefined
    ? []
    : [{ name: 'nvme, before', protocol: 'nvme', checkout: values.beside } as const]),
]

console.log(`node ${process.version}; ${cpus().length} CPUs ${cpus()[0]?.model}`)
const child = spawn('taskset', ['-c', TARGET_CORE, process.execPath, 'bench/nvme/serve.ts'], {
  stdio: ['pipe', 'pipe', 'inherit'],
})
const exited = once(child, 'exit')
try {
  const [line] = await Promise.race([once(child.stdout, 'data'), exited])
  const places = JSON.parse(String(line)) as Places
  for (const job of jobs) await measure(job, places)
} finally {
  child.stdin.end()
  await exited
}

async function measure(job: Job, places: Places): Promise<void> {
  const loads: Load[][] = contenders.map(() => [])
  for (let round = 0; round < rounds; round++) {
    for (const [index, one] of contenders.entries()) {
      loads[index]!.push((await load(job, places, one)) as Load)
    }
  }
  const garbage: string[] = []
  for (const one of contenders) {
    const { garbage: all } = (await load(job, places, one, ['--garbage'])) as { garbage: Allocation[] }
    garbage.push(ownersOf(all))
  }
  print(job, loads, garbage)
}

async function load(
  { depth, size, writes }: Job,
  places: Places,
  { protocol, checkout }: (typeof contenders)[number],
  more: readonly string[] = [],
): Promise<unknown> {
  const flags = ['--depth', String(depth), '--size', String(size), '--seconds', values.seconds]
  const script = [
    'bench/nvme/load.ts',
    protocol,
    ...places[protocol],
    ...flags,
    ...(writes ? ['--writes'] : []),
    ...more,
  ]
  const { stdout } = await run('taskset', ['-c', INITIATOR_CORE, ...nodeWith(checkout), ...script])
  return JSON.parse(stdout)
}

function ownersOf(all: readonly Allocation[]): string {
  const owners = new Map<string, number>()
  for (const { owner, bytes } of all) owners.set(owner, (owners.get(owner) ?? 0) + bytes)
  return [...owners].map(([owner, bytes]) => `${owner} ${bytes.toFixed(1)}`).join(', ')
}

function print(job: Job, loads: readonly Load[][], garbage: readonly string[]): void {
  const iops = loads.map((each) => each.map((one) => one.iops))
  const cpu = loads.map((each) => each.map((one) => one.cpu))
  console.log(`\n${job.title}, depth ${job.depth}: medians of ${rounds}`)
  console.log('                I/Os a second (least to most)      CPU, µs per I/O   bytes allocated per I/O')
  for (const [index, { name }] of contenders.entries()) {
    const own = iops[index]!
    const range = `(${Math.min(...own).toFixed(0)} to ${Math.max(...own).toFixed(0)})`
    const speed = [median(own).toFixed(0).padStart(8), range.padEnd(24), median(cpu[index]!).toFixed(2).padStart(15)]
    console.log(`  ${[name.padEnd(14), ...speed].join(' ')}   ${garbage[index]}`)
  }
  for (const [index, { name }] of contenders.entries()) {
    if (index === 0) continue
    console.log(verdict({ of: `times ${name}`, value: ratio(iops[0]!, iops[index]!), atLeast: 1 - NOISE }))
    console.log(verdict({ of: `of the CPU of ${name}`, value: ratio(cpu[0]!, cpu[index]!), atMost: 1 + NOISE }))
  }
  if (job.depth !== 128 || job.writes) return
  console.log(verdict({ of: 'µs of CPU per 4k read', value: median(cpu[0]!), atMost: LEAN }))
}
