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

test('discovery finds the port that is asked and the one that it refers to, and nothing for a host that may not connect', async () => {
  await using bed = openBed({ hosts: [{ nqn: ALICE }] })
  await bed.nvmet.setReferral(1, 2, true)
  const infos = await bed.finder().discover()
  assert.deepEqual(infos.map(({ address }) => address).sort(), [...PORTALS].sort())
  assert.ok(infos.every(({ volume }) => volume === bed.volumes[0]!.id))
  const none = await bed
    .finder({ hostNqn: BOB, name: 'bob' })
    .discover()
    .catch((error: Error) => error)
  assert.ok(none instanceof Error || none.length === 0)
})

test('a port that is told of later, and one that is told of no longer, are announced', async () => {
  await using bed = openBed()
  const target = bed.finder()
  const news: string[] = []
  target.events?.on('changed', (why) => news.push(why))
  assert.equal((await target.discover()).length, 1)
  for (const [told, paths] of [
    [true, 2],
    [false, 1],
  ] as const) {
    const before = news.length
    await bed.nvmet.setReferral(1, 2, told)
    await until('it is announced', () => news.length > before)
    await until('discovery knows it', async () => (await target.discover()).length === paths)
  }
})
