import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IoOp, isPathError, userDevice } from '@blockbraid/core'
import { roundRobin } from '@blockbraid/policy-round-robin'
import { pattern, patternFault } from '@blockbraid/testkit'
import { submit } from '../guest/submit.ts'
import { until } from '../guest/wait.ts'
import { MIB, openAllPaths, openBed, openPath, PORTALS } from './bed.ts'

test('ANA states are known at once, and every change of one', async () => {
  await using bed = openBed({ namespaces: [{}, { group: 2 }] })
  bed.nvmet.setAccess(2, 1, 'non-optimized')
  bed.nvmet.setAccess(1, 2, 'standby')
  const target = bed.initiator()
  const paths = await Promise.all([
    openPath(target, 1, PORTALS[0]),
    openPath(target, 1, PORTALS[1]),
    openPath(target, 2, PORTALS[1]),
  ])
  assert.deepEqual(
    paths.map(({ access }) => access),
    ['optimized', 'non-optimized', 'optimized'],
  )
  for (const access of ['standby', 'unavailable', 'transitioning', 'non-optimized', 'optimized'] as const) {
    bed.nvmet.setAccess(2, 1, access)
    await until(`the path is ${access}`, () => paths[1]!.access === access)
    assert.equal(paths[0]!.access, 'optimized')
    assert.equal(paths[2]!.access, 'optimized')
  }
  await Promise.all(paths.map((path) => path.close()))
})

test('I/O on a path that has become inaccessible is a path error', async () => {
  await using bed = openBed()
  const path = await openPath(bed.initiator())
  bed.nvmet.setAccess(1, 1, 'standby')
  assert.ok(isPathError(await submit(path, IoOp.Read, 0, 4096)))
  await until('the path knows it', () => path.access === 'standby')
  await path.close()
})

test('states change under load: no error, no lost write', async () => {
  await using bed = openBed()
  const device = await openAllPaths(bed.initiator(), 1, roundRobin)
  const user = userDevice(device)
  const load = startLoad(user)
  for (const [one, two] of [
    ['standby', 'optimized'],
    ['optimized', 'non-optimized'],
    ['transitioning', 'optimized'],
    ['unavailable', 'optimized'],
    ['optimized', 'standby'],
  ] as const) {
    bed.nvmet.setAccess(1, 1, one)
    bed.nvmet.setAccess(2, 1, two)
    await until('the states are known', () => device.paths.map(({ access }) => access).join() === `${one},${two}`)
    await load.more(30)
  }
  await load.end()
  load.check(bed.volumes[0]!.storage.peek)
  await user.close()
})

test('a namespace that grew, one that comes, one that goes, one whose number is used again', async () => {
  await using bed = openBed({ namespaces: [{}, {}] })
  const target = bed.initiator()
  const news: string[] = []
  target.events?.on('changed', (why) => news.push(why))
  const device = await openAllPaths(target)
  bed.volumes[0]!.storage.grow(96 * MIB)
  bed.nvmet.revalidate(1)
  await until('the device has the new size', () => device.limits.size === 96 * MIB)
  const before = news.length
  assert.equal(bed.addNamespace({ size: 32 * MIB }), 3)
  await until('a namespace is announced', () => news.length > before)
  const numbers = async (): Promise<string> =>
    (await target.discover())
      .map(({ lun }) => lun)
      .sort()
      .join()
  assert.equal(await numbers(), '1,1,2,2,3,3')
  const third = await openPath(target, 3)
  assert.equal(third.volume, bed.volumes[2]!.id)
  await third.close()
  const second = await openPath(target, 2)
  let down = false
  second.events.on('down', () => (down = true))
  await bed.nvmet.removeNamespace(2)
  await until('its path is gone', () => down)
  assert.equal(await numbers(), '1,1,3,3')
  await second.close()
  await device.close()
})

test('a number that is used again for another namespace: its writes never reach it', async () => {
  await using bed = openBed({ namespaces: [{}] })
  const device = await openAllPaths(bed.initiator(), 1, roundRobin, { noPathTimeout: 2000 })
  const user = userDevice(device)
  await user.write(0, Buffer.alloc(4096, 1))
  await bed.nvmet.removeNamespace(1)
  const number = bed.addNamespace()
  await bed.nvmet.removeNamespace(number)
  const { storage } = bed.volumes[number - 1]!
  bed.nvmet.addNamespace(1, { storage, uuid: bed.volumes[number - 1]!.id.slice(5) })
  await assert.rejects(user.write(0, Buffer.alloc(4096, 2)))
  assert.ok(storage.peek(0, 4096).every((byte) => byte === 0))
  await user.close().catch(() => {})
})

test('controllers are deleted under load, port by port and all at once: no error, no lost write', async () => {
  await using bed = openBed()
  const device = await openAllPaths(bed.initiator({ queues: 2 }), 1, roundRobin)
  const user = userDevice(device)
  const allUp = (): boolean => device.paths.every(({ state }) => state === 'up')
  await until('both paths are up', allUp)
  const load = startLoad(user)
  for (const port of [1, 2, 1]) {
    await bed.nvmet.setUp(port, false)
    await until('a path is lost', () => !allUp())
    await load.more(30)
    await bed.nvmet.setUp(port, true)
    await until('both paths are up', allUp)
  }
  // Every controller ends.
  const failures = device.paths.map((path) => path.failures)
  await bed.nvmet.setAttribute('attr_qid_max', 1)
  await until('both paths were lost', () => device.paths.every((path, at) => path.failures > failures[at]!))
  await until('both paths are up', allUp)
  await load.more(30)
  await load.end()
  load.check(bed.volumes[0]!.storage.peek)
  await user.close()
})

/** Eight writers, each with a place of its own. */
function startLoad(user: ReturnType<typeof userDevice>): {
  /** Waits until that many more writes are done. */
  more(count: number): Promise<void>
  end(): Promise<void>
  check(peek: (offset: number, length: number) => Buffer): void
} {
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
  let failed: unknown
  workers.catch((error) => (failed = error))
  return {
    async more(count) {
      const soon = done + count
      await until('the load goes on', () => done >= soon || failed !== undefined)
    },
    async end() {
      on = false
      await workers
      await user.flush()
    },
    check(peek) {
      for (const [offset, generation] of last) {
        assert.equal(patternFault(peek(offset, 16_384), { seed: 8, offset, generation }), undefined)
      }
    },
  }
}
