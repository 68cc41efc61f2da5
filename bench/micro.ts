// select + submit + complete over four paths that do nothing: prints nanoseconds of CPU time and bytes
// allocated per I/O as JSON.
import { Io, IoOp, OK, openMultipath, type Target, type VolumeId } from '@blockbraid/core'
import { queueDepth } from '@blockbraid/policy-queue-depth'
import { roundRobin } from '@blockbraid/policy-round-robin'
import { nullPath } from './null-device.ts'

/** One case, and the best of some runs of it: what the machine does besides can only add to either. */
export interface Cost {
  readonly name: string
  readonly nanoseconds: number
  readonly bytes: number
}

const VOLUME: VolumeId = 'naa.60000000000000000000000000000001'
const DEPTH = 32
const ROUNDS = 200_000
const RUNS = 3
// So short that what they leave is counted before it is collected, and so many that in one of them nothing is compiled.
const COUNTED_ROUNDS = 300
const COUNTS = 10

const paths = [0, 1, 2, 3].map((index) => nullPath(`null:${index}`, VOLUME, DEPTH))
const target: Target = {
  name: 'null',
  discover: async () => [],
  connect: async ({ id }) => {
    const path = paths.find((path) => path.id === id)
    if (path === undefined) throw new Error(`no path ${id}`)
    return path
  },
  close: async () => {},
}
const sources = paths.map(({ id }) => ({
  target,
  info: { id, address: id, volume: VOLUME, size: 2 ** 40, blockSize: 4096 },
}))
const device = await openMultipath(VOLUME, sources)
const buffers = [new Uint8Array(4096)]
let failed = 0
const ios = Array.from({ length: DEPTH }, () => {
  const io = new Io()
  io.op = IoOp.Read
  io.done = (_io, status) => {
    if (status !== OK) failed++
  }
  return io
})

function run(rounds: number): void {
  for (let round = 0; round < rounds; round++) {
    for (let index = 0; index < DEPTH; index++) {
      const io = ios[index] as Io
      io.offset = (round & 0xffff) * DEPTH * 4096 + index * 4096 + 2 ** 33
      io.length = 4096
      io.buffers = buffers
      device.submit(io)
    }
    for (let index = 0; index < 4; index++) paths[index]?.complete()
  }
}

/** Nanoseconds of CPU time per I/O. */
function measure(): number {
  const start = process.threadCpuUsage()
  run(ROUNDS)
  const { user, system } = process.threadCpuUsage(start)
  return ((user + system) * 1000) / (ROUNDS * DEPTH)
}

/** Bytes allocated per I/O. */
function count(): number {
  globalThis.gc?.()
  const heap = process.memoryUsage().heapUsed
  run(COUNTED_ROUNDS)
  return (process.memoryUsage().heapUsed - heap) / (COUNTED_ROUNDS * DEPTH)
}

const cases = [roundRobin, queueDepth].flatMap((create) =>
  [IoOp.Read, IoOp.Write].map((op) => ({ create, op, name: op === IoOp.Read ? 'reads' : 'writes' })),
)
const costs: Cost[] = []
for (const { create, op, name } of cases) {
  device.setSelector(() => create())
  for (const io of ios) io.op = op
  for (let warm = 0; warm < 5; warm++) {
    run(20_000)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  costs.push({
    name: `${device.policy}, ${name}`,
    nanoseconds: Math.min(...Array.from({ length: RUNS }, measure)),
    bytes: Math.min(...Array.from({ length: COUNTS }, count)),
  })
}
if (failed > 0) throw new Error(`${failed} I/Os failed`)
await device.close()
console.log(JSON.stringify(costs))
