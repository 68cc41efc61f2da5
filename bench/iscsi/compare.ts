// Initiators beside one another on one logical unit, each in turn on one core, the target on the other; then through NBD
// exports with fio beside qemu-nbd. Medians; ratios are the first row's to the others', medians of those of the rounds.
//   compare.ts --rounds N (5) --seconds N (3) --beside FOLDER [perf] [array] [nbd] [garbage]
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { nodeWith } from '../checkout.ts'
import { fio, type Job } from '../fio.ts'
import type { Load } from '../path-load.ts'
import type { Contender } from '../servers.ts'
import { CLIENT_CORE, cpuSeconds, SERVER_CORE, startServer } from '../servers.ts'
import { median, NOISE, ratio, verdict } from '../statistics.ts'
import { startArray } from './array.ts'
import { printGarbage } from './garbage.ts'
import type { Reads } from './initiators.ts'
import { BEFORE, initiators } from './initiators.ts'
import type { Lun } from './lun.ts'
import { urlOf } from './lun.ts'
import { besideSpinner } from './spinner.ts'
import { startTgt } from './tgt.ts'

const INITIATOR_CORE = '0'
const TARGET_CORE = '1'
// Behind an export three programs work: where there is no third core, the target shares fio's.
const FAR_CORE = cpus().length > 2 ? '2' : CLIENT_CORE

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    beside: { type: 'string' },
  },
})
const rounds = Number(values.rounds)
const seconds = Number(values.seconds)
const wanted = (name: string): boolean => positionals.length === 0 || positionals.includes(name)

const peers = execFileSync('dpkg-query', ['-W', 'libiscsi-bin', 'tgt', 'qemu-utils'], { encoding: 'utf8' })
console.log(
  `${peers.trim().replaceAll(/\s+/g, ' ')}, node ${process.version}; ${cpus().length} CPUs ${cpus()[0]?.model}`,
)
const folder = await mkdtemp(join(tmpdir(), 'blockbraid-bench-iscsi-'))
try {
  if (wanted('perf')) await onLun(() => startTgt(folder, TARGET_CORE), perf)
  if (wanted('array')) await onLun(() => startArray(TARGET_CORE), perf)
  if (wanted('nbd')) await onLun(() => startTgt(folder, FAR_CORE), exports)
  if (wanted('garbage'))
    await onLun(
      () => startTgt(folder, TARGET_CORE),
      (lun) => printGarbage(lun, INITIATOR_CORE),
    )
} finally {
  await rm(folder, { recursive: true })
}

async function onLun(start: () => Promise<Lun>, use: (lun: Lun) => Promise<void>): Promise<void> {
  const lun = await start()
  try {
    await use(lun)
  } finally {
    await lun.stop()
  }
}

async function perf(lun: Lun): Promise<void> {
  const all = initiators(values.beside)
  const run = (reads: Reads): Promise<Load[][]> => inTurn(all, ({ read }) => read(lun, reads, seconds, INITIATOR_CORE))
  for (const random of [true, false]) {
    for (const depth of [1, 32, 128]) {
      const title = `${lun.name}: 4k ${random ? 'random' : 'sequential'} reads, depth ${depth}`
      print(title, '2 times iscsi-perf on the simulated array', all, await run({ depth, random }))
    }
  }
  const busy = await besideSpinner(INITIATOR_CORE, () => run({ depth: 1, random: true }))
  print(`${lun.name}: 4k random reads, depth 1, beside a spinner`, 'ahead of iscsi-perf', all, busy)
}

async function exports(lun: Lun): Promise<void> {
  const qemu = join(folder, 'qemu.sock')
  const ours = (name: string, checkout?: string): Promise<Contender> => {
    const socket = join(folder, `${name}.sock`)
    const script = ['bench/iscsi/export.ts', lun.portal, lun.target, lun.lun, socket]
    return startServer(name, socket, 'disk', [...nodeWith(checkout), ...script])
  }
  const servers = [
    await ours('blockbraid'),
    ...(values.beside === undefined ? [] : [await ours(BEFORE, values.beside)]),
    await startServer('qemu-nbd', qemu, 'x', [
      ...['qemu-nbd', '-f', 'raw', '-t', '-e', '8', '-x', 'x', '-k', qemu, urlOf(lun)],
    ]),
  ]
  try {
    for (const depth of [1, 32]) {
      const job: Job = { name: 'read', rw: 'randread', blockSize: '4k', depth }
      const results = await inTurn(servers, async ({ uri, pid }) => {
        const before = cpuSeconds(pid)
        const iops = await fio(uri, '64GiB', job, seconds)
        return { iops, cpu: ((cpuSeconds(pid) - before) * 1e6) / (iops * seconds) }
      })
      const place = `server on core ${SERVER_CORE}, fio on ${CLIENT_CORE}, target on ${FAR_CORE}`
      const goal = `CPU at most ${depth === 1 ? 0.9 : 0.7} of qemu-nbd's`
      print(`${lun.name}, through NBD: 4k randread, depth ${depth} (${place})`, goal, servers, results)
    }
  } finally {
    for (const { stop } of servers) await stop()
  }
}

/** `rounds` runs of each, in turn, so that whatever else the machine does meets all of them. */
async function inTurn<Item>(items: readonly Item[], run: (item: Item) => Promise<Load>): Promise<Load[][]> {
  const results: Load[][] = items.map(() => [])
  for (let round = 0; round < rounds; round++) {
    for (const [index, item] of items.entries()) results[index]!.push(await run(item))
  }
  return results
}

function print(title: string, goal: string, who: readonly { name: string }[], results: readonly Load[][]): void {
  type Column = (load: Load) => number
  const columns: readonly Column[] = [({ iops }) => iops, ({ cpu }) => cpu]
  const beside = (of: Column, one: number, other: number): number =>
    ratio(results[one]!.map(of), results[other]!.map(of))
  console.log(`\n${title}: medians of ${rounds}`)
  console.log('                I/Os a second (least to most)      ratio   CPU, µs per I/O   ratio')
  for (const [index, { name }] of who.entries()) {
    const [iops, cpu] = columns.map((of) => results[index]!.map(of)) as [number[], number[]]
    const range = `(${Math.min(...iops).toFixed(0)} to ${Math.max(...iops).toFixed(0)})`
    const [times, share] = columns.map((of) => (index === 0 ? '' : beside(of, 0, index).toFixed(2)).padStart(7))
    const speed = [median(iops).toFixed(0).padStart(8), range.padEnd(24), times]
    console.log(`  ${[name.padEnd(14), ...speed, median(cpu).toFixed(1).padStart(17), share].join(' ')}`)
  }
  console.log(`  goal: ${goal}`)
  for (const [old, { name }] of who.entries()) {
    if (!name.endsWith(BEFORE)) continue
    const now = old - who.findIndex((one) => one.name.endsWith(BEFORE))
    const [times, share] = columns.map((of) => beside(of, now, old)) as [number, number]
    console.log(verdict({ of: `times ${name}`, value: times, atLeast: 1 - NOISE }))
    console.log(verdict({ of: `of the CPU of ${name}`, value: share, atMost: 1 + NOISE }))
  }
}
