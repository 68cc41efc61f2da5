/** Size of every volume. */
export const SIZE = '64MiB'

/** What is measured. */
export interface Job {
  readonly name: string
  readonly rw: 'randread' | 'write'
  /** Bytes. */
  readonly blockSize: number
  readonly depth: number
  /** Once over the whole volume, instead of for a time. */
  readonly whole?: boolean
}

/** One measurement. */
export interface Sample {
  readonly iops: number
  /** CPU time of the machine for each I/O, µs. */
  readonly cpu: number
}

/** What is measured beside others. */
export interface Contender {
  readonly name: string
  read(job: Job): Promise<Sample>
}

/** Every job. */
export const jobs: readonly Job[] = [
  { name: '4k-randread-1', rw: 'randread', blockSize: 4096, depth: 1 },
  { name: '4k-randread-32', rw: 'randread', blockSize: 4096, depth: 32 },
  { name: '128k-randread-1', rw: 'randread', blockSize: 131_072, depth: 1 },
  { name: '128k-randread-32', rw: 'randread', blockSize: 131_072, depth: 32 },
]
