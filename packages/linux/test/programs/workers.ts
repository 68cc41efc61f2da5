// Started by leaks.test.ts with --expose-gc: workers that exit with everything open; prints what the process
// holds before and after.
import { once } from 'node:events'
import { closeSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import {
  closeFd,
  ioctl,
  mapFile,
  mapMemory,
  openGenericNetlink,
  Ring,
  socketPair,
  stayAwake,
  type Watcher,
  watchReadable,
} from '../../src/index.ts'
import { fill, NOP, READ, ringProblem } from '../ring-bed.ts'
import { held, until } from './held.ts'

const how = isMainThread ? process.argv[2]! : (workerData as string)

if (isMainThread) {
  await startWorkers(1)
  const before = await held()
  await startWorkers(4)
  const after = await until(({ fds, mappings, rss }) => {
    return fds <= before.fds && mappings <= before.mappings && rss <= before.rss + 8
  })
  console.log(JSON.stringify({ before, after }))
} else {
  await openEverything()
  if (how === 'exit') process.exit(0)
  if (how === 'throw') throw new Error('as told')
  parentPort!.postMessage('open')
}

async function startWorkers(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const worker = new Worker(import.meta.filename, { workerData: how })
    worker.on('error', () => {})
    const exit = new Promise((resolve) => worker.once('exit', resolve))
    if (how === 'terminate') {
      await once(worker, 'message')
      await worker.terminate()
    }
    await exit
  }
}

async function openEverything(): Promise<void> {
  const mapping = mapMemory(1 << 20)
  new Uint8Array(mapping.buffer).fill(1)
  const path = join(tmpdir(), `held-file-${process.pid}`)
  writeFileSync(path, Buffer.alloc(65536))
  const file = openSync(path, 'r')
  Object.assign(globalThis, { mapping, mapped: mapFile(file, 0, 65536) })
  closeSync(file)
  rmSync(path)
  const [a, b] = socketPair()
  // The second one is busy until the end.
  const open: (Watcher | Ring)[] = [watchReadable(a, () => {}), watchReadable(b, () => {})]
  writeSync(a, 'x')
  await openGenericNetlink('nlctrl')
  void ioctl(a, 0x541b, Buffer.alloc(4))
  if (ringProblem === undefined) {
    const ring = new Ring({ entries: 8 }, () => {})
    fill(ring, NOP, 1)
    fill(ring, READ, 2, { fd: a, address: mapping.address, length: 1 })
    ring.submit()
    open.push(ring)
  }
  if (how === 'end') for (const one of open) one.unref()
  stayAwake(10_000)
  // Those of socketPair belong to the caller.
  closeFd(a)
  closeFd(b)
}
