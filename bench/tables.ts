import type { NbdJob } from './jobs.ts'
import { BEFORE, OURS } from './servers.ts'
import type { Goal } from './statistics.ts'
import { median, NOISE, ratio, verdict } from './statistics.ts'

/** One run. */
export interface Sample {
  readonly iops: number
  /** CPU time of the server per I/O, µs. */
  readonly cpu: number
  /** Shares of the time that the cores were busy, by whomever; what begins and ends a run can make it more than 1. */
  readonly server: number
  readonly client: number
}

/** The runs of each contender, in the order of the rounds. */
export type Results = Map<string, Sample[]>

type Column = (sample: Sample) => number

const iopsOf: Column = ({ iops }) => iops
const cpuOf: Column = ({ cpu }) => cpu
const STANDARD = 'qemu-nbd'
// Of a run's time; what is left goes to its beginning and its end.
const FULL = 0.95

const column = (results: Results, name: string, of: Column): number[] => (results.get(name) ?? []).map(of)
const whole = (value: number): string => Math.round(value).toLocaleString('en-US')
const share = (values: readonly number[]): string => `${Math.min(100, Math.round(median(values) * 100))} %`

/** Prints all contenders in one job, and whether its goals are met. At most 80 columns. */
export function printJob(job: NbdJob, client: string, results: Results): void {
  const { connections, title } = job
  const who = client === 'fio' || connections === 1 ? client : `${client}, ${connections} connections`
  const rounds = results.get(OURS.multipath)?.length
  console.log(`\n${title}, by ${who}: medians of ${rounds}`)
  console.log('                              I/Os a second    to qemu-nbd     CPU   core busy')
  console.log('                       median   least    most  times   CPU  µs/IO  server client')
  for (const [name, samples] of results) {
    const iops = samples.map(iopsOf)
    const times = ratio(iops, column(results, STANDARD, iopsOf)).toFixed(2)
    const cpu = ratio(samples.map(cpuOf), column(results, STANDARD, cpuOf)).toFixed(2)
    console.log(
      name.padEnd(22) +
        [whole(median(iops)), whole(Math.min(...iops)), whole(Math.max(...iops))]
          .map((text, index) => text.padStart(index === 0 ? 7 : 8))
          .join('') +
        times.padStart(7) +
        cpu.padStart(6) +
        median(samples.map(cpuOf)).toFixed(1).padStart(7) +
        share(samples.map(({ server }) => server)).padStart(8) +
        share(samples.map(({ client }) => client)).padStart(7),
    )
  }
  console.log(`  limit of ${OURS.multipath}: ${limitOf(results.get(OURS.multipath) ?? [])}`)
  for (const goal of goals(job, results)) console.log(verdict(goal))
}

/** Whose core had no time left. */
function limitOf(samples: readonly Sample[]): string {
  const full = (['server', 'client'] as const).filter((side) => median(samples.map((sample) => sample[side])) > FULL)
  return full.length === 0 ? 'waiting for one another' : `the core of the ${full.join(' and that of the ')}`
}

function goals({ times, simple, cpu }: NbdJob, results: Results): Goal[] {
  const beside = (of: string, one: string, other: string, column_: Column): Goal & { value: number } => ({
    of,
    value: ratio(column(results, one, column_), column(results, other, column_)),
  })
  const { multipath } = OURS
  const all: Goal[] = [{ ...beside('times qemu-nbd', multipath, STANDARD, iopsOf), atLeast: times }]
  if (simple !== undefined) {
    all.push({ ...beside('times qemu-nbd, with simple replies', OURS.simple, STANDARD, iopsOf), atLeast: simple })
  }
  if (cpu !== undefined) {
    all.push({ ...beside("of qemu-nbd's CPU per I/O", multipath, STANDARD, cpuOf), atMost: cpu })
  }
  all.push({ ...beside('times nbdkit', multipath, 'nbdkit', iopsOf), atLeast: 1 })
  all.push({ ...beside('times the native path', multipath, OURS.native, iopsOf), atLeast: 0.95 })
  for (const name of [multipath, OURS.simple]) {
    if (!results.has(name + BEFORE)) continue
    all.push({ ...beside(`times ${name}${BEFORE}`, name, name + BEFORE, iopsOf), atLeast: 1 - NOISE })
    all.push({ ...beside(`of the CPU of ${name}${BEFORE}`, name, name + BEFORE, cpuOf), atMost: 1 + NOISE })
  }
  return all
}

/** Prints all jobs as the tables of docs/performance.md. */
export function printSummary(client: string, all: ReadonlyMap<NbdJob, Results>): void {
  const tables: readonly [string, Column, (value: number) => string, string][] = [
    [`${client}: I/Os a second`, iopsOf, whole, 'times qemu-nbd'],
    [`${client}: CPU, µs per I/O`, cpuOf, (value) => value.toFixed(1), 'to qemu-nbd'],
  ]
  for (const [title, of, text, compared] of tables) {
    console.log(`\n| ${title} | blockbraid | qemu-nbd | nbdkit | ${compared} |`)
    console.log('|---|---|---|---|---|')
    for (const [{ title }, results] of all) {
      const shown = (name: string): string => text(median(column(results, name, of)))
      const to = (name: string): string => ratio(column(results, name, of), column(results, STANDARD, of)).toFixed(2)
      const { multipath, simple } = OURS
      const cells = [`${shown(multipath)} (${shown(simple)})`, shown(STANDARD), shown('nbdkit')]
      console.log(`| ${title} | ${cells.join(' | ')} | ${to(multipath)} (${to(simple)}) |`)
    }
  }
  console.log('\nIn brackets: with simple replies. CPU is that of the server.')
}
