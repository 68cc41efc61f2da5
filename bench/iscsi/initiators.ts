import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { nodeWith } from '../checkout.ts'
import type { Load } from '../path-load.ts'
import type { Lun } from './lun.ts'
import { urlOf } from './lun.ts'

const run = promisify(execFile)

/** How to read: 4 KiB blocks. */
export interface Reads {
  readonly depth: number
  readonly random: boolean
}

/** Something that reads from a logical unit, on `core`. */
export interface Initiator {
  readonly name: string
  read(lun: Lun, reads: Reads, seconds: number, core: string): Promise<Load>
}

function ours(name: string, more: readonly string[], checkout?: string): Initiator {
  return {
    name,
    async read({ portal, target, lun }, { depth, random }, seconds, core) {
      const script = [
        'bench/iscsi/load.ts',
        portal,
        target,
        lun,
        '--depth',
        String(depth),
        '--seconds',
        String(seconds),
      ]
      const flags = [...(random ? ['--random'] : []), ...more]
      const { stdout } = await run('taskset', ['-c', core, ...nodeWith(checkout), ...script, ...flags])
      return JSON.parse(stdout) as Load
    },
  }
}

/** What stands for another checkout in names. */
export const BEFORE = 'before'

/**
 * blockbraid, which takes data as views of what the socket received; the same, which copies data into buffers that the
 * caller gives; both once more with the packages of another checkout, where that is given; iscsi-perf.
 */
export function initiators(beside: string | undefined): Initiator[] {
  const all = [ours('blockbraid', []), ours('into buffers', ['--into'])]
  if (beside !== undefined) all.push(ours(BEFORE, [], beside), ours(`into, ${BEFORE}`, ['--into'], beside))
  return [...all, iscsiPerf]
}

/** libiscsi's own benchmark. */
const iscsiPerf: Initiator = {
  name: 'iscsi-perf',
  async read(lun, { depth, random }, seconds, core) {
    const blocks = String(4096 / lun.blockSize)
    const flags = ['-m', String(depth), '-b', blocks, '-t', String(seconds), ...(random ? ['-r'] : [])]
    // The shell's `time` tells what CPU time it used.
    const command = ['taskset', '-c', core, 'iscsi-perf', ...flags, urlOf(lun)]
    const timed = `TIMEFORMAT='cpu %U %S'; time "$@"`
    const { stdout, stderr } = await run('bash', ['-c', timed, 'bash', ...command])
    const iops = Number(/iops average (\d+) [^\r]*\s*\n\s*finished/.exec(stdout)?.[1])
    const [, user, system] = /cpu ([\d.]+) ([\d.]+)/.exec(stderr) ?? []
    if (!(iops > 0)) throw new Error(`iscsi-perf failed: ${stdout}${stderr}`)
    return { iops, cpu: ((Number(user) + Number(system)) * 1e6) / (iops * seconds) }
  },
}
