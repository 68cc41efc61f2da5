// Started by awake.test.ts with --expose-gc: bytes that calls have made, and turns of the loop until the process ended
// although it was to stay awake for longer.
import { performance } from 'node:perf_hooks'
import { stayAwake } from '../../src/index.ts'

declare const gc: () => void

const loops = (): number => performance.nodeTiming.uvMetricsInfo.loopCount

function call(times: number): void {
  for (let i = 0; i < times; i++) stayAwake(i % 2 === 0 ? 50 : 0)
}

call(200_000)
gc()
const before = process.memoryUsage().heapUsed
call(100_000)
const bytes = process.memoryUsage().heapUsed - before
const start = loops()
stayAwake(10_000)
process.on('exit', () => console.log(JSON.stringify({ turns: loops() - start, bytes })))
