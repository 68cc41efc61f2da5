import { IoOp } from '@blockbraid/core'
import { expect, test } from 'vitest'
import { run } from './bed.ts'
import { rig } from './rig.ts'

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

test('a ping asks each I/O queue, and one of them that is dark fails it, whatever the admin queue answers', async () => {
  const { array, open } = await rig({ initiator: { queues: 2, keepAliveTimeout: 60_000 } })
  const path = await open(0)
  await pause(120)
  const [controller] = array.controllers
  await path.ping!()
  await pause(120)
  await path.ping!({ signal: AbortSignal.timeout(2000) })
  controller!.blackhole(true, 2)
  await pause(120)
  await expect(path.ping!({ signal: AbortSignal.timeout(200) })).rejects.toThrow('no sign of life')
  controller!.blackhole(false, 2)
  await path.ping!()
})

test('what paths of a controller ask at once is one read on each I/O queue', async () => {
  const { array, open } = await rig({ memory: { volumes: [{ size: '1MiB' }, { size: '1MiB' }] } })
  const paths = [await open(0, 0), await open(0, 1)]
  await pause(120)
  const before = array.counters.commands[2] ?? 0
  await Promise.all([...paths, ...paths].map((path) => path.ping!()))
  expect((array.counters.commands[2] ?? 0) - before).toBe(1)
})

test('a namespace whose commands hang leaves a ping without an answer, and answers of others will do', async () => {
  const { open, hold, release } = await rig({ memory: { volumes: [{ size: '1MiB' }, { size: '1MiB' }] } })
  const path = await open(0, 0)
  hold(0)
  await pause(120)
  const asked = path.ping!()
  await pause(50)
  release(0)
  await asked
  expect(await run(path, { op: IoOp.Read, length: 4096 })).toBe(0)
})
