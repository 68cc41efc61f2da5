/** select + submit + complete over four paths: nanoseconds and bytes allocated per I/O. */
import { Io, IoOp, openMultipath, type Target } from '@blockbraid/core'
import { queueDepth } from '@blockbraid/policy-queue-depth'
import { roundRobin } from '@blockbraid/policy-round-robin'
import { nullPath } from './null-device.ts'

const VOLUME = 'naa.60000000000000000000000000000001'
const DEPTH = 32
const ROUNDS = 100_000

const paths = [0, 1, 2, 3].map((index) => nullPath(`null:${index}`, VOLUME, DEPTH))
const target: Target = {
  name: 'null',
  discover: async () => [],
  connect: async (info) => paths.find((path) => path.id === info.id)!,
  close: async () => {},
}
const sources = paths.map(({ id }) => ({
  target,
  info: { id, address: id, volume: VOLUME as never, size: 2 ** 40, blockSize: 4096 },
}))
const device = await openMultipath(VOLUME as never, sources)
await new Promise((r) => setTimeout(r, 50))
let done = 0
const buffers = [new Uint8Array(4096)]
const ios = Array.from({ length: DEPTH }, () => {
  const io = new Io()
  io.op = IoOp.Read
  io.done = () => {
    done++
  }
  return io
})
function run(rounds: number): void {
  for (let round = 0; round < rounds; round++) {
    for (let index = 0; index < DEPTH; index++) {
      const io = ios[index]!
      io.offset = (round & 0xffff) * 4096 + 2 ** 33
      io.length = 4096
      io.buffers = buffers
      device.submit(io)
    }
    paths[0]!.complete()
    paths[1]!.complete()
    paths[2]!.complete()
    paths[3]!.complete()
  }
}
for (const make of [roundRobin, queueDepth]) {
  device.setSelector(() => make())
  for (let warm = 0; warm < 5; warm++) {
    run(20_000)
    await new Promise((r) => setTimeout(r, 1))
  }
  globalThis.gc?.()
  const before = process.memoryUsage().heapUsed
  const start = process.hrtime.bigint()
  run(ROUNDS)
  const ns = Number(process.hrtime.bigint() - start) / (ROUNDS * DEPTH)
  const bytes = (process.memoryUsage().heapUsed - before) / (ROUNDS * DEPTH)
  console.log(device.policy, ns.toFixed(1), 'ns', bytes.toFixed(3), 'bytes per I/O')
}
console.log(
  done,
  device.paths.map((p) => p.ios),
)
await device.close()
