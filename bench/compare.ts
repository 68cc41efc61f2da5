import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { busySeconds } from './cores.ts'
import { fio } from './fio.ts'
import type { NbdJob } from './jobs.ts'
import { leanClient } from './lean.ts'
import type { Contender } from './servers.ts'
import { blockbraid, CLIENT_CORE, cpuSeconds, nbdkit, qemuNbd, SERVER_CORE } from './servers.ts'
import type { Results, Sample } from './tables.ts'
import { printJob, printSummary } from './tables.ts'

const SIZE = '512MiB'
const BYTES = 512 * 1024 * 1024

/** How long to measure, and what is served beside this checkout. */
export interface Effort {
  readonly rounds: number
  /** Of one run. */
  readonly seconds: number
  /** Another checkout that is built. */
  readonly beside: string | undefined
}

/** Runs a job for some seconds; I/Os per second. */
type Client = (contender: Contender, job: NbdJob, seconds: number) => Promise<number>

/** NBD servers beside one another, each pinned to one core and the client to the other: with fio, then with lean.c. */
export async function compareServers(jobs: readonly NbdJob[], { rounds, seconds, beside }: Effort): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'blockbraid-bench-'))
  const file = join('/dev/shm', `blockbraid-bench-${process.pid}.img`)
  const contenders: Contender[] = []
  try {
    await writeFile(file, '')
    execFileSync('truncate', ['-s', String(BYTES), file])
    contenders.push(...(await blockbraid(folder, SIZE)))
    if (beside !== undefined) contenders.push(...(await blockbraid(folder, SIZE, beside)))
    contenders.push(await qemuNbd(folder, file), await nbdkit(folder, SIZE))
    // Every server reads back real data, none of them holes.
    const fill = { name: 'fill', rw: 'write', blockSize: '1m', depth: 4 }
    for (const { uri } of contenders) await fio(uri, SIZE, fill, 0)
    const lean = leanClient(folder)
    const byFio: Client = ({ uri }, job, seconds) => fio(uri, SIZE, job, seconds)
    await compare('fio', byFio)
    if (lean !== undefined)
      await compare('lean', (contender, job, seconds) => lean.load(contender, BYTES, job, seconds))
  } finally {
    for (const { stop } of contenders) await stop()
    await rm(file, { force: true })
    await rm(folder, { recursive: true })
  }

  async function compare(name: string, client: Client): Promise<void> {
    const all = new Map<NbdJob, Results>()
    for (const job of jobs) {
      const results = await measure(job, client)
      printJob(job, name, results)
      all.set(job, results)
    }
    printSummary(name, all)
  }

  async function measure(job: NbdJob, client: Client): Promise<Results> {
    const results: Results = new Map(contenders.map(({ name }) => [name, []]))
    // V8 has compiled what is measured.
    for (const contender of contenders) await client(contender, job, 1)
    for (let round = 0; round < rounds; round++) {
      // In turn, so that whatever else the machine does meets all of them.
      for (const contender of contenders) results.get(contender.name)?.push(await sample(contender, job, client))
    }
    return results
  }

  async function sample(contender: Contender, job: NbdJob, client: Client): Promise<Sample> {
    const { pid } = contender
    const now = (): number[] => [cpuSeconds(pid), busySeconds(SERVER_CORE), busySeconds(CLIENT_CORE)]
    const before = now()
    const iops = await client(contender, job, seconds)
    const [cpu = 0, server = 0, clients = 0] = now().map((value, index) => value - (before[index] as number))
    return { iops, cpu: (cpu * 1e6) / (iops * seconds), server: server / seconds, client: clients / seconds }
  }
}
