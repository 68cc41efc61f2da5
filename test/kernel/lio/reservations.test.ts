import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Path } from '@blockbraid/core'
import { Errno, errnoOf, IoOp, isPathError, userDevice } from '@blockbraid/core'
import { submit } from '../guest/submit.ts'
import type { Bed } from './bed.ts'
import { ALICE, BOB, openAllPaths, openBed, openPath, PORTALS } from './bed.ts'
import * as pr from './persistent.ts'

const CONFLICT = 0x18
const hers = 0xa11ce
const his = 0xb0b

/** One path each for two initiators to the same volume. */
async function openBoth(bed: Bed): Promise<{ alice: Path; bob: Path }> {
  const [alice, bob] = await Promise.all(
    [ALICE, BOB].map((initiator) => openPath(bed.initiator({ initiator, name: initiator }))),
  )
  return { alice: alice!, bob: bob! }
}

test('register, reserve, release and clear, as LIO itself sees them', async () => {
  await using bed = openBed()
  const { alice, bob } = await openBoth(bed)
  const volume = bed.volumes[0]!
  assert.equal((await pr.reserveOut(alice, pr.Register, 0, { other: hers })).status, 0)
  assert.deepEqual(await pr.readKeys(alice), [hers])
  assert.match(volume.reservations().registered, new RegExp(`${ALICE}.*0x0*${hers.toString(16)}`, 's'))
  assert.equal((await pr.reserveOut(alice, pr.Reserve, pr.WriteExclusive, { own: hers })).status, 0)
  assert.deepEqual(await pr.readReservation(bob), { key: hers, type: pr.WriteExclusive })
  assert.match(volume.reservations().holder, new RegExp(ALICE))
  assert.equal((await pr.reserveOut(alice, pr.Release, pr.WriteExclusive, { own: hers })).status, 0)
  assert.equal(await pr.readReservation(bob), undefined)
  assert.equal((await pr.reserveOut(alice, pr.Clear, 0, { own: hers })).status, 0)
  assert.deepEqual(await pr.readKeys(bob), [])
  await Promise.all([alice.close(), bob.close()])
})

test('a write against the reservation of another initiator ends with EBADE, a read does not', async () => {
  await using bed = openBed()
  const { alice, bob } = await openBoth(bed)
  await pr.reserveOut(alice, pr.Register, 0, { other: hers })
  await pr.reserveOut(alice, pr.Reserve, pr.WriteExclusive, { own: hers })
  const status = await submit(bob, IoOp.Write, 0, 4096, 0xbb)
  assert.equal(errnoOf(status), Errno.EBADE)
  assert.equal(isPathError(status), false)
  assert.equal(await submit(bob, IoOp.Read, 0, 4096), 0)
  assert.equal(await submit(alice, IoOp.Write, 0, 4096, 0xaa), 0)
  assert.equal(bed.volumes[0]!.storage.peek(0, 1)[0], 0xaa)
  assert.equal((await pr.reserveOut(bob, pr.Register, 0, { other: his })).status, 0)
  assert.equal(errnoOf(await submit(bob, IoOp.Write, 0, 4096, 0xbb)), Errno.EBADE)
  await Promise.all([alice.close(), bob.close()])
})

test('an exclusive access reservation refuses reads as well, and trims, and zeroes', async () => {
  await using bed = openBed()
  const { alice, bob } = await openBoth(bed)
  await pr.reserveOut(alice, pr.Register, 0, { other: hers })
  await pr.reserveOut(alice, pr.Reserve, pr.ExclusiveAccess, { own: hers })
  for (const op of [IoOp.Read, IoOp.Write, IoOp.Trim, IoOp.WriteZeroes]) {
    assert.equal(await submit(bob, op, 0, 4096), Errno.EBADE, `op ${op}`)
  }
  assert.equal(await submit(alice, IoOp.Read, 0, 4096), 0)
  await Promise.all([alice.close(), bob.close()])
})

test('registrants only: whoever registers may write', async () => {
  await using bed = openBed()
  const { alice, bob } = await openBoth(bed)
  await pr.reserveOut(alice, pr.Register, 0, { other: hers })
  await pr.reserveOut(alice, pr.Reserve, pr.WriteExclusiveRegistrants, { own: hers })
  assert.equal(await submit(bob, IoOp.Write, 0, 4096), Errno.EBADE)
  await pr.reserveOut(bob, pr.Register, 0, { other: his })
  assert.equal(await submit(bob, IoOp.Write, 0, 4096), 0)
  await Promise.all([alice.close(), bob.close()])
})

for (const [name, action] of [
  ['preempt', pr.Preempt],
  ['preempt and abort', pr.PreemptAndAbort],
] as const) {
  test(`${name}: the one who held the reservation is shut out`, async () => {
    await using bed = openBed()
    const { alice, bob } = await openBoth(bed)
    await pr.reserveOut(alice, pr.Register, 0, { other: hers })
    await pr.reserveOut(alice, pr.Reserve, pr.WriteExclusive, { own: hers })
    await pr.reserveOut(bob, pr.Register, 0, { other: his })
    const { status } = await pr.reserveOut(bob, action, pr.WriteExclusive, { own: his, other: hers })
    assert.equal(status, 0)
    assert.deepEqual(await pr.readKeys(bob), [his])
    assert.deepEqual(await pr.readReservation(alice), { key: his, type: pr.WriteExclusive })
    assert.match(bed.volumes[0]!.reservations().holder, new RegExp(BOB))
    assert.equal(await submit(alice, IoOp.Write, 0, 4096, 0xaa), Errno.EBADE)
    assert.equal(await submit(bob, IoOp.Write, 0, 4096, 0xbb), 0)
    assert.equal(bed.volumes[0]!.storage.peek(0, 1)[0], 0xbb)
    // She needs a registration before she may do anything about it.
    assert.equal(
      (await pr.reserveOut(alice, pr.Preempt, pr.WriteExclusive, { own: hers, other: his })).status,
      CONFLICT,
    )
    await Promise.all([alice.close(), bob.close()])
  })
}

test('a registration holds for one port: the other path conflicts until it is registered too', async () => {
  await using bed = openBed()
  const target = bed.initiator()
  const [first, second] = await Promise.all(PORTALS.map((portal) => openPath(target, 0, portal)))
  await pr.reserveOut(first!, pr.Register, 0, { other: hers })
  await pr.reserveOut(first!, pr.Reserve, pr.WriteExclusiveRegistrants, { own: hers })
  assert.equal(await submit(second!, IoOp.Write, 0, 4096), Errno.EBADE)
  assert.equal((await pr.reserveOut(second!, pr.RegisterAndIgnore, 0, { other: hers })).status, 0)
  assert.deepEqual(await pr.readKeys(second!), [hers, hers])
  assert.equal(await submit(second!, IoOp.Write, 0, 4096), 0)
  await Promise.all([first!.close(), second!.close()])
})

test('a conflict reaches the application as EBADE, and no path is given up for it', async () => {
  await using bed = openBed()
  const holder = await openPath(bed.initiator({ initiator: BOB, name: BOB }))
  await pr.reserveOut(holder, pr.Register, 0, { other: his })
  await pr.reserveOut(holder, pr.Reserve, pr.WriteExclusive, { own: his })
  const device = await openAllPaths(bed.initiator())
  const user = userDevice(device)
  await assert.rejects(
    user.write(0, Buffer.alloc(4096)),
    (error) => (error as { errno?: number }).errno === Errno.EBADE,
  )
  assert.deepEqual(
    device.paths.map(({ state, failures }) => [state, failures]),
    [
      ['up', 0],
      ['up', 0],
    ],
  )
  await user.close()
  await holder.close()
})

test('through a device, pass-through goes over a usable path', async () => {
  await using bed = openBed()
  bed.volumes[0]!.setAccess('group1', 'unavailable')
  const device = await openAllPaths(bed.initiator())
  assert.deepEqual(await pr.readKeys(device), [])
  await device.close()
})

test('a reservation outlives the session of its holder', async () => {
  await using bed = openBed()
  const first = bed.initiator()
  const path = await openPath(first)
  await pr.reserveOut(path, pr.Register, 0, { other: hers })
  await pr.reserveOut(path, pr.Reserve, pr.WriteExclusive, { own: hers })
  await path.close()
  await bed.close(first)
  const { alice, bob } = await openBoth(bed)
  assert.equal(await submit(bob, IoOp.Write, 0, 4096), Errno.EBADE)
  // The same initiator with the same ISID through the same port is the same nexus.
  assert.equal(await submit(alice, IoOp.Write, 0, 4096), 0)
  await Promise.all([alice.close(), bob.close()])
})
