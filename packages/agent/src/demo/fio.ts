import type { Export, Load, LoadResult } from './load.ts'
import { BLOCK, DEPTH, LIMIT, RATE } from './load.ts'
import { askProgram, runProgram } from './program.ts'

interface FioReport {
  jobs?: {
    jobname: string
    error: number
    total_err?: number
    read: { total_ios: number }
    write: { total_ios: number }
  }[]
}

/** fio with its NBD engine, or undefined where it is not installed. */
export async function findFio(folder: string): Promise<Load | undefined> {
  const version = await askProgram('fio', ['--version'], folder)
  const engine = await askProgram('fio', ['--enghelp=nbd'], folder)
  if (version === undefined || engine === undefined || !engine.includes('uri')) return undefined
  return { program: version.replace('fio-', 'fio '), run }
}

async function run(exports: readonly Export[], folder: string, signal: AbortSignal): Promise<LoadResult> {
  const jobs = exports.flatMap(({ name, uri, size }) => [`--name=${name}`, `--uri=${uri}`, `--size=${size}`])
  const shared = [
    '--output-format=json',
    '--ioengine=nbd',
    '--rw=randwrite',
    `--bs=${BLOCK}`,
    `--iodepth=${DEPTH}`,
    `--rate_iops=${RATE}`,
    '--randseed=1',
    '--verify=crc32c',
    '--verify_state_save=0',
    '--thread',
  ]
  const ended = await runProgram('fio', [...shared, ...jobs], { folder, timeout: LIMIT, signal })
  const errors: string[] = []
  if (ended.code !== 0) errors.push(`fio ended with code ${ended.code}: ${ended.stderr.split('\n').at(-1)}`)
  // Warnings may stand before the report.
  const report = JSON.parse(ended.stdout.slice(Math.max(0, ended.stdout.indexOf('{'))) || '{}') as FioReport
  let writes = 0
  let reads = 0
  for (const { name, size } of exports) {
    const job = report.jobs?.find(({ jobname }) => jobname === name)
    if (job === undefined) {
      errors.push(`fio reports nothing about ${name}`)
      continue
    }
    writes += job.write.total_ios
    reads += job.read.total_ios
    if (job.error !== 0) errors.push(`fio: ${name}: error ${job.error}`)
    const blocks = size / BLOCK
    if (job.write.total_ios < blocks || job.read.total_ios < blocks)
      errors.push(`fio: ${name}: ${job.write.total_ios} writes and ${job.read.total_ios} reads of ${blocks} blocks`)
  }
  return { writes, reads, errors }
}
