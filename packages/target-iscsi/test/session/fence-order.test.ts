import { Errno, PATH_ERROR } from '@blockbraid/core'
import { expect, test } from 'vitest'
import { rig } from '../target/rig.ts'
import { submit } from './submit.ts'

test('a path is fenced by a login that came before its close, too', async () => {
  const { array, open, hold, release } = await rig({
    memory: { volumes: [{ size: '1MiB' }, { size: '1MiB' }], ports: 1 },
    initiator: { pollInterval: 3_600_000 },
  })
  const writer = await open(0, 0)
  const other = await open(0, 1)
  const downs = [writer, other].map((path) => new Promise((resolve) => path.events.on('down', resolve)))
  hold(0)
  const stuck = submit(writer, 'write', Buffer.alloc(4096, 1))
  await expect.poll(() => array.sessions.some(({ inflight }) => inflight > 0)).toBe(true)
  array.portals[0]?.cut()
  await Promise.all(downs)
  expect(await stuck).toBe(Errno.EIO | PATH_ERROR)
  release(0)
  await other.close()
  // The new session of the other path has taken the place of the old one already.
  const again = await open(0, 1)
  await writer.close()
  expect(await submit(again, 'read', Buffer.alloc(4096))).toBe(0)
})

test('data that is lost on its way is the fault of the path, not an error of the array', async () => {
  const { array, open } = await rig({
    memory: { volumes: [{ size: '1MiB' }], ports: 1 },
    array: { collapseStatus: false },
    initiator: { pollInterval: 3_600_000 },
  })
  const path = await open(0)
  array.faults.wire({ pdu: 'dataIn', drop: true, count: 1 })
  expect(await submit(path, 'read', Buffer.alloc(4096))).toBe(Errno.EIO | PATH_ERROR)
})
