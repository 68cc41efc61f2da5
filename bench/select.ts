// What one policy's select costs over 4 and over 64 paths that have I/O in flight: prints nanoseconds of CPU time and bytes
// allocated per call as JSON. The views are those that core gives.
import { Io, IoOp, type IoView, openMultipath, type PathView, type Target, type VolumeId } from '@blockbraid/core'
import { nullPath } from './null-device.ts'
import { policies } from './policies.ts'

/** Of one number of paths: the best of some runs; what the machine does besides can only add to either. */
export interface SelectCost {
  readonly paths: number
  readonly nanoseconds: number
  readonly bytes: number
}

const VOLUME: VolumeId = 'naa.60000000000000000000000000000001'
const CALLS = 1_000_000
const RUNS = 3
// So few that what they leave is counted before it is collected, and so often that once nothing is compiled.
const COUNTED_CALLS = 30_000
const COUNTS = 10

const [name = ''] = process.argv.slice(2)
const create = policies[name]
if (create === undefined) throw new Error(`there is no policy "${name}": ${Object.keys(policies).join(', ')}`)

/** Views of paths that have done I/O, and have some in flight. */
async function openViews(count: number): Promise<readonly PathView[]> {
  const paths = Array.from({ length: count }, (_, index) => nullPath(`null:${index}`, VOLUME, 64))
  const target: Target = {
    name: 'null',
    discover: async () => [],
    connect: async ({ id }) => paths.find((path) => path.id === id)!,
    close: async () => {},
  }
  const sources = paths.map(({ id }) => ({
    target,
    info: { id, address: id, volume: VOLUME, size: 2 ** 40, blockSize: 4096 },
  }))
  let views: readonly PathView[] = []
  let next = 0
  const device = await openMultipath(VOLUME, sources, {
    selector: () => ({ name: 'views', update: (list) => void (views = list), select: () => views[next++ % count] }),
  })
  const send = (): void => {
    for (let index = 0; index < 3 * count; index++) {
      const io = new Io()
      io.op = IoOp.Read
      io.length = 4096
      io.done = () => {}
      device.submit(io)
    }
  }
  for (let turn = 0; turn < 20; turn++) {
    send()
    await new Promise((resolve) => setTimeout(resolve, 1))
    for (const path of paths) path.complete()
  }
  send()
  return views
}

class FourKilobytes implements IoView {
  op: IoView['op'] = IoOp.Read
  flags = 0
  offset = 2 ** 33 + 0.5
  length = 4096
  now = 0.5
}

function measure(views: readonly PathView[]): SelectCost {
  const selector = create!()
  selector.update([...views])
  const io = new FourKilobytes()
  let picked = 0
  const run = (calls: number): void => {
    for (let call = 0; call < calls; call++) {
      // Eight streams, each with a stride of its own: none is random, none is one stream alone.
      io.offset = 2 ** 33 + (call & 7) * 2 ** 30 + (call >>> 3) * 4096
      io.now += 0.25
      if (selector.select(io) !== undefined) picked++
    }
  }
  for (let warm = 0; warm < 1000; warm++) run(1000)
  let [nanoseconds, bytes] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let turn = 0; turn < RUNS; turn++) {
    const start = process.threadCpuUsage()
    run(CALLS)
    const { user, system } = process.threadCpuUsage(start)
    nanoseconds = Math.min(nanoseconds, ((user + system) * 1000) / CALLS)
  }
  for (let turn = 0; turn < COUNTS; turn++) {
    globalThis.gc?.()
    const heap = process.memoryUsage().heapUsed
    run(COUNTED_CALLS)
    bytes = Math.min(bytes, (process.memoryUsage().heapUsed - heap) / COUNTED_CALLS)
  }
  if (picked === 0) throw new Error(`${name} picks nothing`)
  return { paths: views.length, nanoseconds, bytes }
}

const costs: SelectCost[] = []
for (const count of [4, 64]) costs.push(measure(await openViews(count)))
console.log(JSON.stringify(costs))
process.exit(0)
