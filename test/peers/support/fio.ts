import type { Ended, Running } from './tools.ts'
import { start } from './tools.ts'

/** What one fio job did. */
export interface FioJob {
  readonly reads: number
  readonly writes: number
  readonly trims: number
  readonly syncs: number
}

interface Report {
  jobs: {
    jobname: string
    error: number
    read: { total_ios: number }
    write: { total_ios: number }
    trim: { total_ios: number }
    sync: { total_ios?: number }
  }[]
}

/** Random reads and writes of 4 to 64 KiB, each write verified by its CRC soon after, with flushes. */
export const verifiedMix: readonly string[] = [
  '--rw=randrw',
  '--bsrange=4k-64k',
  '--blockalign=4k',
  '--iodepth=16',
  '--verify=crc32c',
  '--verify_fatal=1',
  '--verify_backlog=128',
  '--fsync=32',
]

/** Starts fio with one job on an export, in one process, so that a kill ends all of it; after `limit` ms it is. */
export function startFio(uri: string, cwd: string, args: readonly string[], limit = 60_000): Running {
  const shared = [
    '--name=job',
    '--ioengine=nbd',
    `--uri=${uri}`,
    '--verify_state_save=0',
    '--output-format=json',
    '--thread',
  ]
  return start('fio', [...shared, ...args], { cwd, limit })
}

/** What fio did; throws where it failed or reports an error. */
export function fioJob({ code, stdout, stderr }: Ended): FioJob {
  // Messages stand before the report.
  const text = stdout.slice(Math.max(0, stdout.indexOf('{\n')))
  if (code !== 0) throw new Error(`fio ended with code ${code}\n${stdout.slice(0, -text.length)}\n${stderr}`)
  const job = (JSON.parse(text) as Report).jobs[0]!
  if (job.error !== 0) throw new Error(`fio met error ${job.error}\n${stdout}\n${stderr}`)
  return {
    reads: job.read.total_ios,
    writes: job.write.total_ios,
    trims: job.trim.total_ios,
    syncs: job.sync.total_ios ?? 0,
  }
}

/** Runs fio to its end; throws where it failed or reports an error. */
export async function fio(uri: string, cwd: string, args: readonly string[]): Promise<FioJob> {
  return fioJob(await startFio(uri, cwd, args).ended)
}
