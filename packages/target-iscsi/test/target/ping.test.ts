import { IoOp } from '@blockbraid/core'
import { expect, test } from 'vitest'
import { run } from './bed.ts'
import { rig } from './rig.ts'

test('a path whose commands hang in the array answers a ping; one whose portal is a black hole does not', async () => {
  const { array, open, hold } = await rig()
  const path = await open(0)
  hold(0)
  void run(path, { op: IoOp.Read, length: 4096 })
  for (let round = 0; round < 3; round++) {
    await path.ping!()
    await new Promise((resolve) => setTimeout(resolve, 60))
  }
  array.portals[0]!.blackhole(true)
  await new Promise((resolve) => setTimeout(resolve, 120))
  await expect(path.ping!({ signal: AbortSignal.timeout(200) })).rejects.toThrow('no sign of life')
})

test('a session that owes an answer to a ping is not asked to abort: the fence does not wait for it', async () => {
  const { array, open, hold } = await rig({
    array: { portals: [{ group: 1 }, { group: 1 }] },
    initiator: { taskTimeout: 60_000, keepAliveInterval: 60_000 },
  })
  const path = await open(0)
  await open(1)
  hold(0)
  const write = run(path, { op: IoOp.Write, buffers: [Buffer.alloc(4096)] })
  await new Promise((resolve) => setTimeout(resolve, 120))
  array.portals[0]!.blackhole(true)
  await expect(path.ping!({ signal: AbortSignal.timeout(600) })).rejects.toThrow()
  await path.close()
  expect(path.fencedBy?.by).toBe('session reinstated')
  await write
})
