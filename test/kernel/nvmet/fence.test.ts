import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PathSelector, PathView } from '@blockbraid/core'
import { IoOp, isPathError, userDevice } from '@blockbraid/core'
import { createChaosProxy } from '@blockbraid/testkit'
import { submit } from '../guest/submit.ts'
import { until, within } from '../guest/wait.ts'
import { MIB, openAllPaths, openBed, openPath, PORTALS } from './bed.ts'

test('a path that closes with nothing in flight leaves no controller behind', async () => {
  await using bed = openBed()
  const target = bed.initiator()
  const path = await openPath(target)
  assert.equal(await submit(path, IoOp.Write, 0, 4096, 1), 0)
  await within('the path is closed', path.close())
  await bed.close(target)
})

test('a path that closes with writes in the array: it is fenced when the array has ended them, not when nvmet says that the controller is disabled', async () => {
  await using bed = openBed({ namespaces: [{ kind: 'stoppable' }] })
  const { storage } = bed.volumes[0]!
  const path = await openPath(bed.initiator())
  storage.setStopped(true)
  const ends = Array.from({ length: 4 }, (_, at) => submit(path, IoOp.Write, at * MIB, 65_536, 0xa5))
  // They have left this process, and come to nvmet before what is read after them does.
  await sleep(1000)
  let fenced = false
  const closed = path.close().then(() => (fenced = true))
  const statuses = await Promise.all(ends)
  assert.ok(statuses.every(isPathError), statuses.join(' '))
  await sleep(3000)
  assert.equal(fenced, false)
  storage.setStopped(false)
  await within('the path is fenced', closed)
  const stand = storage.peek(0, 4 * MIB)
  assert.ok(path.fencedBy !== undefined)
  assert.equal(path.fencedBy.assumed, false)
  const next = await openPath(bed.initiator({ name: 'next' }))
  for (let at = 0; at < 16; at++) await submit(next, IoOp.Read, at * MIB, 65_536)
  assert.ok(storage.peek(0, 4 * MIB).equals(stand), 'a write was applied after the fence')
  await next.close()
})

test('a controller whose queue is cut while its admin queue lives: a proof without assumption, at once', async () => {
  await using bed = openBed()
  const device = await openAllPaths(bed.initiator())
  const user = userDevice(device)
  await until('both paths are up', () => device.paths.every(({ state }) => state === 'up'))
  await user.write(0, Buffer.alloc(4096, 1))
  await bed.nvmet.setUp(1, false)
  await until('the path is lost', () => device.paths.some(({ state }) => state !== 'up'))
  await within('the write goes through the other one', user.write(0, Buffer.alloc(4096, 2)))
  await user.flush()
  assert.ok(bed.volumes[0]!.storage.peek(0, 4096).every((byte) => byte === 2))
  await bed.nvmet.setUp(1, true)
  await until('both paths are up', () => device.paths.every(({ state }) => state === 'up'))
  await user.close()
})

test('rung c: a portal that is cut off: the write moves when time has ended the controller, and what comes later does no harm', async () => {
  await using bed = openBed()
  const [host = '', port = ''] = PORTALS[0].split(':')
  await using proxy = await createChaosProxy({ to: { host, port: Number(port) } })
  const keepAliveTimeout = 5000
  const quiesceTime = 2000
  const target = bed.initiator({
    portals: [proxy.address, PORTALS[1]],
    toldPortals: false,
    keepAliveTimeout,
    quiesceTime,
    commandTimeout: 3000,
  })
  const device = await openAllPaths(target, 1, through(proxy.address), { noPathTimeout: 120_000 })
  const user = userDevice(device)
  await until('both paths are up', () => device.paths.every(({ state }) => state === 'up'))
  await user.write(0, Buffer.alloc(65_536, 1))
  const cut = performance.now()
  proxy.hold('up')
  const moved = user.write(0, Buffer.alloc(65_536, 2))
  await within('the write has moved', moved)
  const took = performance.now() - cut
  assert.ok(took >= 2 * keepAliveTimeout, `it moved after ${Math.round(took)} ms`)
  await user.write(0, Buffer.alloc(65_536, 3))
  proxy.release('up')
  await until('both paths are up again', () => device.paths.every(({ state }) => state === 'up'))
  await user.flush()
  assert.ok(
    bed.volumes[0]!.storage.peek(0, 65_536).every((byte) => byte === 3),
    'an older write came later',
  )
  await user.close()
})

/** Sends everything through one address, as long as it is there. */
function through(address: string): () => PathSelector {
  return () => {
    let paths: readonly PathView[] = []
    return {
      name: 'through',
      update: (usable) => void (paths = usable),
      select: () => paths.find(({ id }) => id.includes(address)) ?? paths[0],
    }
  }
}
