import { setTimeout as sleep } from 'node:timers/promises'
import type { Running } from '../node/tools.ts'
import { fio } from '../node/tools.ts'

/** Writes and verifies a part of a block device. */
export function load(filename: string, options: Readonly<Record<string, string | number>> = {}): Running {
  const job = { rw: 'randwrite', bs: '4k', size: '12m', direct: 1, ioengine: 'libaio', iodepth: 16 }
  return fio({ filename, verify: 'crc32c', ...job, ...options }, { load: {} })
}

/** Writes and verifies files of a filesystem, direct and buffered. */
export function loadFiles(directory: string): Running {
  const shared = { directory, verify: 'crc32c', rw: 'randwrite', size: '6m' }
  return fio(shared, {
    direct: { bs: '4k', direct: 1, ioengine: 'libaio', iodepth: 8 },
    buffered: { bs: '16k', fsync: 8 },
  })
}

/** Whether a program has ended; waits a moment for that. */
export async function isOver(work: Running, moment = 100): Promise<boolean> {
  return await Promise.race([work.ended.then(() => true), sleep(moment, false)])
}
