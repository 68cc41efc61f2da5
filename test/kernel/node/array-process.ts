// A simulated iSCSI array in a process of its own, so that it outlives agents: see array.ts.
import type { MemoryArray } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import { iscsiArrayOf } from '@blockbraid/testkit'

/** What it is asked. */
export interface ArrayRequest {
  readonly id: number
  readonly op: 'peek' | 'unmap' | 'portDown' | 'portUp'
  readonly args: readonly number[]
}

/** What it tells first. */
export interface ArrayNews {
  readonly name: string
  readonly portals: readonly string[]
  readonly volumes: readonly string[]
}

const sizes = process.argv.slice(2)
const target = memory({ volumes: sizes.map((size) => ({ size })), ports: 4 })
const iscsi = await iscsiArrayOf(target, { name: 'iqn.2026-11.io.blockbraid.test:array', loginTimeout: 60_000 })

const operations: Record<ArrayRequest['op'], (array: MemoryArray, args: readonly number[]) => unknown> = {
  peek: (array, [volume = 0, offset = 0, length = 0]) =>
    Buffer.from(array.peek(volume, offset, length)).toString('base64'),
  unmap: (array, [volume = 0]) => array.unmap(volume, 'all'),
  portDown: (array, [port = 0]) => array.portDown(port),
  portUp: (array, [port = 0]) => array.portUp(port),
}

process.on('message', ({ id, op, args }: ArrayRequest) => {
  process.send?.({ id, result: operations[op](target.array, args) })
})
// Whoever has started it has gone.
process.on('disconnect', () => process.exit())
const news: ArrayNews = {
  name: iscsi.name,
  portals: iscsi.portals.map(({ address }) => address),
  volumes: target.array.volumes.map(({ id }) => id),
}
process.send?.(news)
