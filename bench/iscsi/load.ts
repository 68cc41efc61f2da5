// Reads 4 KiB blocks of a logical unit through our initiator, at a depth, and prints what it took as JSON.
//   load.ts PORTAL TARGET LUN --depth N --seconds N [--random] [--into] [--garbage]
// --into gives every read a buffer to fill; without, the path leaves views of what it has received.
// --garbage prints, instead of the speed, the bytes allocated per read by whose code does it.
import { parseArgs } from 'node:util'
import { Io, IoOp, NO_BUFFERS, OK } from '@blockbraid/core'
import { iscsi } from '@blockbraid/target-iscsi'
import type { Allocation } from './allocations.ts'
import { allocations } from './allocations.ts'

/** What a run took. */
export interface Load {
  /** Reads a second. */
  readonly iops: number
  /** CPU time of the initiator per read, µs. */
  readonly cpu: number
}

const BLOCK = 4096
const WARM_UP = 1000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    depth: { type: 'string', default: '32' },
    seconds: { type: 'string', default: '3' },
    random: { type: 'boolean', default: false },
    into: { type: 'boolean', default: false },
    garbage: { type: 'boolean', default: false },
  },
})
const [portal = '', targetName = '', lun = ''] = positionals
const depth = Number(values.depth)
const target = iscsi({ portals: [portal], toldPortals: false, target: targetName, queueDepth: depth })
const info = (await target.discover()).find((path) => path.lun === lun)
if (info === undefined) throw new Error(`no LUN ${lun} at ${portal}`)
const path = await target.connect(info)
const blocks = Math.min(Math.floor(path.limits.size / BLOCK), 2 ** 28)

let reads = 0
let inflight = 0
let running = true
let failed = 0
let place = 1
let ended = (): void => {}

function next(io: Io): void {
  // A linear congruential generator is enough to jump about; above 31 bits each number would be garbage of its own.
  place = values.random ? (Math.imul(place, 1_103_515_245) + 12_345) & 0x7fff_ffff : place + 1
  io.offset = (place % blocks) * BLOCK
  io.length = BLOCK
  if (!values.into) io.buffers = NO_BUFFERS
  inflight++
  path.submit(io)
}

function done(io: Io, status: number): void {
  inflight--
  reads++
  if (status !== OK) failed++
  if (running) next(io)
  else if (inflight === 0) ended()
}

for (let index = 0; index < depth; index++) {
  const io = new Io()
  io.op = IoOp.Read
  io.done = done
  if (values.into) io.buffers = [Buffer.alloc(BLOCK)]
  next(io)
}
const wait = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds))
const measure = (): Promise<void> => wait(Number(values.seconds) * 1000)

async function speed(): Promise<Load> {
  const before = { reads, at: performance.now(), cpu: process.cpuUsage() }
  await measure()
  const count = reads - before.reads
  const elapsed = (performance.now() - before.at) / 1000
  const { user, system } = process.cpuUsage(before.cpu)
  return { iops: count / elapsed, cpu: (user + system) / count }
}

async function garbage(): Promise<Allocation[]> {
  const before = reads
  const all = await allocations(measure)
  return all.map((one) => ({ ...one, bytes: one.bytes / (reads - before) }))
}

await wait(WARM_UP)
const result = values.garbage ? { garbage: await garbage() } : await speed()
const drained = new Promise<void>((resolve) => {
  ended = resolve
})
running = false
await drained
await path.close()
await target.close()
if (failed > 0) throw new Error(`${failed} reads failed`)
console.log(JSON.stringify(result))
