import type { Path } from '@blockbraid/core'
import { Io, IoOp, NO_BUFFERS, OK } from '@blockbraid/core'
import type { Allocation } from './iscsi/allocations.ts'
import { allocations } from './iscsi/allocations.ts'

/** How to load a path. */
export interface PathJob {
  readonly depth: number
  readonly seconds: number
  /** Bytes of each read or write. */
  readonly size: number
  readonly writes: boolean
  readonly random: boolean
  /** Every read gets a buffer to fill; else the path leaves views of what it has received. */
  readonly into: boolean
}

/** What a run took. */
export interface Load {
  /** Reads or writes a second. */
  readonly iops: number
  /** CPU time of this process for each, µs. */
  readonly cpu: number
}

const WARM_UP = 1000
const wait = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Reads or writes at a depth. Throws where one fails. */
export async function loadPath(path: Path, job: PathJob): Promise<Load> {
  return running(path, job, async (count) => {
    const before = { count: count(), at: performance.now(), cpu: process.cpuUsage() }
    await wait(job.seconds * 1000)
    const done = count() - before.count
    const elapsed = (performance.now() - before.at) / 1000
    const { user, system } = process.cpuUsage(before.cpu)
    return { iops: done / elapsed, cpu: (user + system) / done }
  })
}

/** The same; returns the bytes allocated for each read or write, by whose code does it. */
export async function garbageOfPath(path: Path, job: PathJob): Promise<Allocation[]> {
  return running(path, job, async (count) => {
    const before = count()
    const all = await allocations(() => wait(job.seconds * 1000))
    return all.map((one) => ({ ...one, bytes: one.bytes / (count() - before) }))
  })
}

async function running<Result>(
  path: Path,
  { depth, size, writes, random, into }: PathJob,
  measure: (count: () => number) => Promise<Result>,
): Promise<Result> {
  const blocks = Math.min(Math.floor(path.limits.size / size), 2 ** 28)
  let count = 0
  let inflight = 0
  let runs = true
  let failed = 0
  let place = 1
  let ended = (): void => {}

  function next(io: Io): void {
    // A linear congruential generator is enough to jump about; above 31 bits each number would be garbage of its own.
    place = random ? (Math.imul(place, 1_103_515_245) + 12_345) & 0x7fff_ffff : place + 1
    io.offset = (place % blocks) * size
    io.length = size
    if (!into && !writes) io.buffers = NO_BUFFERS
    inflight++
    path.submit(io)
  }

  function done(io: Io, status: number): void {
    inflight--
    count++
    if (status !== OK) failed++
    if (runs) next(io)
    else if (inflight === 0) ended()
  }

  for (let index = 0; index < depth; index++) {
    const io = new Io()
    io.op = writes ? IoOp.Write : IoOp.Read
    io.done = done
    if (into || writes) io.buffers = [Buffer.alloc(size)]
    next(io)
  }
  await wait(WARM_UP)
  const result = await measure(() => count)
  const drained = new Promise<void>((resolve) => {
    ended = resolve
  })
  runs = false
  await drained
  if (failed > 0) throw new Error(`${failed} reads or writes failed`)
  return result
}
