import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlockError } from '@blockbraid/core'
import { iscsi } from '@blockbraid/target-iscsi'
import { until } from '../guest/wait.ts'
import { ALICE, find, MIB, openBed, PORTALS } from './bed.ts'

test('every LUN is found through both portals, with the identity that LIO gave it', async () => {
  await using bed = openBed({ luns: [{}, { blockSize: 4096, size: 32 * MIB }, { kind: 'ram', size: 8 * MIB }] })
  const infos = await bed.initiator().discover()
  const seen = infos.map(({ id, address, volume, size, blockSize }) => [id, address, volume, size, blockSize])
  const wanted = PORTALS.flatMap((portal) =>
    [
      [16 * MIB, 512],
      [32 * MIB, 4096],
      [8 * MIB, 512],
    ].map(([size, blockSize], lun) => [
      `iscsi:${bed.lio.name}/${portal}/lun${lun}`,
      portal,
      bed.ids[lun],
      size,
      blockSize,
    ]),
  )
  assert.deepEqual(seen.sort(), wanted.sort())
  assert.match(infos.find(({ lun }) => lun === '0')?.product ?? '', /^LIO-ORG FILEIO/)
})

test('one portal is enough: the target tells of the other one', async () => {
  await using bed = openBed()
  const infos = await bed.initiator({ portals: [PORTALS[0]] }).discover()
  assert.deepEqual(infos.map(({ address }) => address).sort(), [...PORTALS])
})

test('without a name every target of the portals is listed', async () => {
  await using one = openBed({ groups: [{ tag: 1, portal: '127.0.0.1:3260' }] })
  await using two = openBed({ groups: [{ tag: 1, portal: '127.0.0.1:3261' }] })
  // LIO tells at each portal of all its targets.
  const target = one.initiator({ portals: ['127.0.0.1:3260'] })
  assert.deepEqual(
    (await target.discover()).map(({ volume }) => volume),
    one.ids,
  )
  const all = one.initiator({ portals: ['127.0.0.1:3260', '127.0.0.1:3261'], name: 'all' })
  assert.deepEqual(
    (await all.discover()).map(({ volume }) => volume),
    one.ids,
  )
  const nameless = iscsi({ portals: ['127.0.0.1:3260', '127.0.0.1:3261'], initiator: ALICE })
  const volumes = (await nameless.discover()).map(({ volume }) => volume)
  await nameless.close()
  assert.deepEqual(volumes.sort(), [...one.ids, ...two.ids].sort())
})

test('everyone may log in in demo mode', async () => {
  await using bed = openBed({ initiators: undefined })
  const infos = await bed.initiator({ initiator: 'iqn.2026-11.io.blockbraid.test:stranger' }).discover()
  assert.equal(infos.length, 2)
})

test('an initiator that the access list does not know is denied', async () => {
  await using bed = openBed()
  const stranger = bed.initiator({ initiator: 'iqn.2026-11.io.blockbraid.test:stranger' })
  await assert.rejects(stranger.discover(), (error) => BlockError.is(error) && error.code === 'DENIED')
})

test('a portal where nothing listens is a failed connect', async () => {
  await using bed = openBed()
  const target = bed.initiator({ portals: ['127.0.0.3:3260'] })
  await assert.rejects(target.discover(), (error) => BlockError.is(error) && error.code === 'CONNECT_FAILED')
})

test('with one portal down, the paths through it are still listed', async () => {
  await using bed = openBed()
  const target = bed.initiator()
  await target.discover()
  await bed.lio.setEnabled(2, false)
  assert.deepEqual((await target.discover()).map(({ address }) => address).sort(), [...PORTALS])
})

test('many LUNs share one session per portal', async () => {
  await using bed = openBed({ luns: Array.from({ length: 6 }, () => ({ size: MIB })) })
  const target = bed.initiator()
  const infos = (await target.discover()).filter(({ address }) => address === PORTALS[0])
  assert.equal(infos.length, 6)
  const paths = await Promise.all(infos.map((info) => target.connect(info)))
  const session = bed.lio.session(1, ALICE)
  assert.equal(session?.connections, 1)
  const again = await target.connect(await find(target))
  assert.deepEqual(bed.lio.session(1, ALICE), session)
  await Promise.all([...paths, again].map((path) => path.close()))
})

test('a session for each LUN, where that is asked for', async () => {
  await using bed = openBed({ luns: [{}, {}], initiators: undefined })
  const target = bed.initiator({ sessionPerLun: true })
  const infos = (await target.discover()).filter(({ address }) => address === PORTALS[0])
  const paths = await Promise.all(infos.map((info) => target.connect(info)))
  await until('the sessions of discovery have ended', () => bed.lio.sessions() === 2)
  await Promise.all(paths.map((path) => path.close()))
})
