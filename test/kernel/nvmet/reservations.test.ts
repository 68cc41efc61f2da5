import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { test } from 'node:test'
import type { Path } from '@blockbraid/core'
import { Errno, errnoOf, IoOp, isPathError, userDevice } from '@blockbraid/core'
import {
  AcquireAction,
  decodeReservations,
  RegisterAction,
  ReleaseAction,
  reservationAcquire,
  reservationRegister,
  reservationRelease,
  reservationReport,
  sendNvme,
  NvmeReservationType as Type,
} from '@blockbraid/target-nvmeof'
import { submit } from '../guest/submit.ts'
import { kernelVersion } from '../node/bed.ts'
import type { Bed } from './bed.ts'
import { ALICE, BOB, openAllPaths, openBed, openPath, PORTALS } from './bed.ts'

const hers = '0xa11ce'
const his = '0xb0b'
const CONFLICT = 0x83

/** A namespace with reservations and a path for each of two hosts; undefined where this kernel's nvmet has none. */
async function openBoth(t: TestContext): Promise<{ bed: Bed; alice: Path; bob: Path } | undefined> {
  if (kernelVersion() < 613) {
    t.skip('nvmet has reservations from Linux 6.13 on')
    return undefined
  }
  const bed = openBed({ namespaces: [{ attributes: { resv_enable: 1 } }] })
  const [alice, bob] = await Promise.all(
    [ALICE, BOB].map((hostNqn) => openPath(bed.initiator({ hostNqn, name: hostNqn }))),
  )
  return { bed, alice: alice!, bob: bob! }
}

const register = (path: Path, otherKey: string): Promise<number> =>
  statusOf(path, reservationRegister(1, RegisterAction.Register, { otherKey }))
const acquire = (path: Path, key: string, type: number): Promise<number> =>
  statusOf(path, reservationAcquire(1, AcquireAction.Acquire, { key, type }))

test('register, acquire, release and clear, as every host sees them', async (t) => {
  const both = await openBoth(t)
  if (both === undefined) return
  await using bed = both.bed
  const { alice, bob } = both
  assert.ok(bed)
  assert.equal(await register(alice, hers), 0)
  assert.equal(await acquire(alice, hers, Type.WriteExclusive), 0)
  const seen = await report(bob)
  assert.equal(seen.type, Type.WriteExclusive)
  assert.deepEqual(
    seen.registrants.filter(({ holder }) => holder).map(({ key }) => BigInt(key)),
    [BigInt(hers)],
  )
  assert.equal(
    await statusOf(alice, reservationRelease(1, ReleaseAction.Release, { key: hers, type: Type.WriteExclusive })),
    0,
  )
  assert.equal((await report(bob)).type, 0)
  assert.equal(await statusOf(alice, reservationRelease(1, ReleaseAction.Clear, { key: hers })), 0)
  assert.deepEqual((await report(bob)).registrants, [])
  await Promise.all([alice.close(), bob.close()])
})

test('a write against the reservation of another host ends with EBADE, a read does not; preempting turns that round', async (t) => {
  const both = await openBoth(t)
  if (both === undefined) return
  await using bed = both.bed
  const { alice, bob } = both
  await register(alice, hers)
  await acquire(alice, hers, Type.WriteExclusive)
  const status = await submit(bob, IoOp.Write, 0, 4096, 0xbb)
  assert.equal(errnoOf(status), Errno.EBADE)
  assert.equal(isPathError(status), false)
  assert.equal(await submit(bob, IoOp.Read, 0, 4096), 0)
  assert.equal(await submit(alice, IoOp.Write, 0, 4096, 0xaa), 0)
  assert.equal(bed.volumes[0]!.storage.peek(0, 1)[0], 0xaa)
  assert.equal(await register(bob, his), 0)
  assert.equal((await acquire(bob, his, Type.WriteExclusive)) & 0x7ff, CONFLICT)
  const preempt = { key: his, otherKey: hers, type: Type.WriteExclusive }
  assert.equal(await statusOf(bob, reservationAcquire(1, AcquireAction.Preempt, preempt)), 0)
  assert.equal(await submit(bob, IoOp.Write, 0, 4096, 0xbb), 0)
  assert.equal(errnoOf(await submit(alice, IoOp.Write, 0, 4096, 0xaa)), Errno.EBADE)
  await Promise.all([alice.close(), bob.close()])
})

test('registrants only: whoever registers may write; exclusive access refuses reads, zeroes and trims as well', async (t) => {
  const both = await openBoth(t)
  if (both === undefined) return
  await using bed = both.bed
  const { alice, bob } = both
  assert.ok(bed)
  await register(alice, hers)
  await acquire(alice, hers, Type.ExclusiveAccessRegistrants)
  for (const op of [IoOp.Read, IoOp.Write, IoOp.WriteZeroes, IoOp.Trim]) {
    assert.equal(errnoOf(await submit(bob, op, 0, 4096)), Errno.EBADE, `op ${op}`)
  }
  await register(bob, his)
  assert.equal(await submit(bob, IoOp.Write, 0, 4096, 0xbb), 0)
  await Promise.all([alice.close(), bob.close()])
})

test('a reservation of this host holds for each of its paths', async (t) => {
  const both = await openBoth(t)
  if (both === undefined) return
  await using bed = both.bed
  const { alice, bob } = both
  await register(alice, hers)
  await acquire(alice, hers, Type.WriteExclusive)
  const device = await openAllPaths(bed.initiator({ name: 'device' }))
  const user = userDevice(device)
  assert.equal(device.paths.length, PORTALS.length)
  for (let at = 0; at < 8; at++) await user.write(at * 4096, Buffer.alloc(4096, at))
  await bed.nvmet.setUp(1, false)
  await user.write(0, Buffer.alloc(4096, 9))
  await bed.nvmet.setUp(1, true)
  const other = await openPath(bed.initiator({ hostNqn: BOB, name: 'other' }), 1, PORTALS[1])
  assert.equal(errnoOf(await submit(other, IoOp.Write, 0, 4096, 0xbb)), Errno.EBADE)
  await user.close()
  await Promise.all([alice.close(), bob.close(), other.close()])
})

async function statusOf(path: Path, { command, data }: ReturnType<typeof reservationRegister>): Promise<number> {
  return (await sendNvme(path, command, data)).status
}

async function report(path: Path): Promise<ReturnType<typeof decodeReservations>> {
  const { command, data } = reservationReport(1)
  const answer = await sendNvme(path, command, data)
  assert.equal(answer.status, 0)
  return decodeReservations(answer.data)
}
