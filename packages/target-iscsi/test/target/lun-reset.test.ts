import type { Path } from '@blockbraid/core'
import { Errno, Io, IoOp, PATH_ERROR } from '@blockbraid/core'
import { expect, test } from 'vitest'
import { rig } from './rig.ts'

/** Submits a write of one block; resolves to its status. */
function write(path: Path, fill: number): Promise<number> {
  const io = new Io()
  io.op = IoOp.Write
  io.length = 4096
  io.buffers = [Buffer.alloc(4096, fill)]
  return new Promise((resolve) => {
    io.done = (_io, status) => resolve(status)
    path.submit(io)
  })
}

test.each(['lun-reset', 'session'] as const)(
  'fence %s, where the portal is gone and no other is of its group',
  async (fence) => {
    const { array, storage, open, hold } = await rig({ initiator: { fence, pollInterval: 60_000 } })
    const lost = await open(0)
    await open(1)
    const down = new Promise((resolve) => lost.events.on('down', resolve))
    hold(0)
    const stuck = write(lost, 1)
    await expect.poll(() => storage.volumes.length && array.sessions.some(({ inflight }) => inflight > 0)).toBe(true)
    await array.portals[0]!.down()
    await down
    expect(await stuck).toBe(Errno.EIO | PATH_ERROR)
    let fenced = false
    const closed = lost.close().then(() => {
      fenced = true
    })
    if (fence === 'lun-reset') {
      await closed
      expect(array.counters.taskManagement).toBeGreaterThan(0)
      expect(lost.fencedBy).toMatchObject({ by: 'logical unit reset', assumed: false })
    } else {
      const { logins } = array.counters
      await new Promise((resolve) => setTimeout(resolve, 800))
      expect(fenced).toBe(false)
      // A login through a portal of another group proves nothing, so none is tried.
      expect(array.counters.logins).toBe(logins)
      await array.portals[0]!.up()
      await closed
      expect(lost.fencedBy).toMatchObject({ by: 'session reinstated', assumed: false })
    }
  },
)
