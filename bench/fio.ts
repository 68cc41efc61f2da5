import { execFile } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CLIENT_CORE } from './servers.ts'

const run = promisify(execFile)

/** A fio job. */
export interface Job {
  readonly name: string
  readonly rw: string
  readonly blockSize: string
  readonly depth: number
}

/** Runs one job against an NBD URI on the client's core; I/Os per second. */
export async function fio(uri: string, size: string, job: Job, seconds: number): Promise<number> {
  // fio's NBD engine talks on standard output.
  const report = join(tmpdir(), `blockbraid-fio-${process.pid}.json`)
  await run('taskset', [
    '-c',
    CLIENT_CORE,
    'fio',
    '--output-format=json',
    `--output=${report}`,
    '--name=bench',
    '--ioengine=nbd',
    `--uri=${uri}`,
    `--size=${size.replace('iB', '')}`,
    `--rw=${job.rw}`,
    `--bs=${job.blockSize}`,
    `--iodepth=${job.depth}`,
    ...(seconds > 0 ? ['--time_based', `--runtime=${seconds}`] : []),
  ])
  const output = await readFile(report, 'utf8')
  await rm(report)
  const [result] = (
    JSON.parse(output) as { jobs: { read: { iops: number }; write: { iops: number }; error: number }[] }
  ).jobs
  if (result === undefined || result.error !== 0) throw new Error(`fio failed against ${uri}: ${output}`)
  return result.read.iops + result.write.iops
}
