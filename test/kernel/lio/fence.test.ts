import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PathSelector, PathView } from '@blockbraid/core'
import { IoOp, isPathError, userDevice } from '@blockbraid/core'
import { roundRobin } from '@blockbraid/policy-round-robin'
import { createChaosProxy, pattern, patternFault } from '@blockbraid/testkit'
import { submit } from '../guest/submit.ts'
import { until, within } from '../guest/wait.ts'
import { ALICE, MIB, openAllPaths, openBed, openPath, PORTALS } from './bed.ts'

test('close logs out: no session is left', async () => {
  await using bed = openBed()
  const target = bed.initiator()
  const path = await openPath(target)
  assert.ok(bed.lio.session(1, ALICE) !== undefined)
  await path.close()
  await bed.close(target)
  await until('LIO has no session', () => bed.lio.sessions() === 0)
  assert.equal(bed.lio.statistic('iscsi_logout_stats/abnormal_logouts'), 0)
})

test('a path that closes with writes in the array: it is fenced when the array has ended them, not before', async () => {
  await using bed = openBed({ luns: [{ kind: 'stoppable' }] })
  const volume = bed.volumes[0]!
  // Time enough for ABORT TASK SET: LIO itself hangs now and then when a login must wait for commands that are stuck.
  const target = bed.initiator({ taskTimeout: 60_000 })
  const path = await openPath(target)
  const count = bed.lio.commands(1, 0)
  volume.storage.setStopped(true)
  const ends = Array.from({ length: 4 }, (_, at) => submit(path, IoOp.Write, at * MIB, 65_536, 0xa5))
  await until('LIO has the writes', () => bed.lio.commands(1, 0) >= count + 4)
  let fenced = false
  const closed = path.close().then(() => (fenced = true))
  const statuses = await Promise.all(ends)
  assert.ok(statuses.every(isPathError), statuses.join(' '))
  // As long as the array has them, no proof can be had: whoever settles within that time has none.
  await sleep(3000)
  assert.equal(fenced, false)
  volume.storage.setStopped(false)
  await within('the path is fenced', closed)
  const stand = volume.storage.peek(0, 4 * MIB)
  const next = await openPath(target)
  for (let at = 0; at < 16; at++) await submit(next, IoOp.Read, at * MIB, 65_536)
  assert.ok(volume.storage.peek(0, 4 * MIB).equals(stand), 'a write was applied after the fence')
  await next.close()
})

test('a session that is lost is taken over under the same name: never two of them', async () => {
  await using bed = openBed()
  const device = await openAllPaths(bed.initiator())
  const user = userDevice(device)
  const before = bed.lio.session(1, ALICE)
  await bed.lio.setEnabled(1, false)
  await until('the path is gone', () => device.paths.some(({ state }) => state !== 'up'))
  await user.write(0, Buffer.alloc(4096, 1))
  await bed.lio.setEnabled(1, true)
  await until('it is back', () => device.paths.every(({ state }) => state === 'up'))
  const after = bed.lio.session(1, ALICE)
  assert.notEqual(after?.id, before?.id)
  assert.equal(after?.isid, before?.isid)
  assert.equal(bed.lio.sessions(), 2)
  await user.close()
})

test('a portal group is taken out and comes back under load, three times: no error, no lost write', async () => {
  await using bed = openBed()
  const device = await openAllPaths(bed.initiator(), 0, roundRobin)
  const user = userDevice(device)
  await until('both paths are up', () => device.paths.every(({ state }) => state === 'up'))
  let on = true
  let done = 0
  const last = new Map<number, number>()
  const work = async (offset: number): Promise<void> => {
    for (let generation = 1; on; generation++) {
      await user.write(offset, pattern(16_384, { seed: 8, offset, generation }))
      last.set(offset, generation)
      done++
    }
  }
  const workers = Promise.all(Array.from({ length: 8 }, (_, at) => work(at * MIB)))
  workers.catch(() => {})
  for (const tag of [1, 2, 1]) {
    await bed.lio.setEnabled(tag, false)
    await until('a path is lost', () => device.paths.some(({ state }) => state !== 'up'))
    const soon = done + 50
    await until('the load goes on over the other path', () => done >= soon)
    await bed.lio.setEnabled(tag, true)
    await until('both paths are up', () => device.paths.every(({ state }) => state === 'up'))
  }
  on = false
  await workers
  await user.flush()
  for (const [offset, generation] of last) {
    const stamp = { seed: 8, offset, generation }
    assert.equal(patternFault(bed.volumes[0]!.storage.peek(offset, 16_384), stamp), undefined)
  }
  await user.close()
})

test('an array that stops for longer than the time-out of an I/O: a write that was retried is not undone', async () => {
  await using bed = openBed({ luns: [{ kind: 'stoppable' }] })
  const volume = bed.volumes[0]!
  const target = bed.initiator({ taskTimeout: 60_000 })
  const device = await openAllPaths(target, 0, roundRobin, { ioTimeout: 1000, noPathTimeout: 120_000 })
  const user = userDevice(device)
  await until('both paths are up', () => device.paths.every(({ state }) => state === 'up'))
  volume.storage.setStopped(true)
  const older = { seed: 4, offset: 0, generation: 1 }
  const write = user.write(0, pattern(65_536, older))
  await until('the path of the write has failed', () => device.paths.some(({ failures }) => failures > 0))
  volume.storage.setStopped(false)
  await within('the write is done', write)
  assert.equal(patternFault(volume.storage.peek(0, 65_536), older), undefined)
  const newer = { seed: 4, offset: 0, generation: 2 }
  await user.write(0, pattern(65_536, newer))
  await until('both paths are up again', () => device.paths.every(({ state }) => state === 'up'))
  await user.flush()
  assert.equal(
    patternFault(volume.storage.peek(0, 65_536), newer),
    undefined,
    'the older write came after the newer one',
  )
  await user.close()
})

test('a write that ended with EIO, and that the network delivers later, does not undo one that was acknowledged after it', async () => {
  await using bed = openBed()
  const [host = '', port = ''] = PORTALS[1].split(':')
  await using proxy = await createChaosProxy({ to: { host, port: Number(port) } })
  const target = bed.initiator({
    portals: [PORTALS[0], proxy.address],
    toldPortals: false,
    keepAliveInterval: 300,
    keepAliveTimeout: 3000,
  })
  const through = (): PathSelector => {
    let paths: readonly PathView[] = []
    return {
      name: 'through-proxy',
      update: (usable) => void (paths = usable),
      select: () => paths.find(({ id }) => id.includes(proxy.address)) ?? paths[0],
    }
  }
  const device = await openAllPaths(target, 0, through, { noPathTimeout: 2000, reconnectDelayMax: 500 })
  const user = userDevice(device)
  await until('both paths are up', () => device.paths.every(({ state }) => state === 'up'))
  proxy.hold('up')
  await assert.rejects(user.write(0, Buffer.alloc(65_536, 1)), { code: 'IO_FAILED' })
  assert.deepEqual(
    device.guards.map(({ offset, length }) => [offset, length]),
    [[0, 65_536]],
  )
  // As long as that may come, a newer one is not acknowledged; beside it all goes on.
  await assert.rejects(user.write(4096, Buffer.alloc(4096, 2)), { code: 'IO_FAILED' })
  await user.write(65_536, Buffer.alloc(4096, 3))
  const newer = user.write(0, Buffer.alloc(65_536, 2)).catch(() => user.write(0, Buffer.alloc(65_536, 2)))
  proxy.release('up')
  await within('the newer write is acknowledged', newer)
  await user.flush()
  await until('both paths are up again', () => device.paths.every(({ state }) => state === 'up'))
  assert.ok(
    bed.volumes[0]!.storage.peek(0, 65_536).every((byte) => byte === 2),
    'the older write came later',
  )
  assert.deepEqual(device.guards, [])
  await user.close()
})
