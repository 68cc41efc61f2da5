import { fio } from './tools.ts'

/** Writes and verifies files, round after round. */
export function loadOn(directory: string): { stop(): Promise<void> } {
  const shared = { directory, verify: 'crc32c', rw: 'randwrite', size: '1m' }
  // Not so fast that little is left of the machine for agents to start.
  const jobs = {
    direct: { bs: '4k', direct: 1, ioengine: 'libaio', iodepth: 8, rate_iops: 80 },
    buffered: { bs: '16k', fsync: 8, rate_iops: 20 },
  }
  let stopped = false
  const work = (async () => {
    do await fio(shared, jobs).done
    while (!stopped)
  })()
  work.catch(() => {})
  return {
    async stop() {
      stopped = true
      await work
    },
  }
}
