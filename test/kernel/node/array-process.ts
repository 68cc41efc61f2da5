// A simulated iSCSI array in a process of its own, so that it outlives agents: see array.ts.

import type { IscsiArray } from '@blockbraid/array-iscsi'
import { iscsiArrayOf } from '@blockbraid/array-iscsi'
import type { MemoryArray, MemoryOptions } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import { SlowWrite, slowArrayOf } from './slow-array.ts'

/** What it is started with. */
export interface ArrayOptions extends MemoryOptions {
  /** Whether it is that of slow-array.ts, with two portals. */
  readonly slow?: boolean
}

/** What it is asked. */
export interface ArrayRequest {
  readonly id: number
  readonly op:
    | 'peek'
    | 'unmap'
    | 'portDown'
    | 'portUp'
    | 'cacheOn'
    | 'durable'
    | 'hold'
    | 'begun'
    | 'letGo'
    | 'silence'
    | 'wake'
  readonly args: readonly number[]
}

/** What it tells first. */
export interface ArrayNews {
  readonly name: string
  readonly portals: readonly string[]
  readonly volumes: readonly string[]
}

const { slow = false, ...options } = JSON.parse(process.argv[2] ?? '') as ArrayOptions
const target = memory({ ports: 4, ...options })
const settings = { name: 'iqn.2026-11.io.blockbraid.test:array', loginTimeout: 60_000 }
const slowWrite = new SlowWrite()
const iscsi: IscsiArray = await (slow ? slowArrayOf(target, slowWrite, settings) : iscsiArrayOf(target, settings))

const operations: Record<ArrayRequest['op'], (array: MemoryArray, args: readonly number[]) => unknown> = {
  peek: (array, [volume = 0, offset = 0, length = 0]) =>
    Buffer.from(array.peek(volume, offset, length)).toString('base64'),
  unmap: (array, [volume = 0]) => array.unmap(volume, 'all'),
  portDown: (array, [port = 0]) => array.portDown(port),
  portUp: (array, [port = 0]) => array.portUp(port),
  cacheOn: (array, [volume = 0]) => array.setWriteCache(volume, true),
  // Of what is not durable, nothing is kept.
  durable: (array, [volume = 0]) => array.crashImage(volume, () => 1).checksum() === array.checksum(volume),
  hold: () => slowWrite.hold(),
  begun: () => slowWrite.begun,
  letGo: () => slowWrite.letGo(),
  silence: (_array, [portal = 0]) => iscsi.portals[portal]?.blackhole(true),
  wake: (_array, [portal = 0]) => iscsi.portals[portal]?.blackhole(false),
}

process.on('message', async ({ id, op, args }: ArrayRequest) => {
  process.send?.({ id, result: await operations[op](target.array, args) })
})
// Whoever has started it has gone.
process.on('disconnect', () => process.exit())
const news: ArrayNews = {
  name: iscsi.name,
  portals: iscsi.portals.map(({ address }) => address),
  volumes: target.array.volumes.map(({ id }) => id),
}
process.send?.(news)
