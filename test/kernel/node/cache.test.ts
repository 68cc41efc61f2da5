// A write cache that the array switches on under a node that was made without one: the kernel will never flush it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MemoryArray } from '@blockbraid/target-memory'
import { agentsOf, nodesOf, takenOver } from './agents.ts'
import { startArrayOf } from './array.ts'
import type { Bed } from './bed.ts'
import { MIB, openBed, sysfs } from './bed.ts'
import { fio, tool } from './tools.ts'

const uncached = { volumes: [{ size: '32MiB', writeCache: false }], log: true } as const

/** Asserts that a power loss of the array takes nothing away: what is not durable is lost whole. */
function assertDurable(array: MemoryArray): void {
  assert.equal(array.crashImage(0, () => 1).checksum(), array.checksum(0))
}

/** Writes in every way of an application, each made durable as it does that. */
async function writeAll(node: string, at: number): Promise<void> {
  const seek = (mebibytes: number): string => `seek=${at / MIB + mebibytes}`
  await tool('dd', 'if=/run/data', `of=${node}`, 'bs=1M', seek(0), 'oflag=direct,dsync', 'conv=notrunc', 'status=none')
  await tool('dd', 'if=/run/data', `of=${node}`, 'bs=1M', seek(1), 'conv=notrunc,fsync', 'status=none')
  await tool('blkdiscard', '-z', '-o', String(at), '-l', '65536', node)
  await tool('blkdiscard', '-o', String(at + MIB), '-l', '65536', node)
}

async function uncachedData(): Promise<void> {
  await tool('dd', 'if=/dev/urandom', 'of=/run/data', 'bs=1M', 'count=1', 'status=none')
}

async function uncachedBed(): Promise<Bed> {
  await uncachedData()
  const bed = await openBed({ array: uncached })
  assert.equal(sysfs(bed.name, 'queue/write_cache'), 'write through')
  return bed
}

test('a write cache that is switched on under a node loses nothing that was made durable, or acknowledged', async () => {
  await using bed = await uncachedBed()
  const { array, node } = bed
  await writeAll(node, 0)
  array.setWriteCache(0, true)
  assert.equal(bed.pair.user.limits.writeCache, true)
  await writeAll(node, 4 * MIB)
  assertDurable(array)
  // Off and on again, in the middle of the load.
  const job = { rw: 'randwrite', bs: '16k', offset: '8m', size: '4m', end_fsync: 1 }
  const load = fio({ filename: node }, { direct: { ...job, direct: 1, ioengine: 'libaio', iodepth: 8 }, buffered: job })
  let running = true
  const over = load.done.finally(() => (running = false))
  for (let on = false; running; on = !on) {
    array.setWriteCache(0, on)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await over
  await writeAll(node, 20 * MIB)
  assertDurable(array)
})

test('over iSCSI: what is acknowledged after the switch is durable; the node is taken over and written through', async () => {
  await uncachedData()
  await using array = await startArrayOf(uncached)
  await using agents = agentsOf(array)
  const first = await agents.start()
  const [node] = nodesOf(first)
  await writeAll(node, 0)
  // The array says so with the next command of each path, and no sooner.
  await array.cacheOn(0)
  await writeAll(node, 4 * MIB)
  assert.equal(await array.durable(0), true)
  await first.end('SIGKILL')
  const second = await agents.start()
  assert.deepEqual(takenOver(second), [node], second.said)
  assert.equal(sysfs(node.replace('/dev/', ''), 'queue/write_cache'), 'write through')
  await writeAll(node, 8 * MIB)
  assert.equal(await array.durable(0), true)
})
