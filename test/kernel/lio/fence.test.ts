import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { IoOp, isPathError, userDevice } from '@blockbraid/core'
import { roundRobin } from '@blockbraid/policy-round-robin'
import { pattern, patternFault } from '@blockbraid/testkit'
import { until, within } from '../guest/wait.ts'
import { ALICE, MIB, openAllPaths, openBed, openPath } from './bed.ts'
import { submit } from './submit.ts'

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
