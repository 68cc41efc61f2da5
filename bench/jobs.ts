import type { Job } from './fio.ts'

/** A job against every NBD server, and what is to come of it beside qemu-nbd in the same round. */
export interface NbdJob extends Job {
  /** In a table. */
  readonly title: string
  /** Connections of the lean client, each with `depth` requests in flight. */
  readonly connections: number
  /** Times qemu-nbd's throughput at least; `simple` with simple replies. */
  readonly times: number
  readonly simple?: number
  /** Of qemu-nbd's CPU time per I/O at most. */
  readonly cpu?: number
}

/** Every job; block sizes in bytes. */
export const jobs: readonly NbdJob[] = [
  {
    ...{ name: '4k-randread-32', title: '4 KiB random read, depth 32', rw: 'randread', blockSize: '4096', depth: 32 },
    ...{ connections: 4, times: 2.7, simple: 3.3, cpu: 0.32 },
  },
  {
    ...{
      name: '4k-randwrite-32',
      title: '4 KiB random write, depth 32',
      rw: 'randwrite',
      blockSize: '4096',
      depth: 32,
    },
    ...{ connections: 4, times: 3.2, cpu: 0.3 },
  },
  {
    ...{ name: '256k-read-8', title: '256 KiB read, depth 8', rw: 'read', blockSize: '262144', depth: 8 },
    ...{ connections: 4, times: 2.4, cpu: 0.42 },
  },
  {
    ...{ name: '4k-randread-1', title: '4 KiB random read, depth 1', rw: 'randread', blockSize: '4096', depth: 1 },
    ...{ connections: 1, times: 2.4 },
  },
]
