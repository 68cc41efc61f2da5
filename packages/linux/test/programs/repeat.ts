// Started by leaks.test.ts with --expose-gc: opens and closes everything 10,000 times, prints what it holds
// before and after.
import { closeFd, ioctl, mapMemory, openGenericNetlink, Ring, socketPair, watchReadable } from '../../src/index.ts'
import { fill, NOP, ringProblem } from '../ring-bed.ts'
import { held, until } from './held.ts'

const rounds: Record<string, () => void | Promise<void>> = {
  mapping() {
    const mapping = mapMemory(65536)
    new Uint8Array(mapping.buffer).fill(1)
    mapping.unmap()
  },
  forgotten() {
    new Uint8Array(mapMemory(65536).buffer).fill(1)
  },
  watcher() {
    const [a, b] = socketPair()
    const watchers = [watchReadable(a, () => {}), watchReadable(b, () => {})]
    closeFd(a)
    for (const watcher of watchers) watcher.close()
    closeFd(b)
  },
  async ioctl() {
    const [a, b] = socketPair()
    await ioctl(a, 0x541b, Buffer.alloc(4))
    closeFd(a)
    await ioctl(b, 0x5401, Buffer.alloc(64)).catch(() => {})
    closeFd(b)
  },
  async netlink() {
    const netlink = await openGenericNetlink('nlctrl')
    await netlink.request(99, []).catch(() => {})
    netlink.close()
  },
  ring() {
    if (ringProblem !== undefined) return
    const ring = new Ring({ entries: 8 }, () => {})
    fill(ring, NOP, 1)
    ring.submit()
    ring.close()
  },
}

const [, , name = '', count = ''] = process.argv
const round = rounds[name]!

async function repeat(times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    await round()
    // uv_close and finalizers need turns of the event loop.
    if (i % 100 === 0) await new Promise(setImmediate)
  }
}

await repeat(Number(count) / 5)
const before = await held()
await repeat(Number(count))
const after = await until(({ fds, mappings, rss }) => {
  return fds <= before.fds && mappings <= before.mappings && rss <= before.rss + 8
})
console.log(JSON.stringify({ before, after }))
