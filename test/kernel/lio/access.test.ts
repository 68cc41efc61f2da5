import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Access, MultipathDevice } from '@blockbraid/core'
import { userDevice } from '@blockbraid/core'
import { roundRobin } from '@blockbraid/policy-round-robin'
import { pattern, patternFault } from '@blockbraid/testkit'
import { until } from '../guest/wait.ts'
import type { Bed } from './bed.ts'
import { openAllPaths, openBed, openPath, PORTALS } from './bed.ts'

const GROUPS = ['group1', 'group2'] as const

test('a path has the access state of its port from the start', async () => {
  await using bed = openBed()
  bed.volumes[0]!.setAccess('group1', 'optimized')
  bed.volumes[0]!.setAccess('group2', 'non-optimized')
  const target = bed.initiator()
  const paths = await Promise.all(PORTALS.map((portal) => openPath(target, 0, portal)))
  assert.deepEqual(
    paths.map(({ access }) => access),
    ['optimized', 'non-optimized'],
  )
  await Promise.all(paths.map((path) => path.close()))
})

test('a path without I/O hears of every change of its access state', async () => {
  await using bed = openBed()
  const path = await openPath(bed.initiator())
  const heard: Access[] = []
  path.events.on('access', (access) => heard.push(access))
  const states: Access[] = ['non-optimized', 'standby', 'unavailable', 'optimized']
  for (const state of states) {
    bed.volumes[0]!.setAccess('group1', state)
    await until(`the path is ${state}`, () => path.access === state)
  }
  assert.deepEqual(heard, states)
  await path.close()
})

test('a path whose port takes no I/O can be opened, and takes over when its port may', async () => {
  await using bed = openBed()
  const volume = bed.volumes[0]!
  volume.setAccess('group2', 'unavailable')
  const device = await openAllPaths(bed.initiator())
  const user = userDevice(device)
  await until('both paths are up', () => device.paths.every(({ state }) => state === 'up'))
  assert.deepEqual(accessOf(device), { [PORTALS[0]]: 'optimized', [PORTALS[1]]: 'unavailable' })
  volume.setAccess('group2', 'optimized')
  await until('the path knows', () => accessOf(device)[PORTALS[1]] === 'optimized')
  volume.setAccess('group1', 'unavailable')
  await user.write(0, Buffer.alloc(4096, 1))
  assert.ok(device.paths.every(({ state }) => state === 'up'))
  await user.close()
})

test('I/O moves with the access state, and none fails', async () => {
  await using bed = openBed()
  const volume = bed.volumes[0]!
  const device = await openAllPaths(bed.initiator(), 0, roundRobin)
  await until('both paths are up', () => device.paths.every(({ state }) => state === 'up'))
  const load = startLoad(device)
  const turns: [Access, Access][] = [
    ['optimized', 'non-optimized'],
    ['non-optimized', 'optimized'],
    ['standby', 'optimized'],
    ['optimized', 'unavailable'],
    ['optimized', 'optimized'],
  ]
  for (const turn of turns) {
    for (const [at, state] of turn.entries()) volume.setAccess(GROUPS[at]!, state)
    await until(`the paths are ${turn.join(' and ')}`, () => {
      const now = accessOf(device)
      return PORTALS.every((portal, at) => now[portal] === turn[at])
    })
    const used = await portsUsed(bed, load)
    assert.deepEqual(
      used,
      turn.map((state) => state === 'optimized'),
      `with ${turn.join(' and ')}`,
    )
  }
  await load.end()
  await device.close()
})

test('with no port that takes I/O, it waits, and then goes on', async () => {
  await using bed = openBed()
  const volume = bed.volumes[0]!
  const device = await openAllPaths(bed.initiator())
  const user = userDevice(device)
  for (const group of GROUPS) volume.setAccess(group, 'unavailable')
  await until('the device has stalled', () => device.state === 'stalled')
  const stamp = { seed: 3, offset: 4096, generation: 1 }
  const write = user.write(stamp.offset, pattern(4096, stamp))
  await until('the write waits', () => device.parked > 0)
  assert.ok(bed.volumes[0]!.storage.peek(4096, 4096).every((byte) => byte === 0))
  volume.setAccess('group2', 'optimized')
  await write
  assert.equal(patternFault(volume.storage.peek(4096, 4096), stamp), undefined)
  await user.close()
})

test('a port in transition: the path says so, and I/O waits for its end', async () => {
  await using bed = openBed()
  const volume = bed.volumes[0]!
  volume.setAccess('group2', 'unavailable')
  const device = await openAllPaths(bed.initiator())
  const user = userDevice(device)
  await until('both paths are up', () => device.paths.every(({ state }) => state === 'up'))
  const over = volume.transition('group1', 'non-optimized', 3000)
  await until('the path is in transition', () => accessOf(device)[PORTALS[0]] === 'transitioning')
  const write = user.write(0, Buffer.alloc(4096, 1))
  await until('the write waits', () => device.parked > 0)
  await Promise.all([over, write])
  assert.equal(accessOf(device)[PORTALS[0]], 'non-optimized')
  assert.ok(device.paths.every(({ failures }) => failures === 0))
  await user.close()
})

test('explicit: a path asks the array to make its port optimized', async () => {
  await using bed = openBed()
  const volume = bed.volumes[0]!
  volume.setAccess('group2', 'standby')
  const path = await openPath(bed.initiator(), 0, PORTALS[1])
  assert.equal(path.access, 'standby')
  await path.activate?.()
  assert.equal(volume.access('group2'), 'optimized')
  await until('the path knows', () => path.access === 'optimized')
  await path.close()
})

test('with no port that takes I/O, a device has one made optimized', async () => {
  await using bed = openBed()
  const volume = bed.volumes[0]!
  const device = await openAllPaths(bed.initiator())
  const user = userDevice(device)
  for (const group of GROUPS) volume.setAccess(group, 'standby')
  await until(
    'the paths know',
    () => Object.values(accessOf(device)).every((access) => access !== 'optimized') || device.state === 'active',
  )
  await user.write(0, Buffer.alloc(4096, 1))
  assert.ok(GROUPS.some((group) => volume.access(group) === 'optimized'))
  await user.close()
})

function accessOf(device: MultipathDevice): Record<string, Access | undefined> {
  return Object.fromEntries(device.paths.map(({ address, access }) => [address, access]))
}

/** Writes that never stop until they are told to, each read back. */
interface Load {
  /** Writes done. */
  readonly done: number
  /** Stops, and throws what went wrong. */
  end(): Promise<void>
}

function startLoad(device: MultipathDevice): Load {
  const user = userDevice(device, undefined, async () => {})
  let on = true
  let done = 0
  const work = async (offset: number): Promise<void> => {
    for (let generation = 1; on; generation++) {
      const stamp = { seed: 9, offset, generation }
      await user.write(offset, pattern(4096, stamp))
      assert.equal(patternFault(await user.read(offset, 4096), stamp), undefined)
      done++
    }
  }
  const workers = Promise.all([0, 4096, 8192, 65_536].map(work))
  // It is looked at when the load ends.
  workers.catch(() => {})
  return {
    get done() {
      return done
    },
    async end() {
      on = false
      await workers
      await user.close()
    },
  }
}

/** Whether commands for the LUN come through each port, over the next few writes. */
async function portsUsed(bed: Bed, load: Load): Promise<boolean[]> {
  const counts = (): number[] => [1, 2].map((tag) => bed.lio.commands(tag, 0))
  // What was on its way when the state changed has arrived by then.
  const settled = load.done + 8
  await until('the load goes on', () => load.done >= settled)
  const before = counts()
  const enough = load.done + 32
  await until('the load goes on', () => load.done >= enough)
  // A path without I/O asks for news now and then.
  return counts().map((count, at) => count - before[at]! > 16)
}
