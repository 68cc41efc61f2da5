// Started by asan.test.ts with --expose-gc: every part of the addon once or a few times, on the main thread and in a
// worker that leaves everything open.
import { readSync, writeSync } from 'node:fs'
import { connect } from 'node:net'
import { isMainThread, Worker } from 'node:worker_threads'
import {
  acceptSocket,
  closeFd,
  ioctl,
  listenTcp,
  localPort,
  mapMemory,
  openGenericNetlink,
  Ring,
  SocketStream,
  StreamEvent,
  socketPair,
  stayAwake,
  watchReadable,
} from '../../src/index.ts'
import { fill, NOP, openRing, READ, ringProblem } from '../ring-bed.ts'

declare const gc: () => void

for (let i = 0; i < 20; i++) {
  const mapping = mapMemory(65536)
  new Uint8Array(mapping.buffer).fill(1)
  if (i % 2 === 0) mapping.unmap()
}
const [a, b] = socketPair(65536)
await new Promise<void>((resolve) => {
  const watchers = [a, b, b].map((fd) =>
    watchReadable(fd, () => {
      readSync(fd, Buffer.alloc(8))
      for (const watcher of watchers) watcher.close()
      resolve()
    }),
  )
  writeSync(a, 'x')
})
await Promise.all([1, 2, 64, 20_000].map((length) => ioctl(a, 0x541b, Buffer.alloc(length))))
await ioctl(a, 0x5401, Buffer.alloc(64)).catch(() => {})
const listening = listenTcp('::', 0, 4)
const client = connect(localPort(listening), '::1')
await new Promise<void>((resolve) => {
  const watcher = watchReadable(listening, () => {
    watcher.close()
    resolve()
  })
})
const accepted = acceptSocket(listening) as number
const views = Array.from({ length: 1500 }, (_, i) => new Uint8Array(i))
const stream = new SocketStream(accepted, () => stream.poll(0), { keepAlive: 60 })
stream.poll(StreamEvent.Readable | StreamEvent.Writable)
stream.sendViews(views, 0, views.length)
while (stream.send(new Uint8Array(65536), 1, 65535) > 0);
stream.receive(new Uint8Array(10), 5, 10)
stream.shutdown()
await new Promise(setImmediate)
new SocketStream(stream.release(), () => {}).close(true)
stream.close()
client.destroy()
closeFd(listening)
const netlink = await openGenericNetlink('nlctrl')
await Promise.all([99, 100, 101].map((command) => netlink.request(command, []).catch(() => {})))
netlink.close()
if (ringProblem === undefined) {
  const { ring, until } = openRing({ entries: 8, completions: 8 })
  const memory = mapMemory(4096)
  fill(ring, READ, 1, { fd: a, address: memory.address, length: 8 })
  for (let i = 0; i < 30; i++) {
    fill(ring, NOP, i)
    ring.submit()
  }
  writeSync(b, 'x')
  await until(31)
  ring.close()
  memory.unmap()
}
stayAwake(0)
for (const microseconds of [1, 500, 200, 0, 100]) {
  stayAwake(microseconds)
  await new Promise((resolve) => setTimeout(resolve, 1))
}
for (let i = 0; i < 3; i++) {
  gc()
  await new Promise(setImmediate)
}

if (isMainThread) {
  const worker = new Worker(import.meta.filename)
  await new Promise((resolve) => worker.once('exit', resolve))
  closeFd(a)
  closeFd(b)
  console.log('done')
} else {
  Object.assign(globalThis, { kept: mapMemory(1 << 20) })
  watchReadable(a, () => {})
  for (const fd of socketPair()) new SocketStream(fd, () => {}).poll(StreamEvent.Readable)
  if (ringProblem === undefined) new Ring({ entries: 8 }, () => {})
  await openGenericNetlink('nlctrl')
  stayAwake(10_000)
  process.exit()
}
