import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlockError } from '@blockbraid/core'
import { until } from '../guest/wait.ts'
import { ALICE, BOB, openBed, openPath, PORTALS } from './bed.ts'

test('a host that is not on the list is refused, is told why, and gets in once it is allowed', async () => {
  await using bed = openBed({ hosts: [{ nqn: ALICE }] })
  const path = await openPath(bed.initiator())
  const bob = bed.initiator({ hostNqn: BOB, name: 'bob' })
  await assert.rejects(bob.discover(), (error) => BlockError.is(error) && /not allow|host/i.test(error.message))
  bed.nvmet.allow({ nqn: BOB })
  const his = await openPath(bob)
  assert.equal(his.volume, path.volume)
  await Promise.all([path.close(), his.close()])
})

test('discovery controllers tell of every port of the subsystem, and of none to a host that may not connect', async () => {
  await using bed = openBed({ hosts: [{ nqn: ALICE }] })
  const infos = await bed.finder().discover()
  assert.deepEqual(infos.map(({ address }) => address).sort(), [...PORTALS].sort())
  assert.ok(infos.every(({ volume }) => volume === bed.volumes[0]!.id))
  const none = await bed
    .finder({ hostNqn: BOB, name: 'bob' })
    .discover()
    .catch((error: Error) => error)
  assert.ok(none instanceof Error || none.length === 0)
})

test('a port that leaves the subsystem and comes back is announced by the discovery controller', async () => {
  await using bed = openBed()
  const target = bed.finder()
  const news: string[] = []
  target.events?.on('changed', (why) => news.push(why))
  assert.equal((await target.discover()).length, 2)
  await bed.nvmet.setUp(2, false)
  await until('it is announced', () => news.length > 0)
  await until('it is no longer listed', async () => (await target.discover()).length === 1)
  const before = news.length
  await bed.nvmet.setUp(2, true)
  await until('it is announced', () => news.length > before)
  await until('it is listed again', async () => (await target.discover()).length === 2)
})
