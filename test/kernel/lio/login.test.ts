import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { BlockError } from '@blockbraid/core'
import { unsupported } from '../guest/unsupported.ts'
import { ALICE, openBed, openDevice } from './bed.ts'
import { setDiscoveryChap } from './target.ts'

const SECRET = 'a secret of alice'
const THEIRS = 'a secret of the array'
// LIO takes any CHAP offer on discovery, and then refuses it unless discovery has credentials of its own.
const plainDiscovery = { discoveryChap: false } as const
const oneWay = { user: 'alice', secret: SECRET }
const mutual = { ...oneWay, target: { user: 'array', secret: THEIRS } }

/** What is thrown; it must not show a secret anywhere. */
async function denied(work: Promise<unknown>): Promise<void> {
  const error = await work.then(
    () => assert.fail('it was let in'),
    (thrown: unknown) => thrown,
  )
  assert.ok(BlockError.is(error), inspect(error))
  assert.equal(error.code, 'DENIED', error.message)
  assert.doesNotMatch(inspect(error, { depth: 10, showHidden: true }), /a secret of/)
}

for (const algorithm of ['md5', 'sha1', 'sha256', 'sha3-256'] as const) {
  test(`CHAP one way with ${algorithm}`, async () => {
    await using bed = openBed({ chap: oneWay })
    const device = await openDevice(bed.initiator({ ...plainDiscovery, chap: { ...oneWay, algorithms: [algorithm] } }))
    await device.write(0, Buffer.alloc(512, 7))
    await device.close()
  })
}

test('CHAP both ways, and the best algorithm that both know', async () => {
  await using bed = openBed({ chap: mutual })
  const device = await openDevice(bed.initiator({ ...plainDiscovery, chap: mutual }))
  assert.equal((await device.read(0, 512)).length, 512)
  await device.close()
})

test('a wrong secret and a wrong user are denied', async () => {
  await using bed = openBed({ chap: oneWay })
  await denied(bed.initiator({ ...plainDiscovery, chap: { user: 'alice', secret: 'a secret of nobody' } }).discover())
  await denied(bed.initiator({ ...plainDiscovery, chap: { user: 'mallory', secret: SECRET } }).discover())
})

test('no credentials where the target wants some: no login', async (t) => {
  await using bed = openBed({ chap: oneWay })
  await assert.rejects(bed.initiator().discover(), (error) => BlockError.is(error) && error.code === 'CONNECT_FAILED')
  unsupported(t, 'a reason when it wants CHAP and none is offered', 'it closes the connection instead of status 0201h')
})

test('a target that does not know its own secret is not used', async () => {
  await using bed = openBed({ chap: mutual })
  await denied(
    bed
      .initiator({ ...plainDiscovery, chap: { ...oneWay, target: { user: 'array', secret: 'a secret of another' } } })
      .discover(),
  )
  await denied(
    bed.initiator({ ...plainDiscovery, chap: { ...oneWay, target: { user: 'other', secret: THEIRS } } }).discover(),
  )
})

test('a target that cannot prove itself is not used', async () => {
  await using bed = openBed({ chap: oneWay })
  await denied(bed.initiator({ ...plainDiscovery, chap: mutual }).discover())
})

test('CHAP on discovery, with credentials of its own', async () => {
  const discovery = { user: 'finder', secret: 'a secret of finders' }
  await using bed = openBed({ chap: oneWay })
  setDiscoveryChap(discovery)
  try {
    await denied(bed.initiator({ chap: oneWay }).discover())
    const infos = await bed.initiator({ chap: oneWay, discoveryChap: discovery }).discover()
    assert.equal(infos.length, 2)
  } finally {
    setDiscoveryChap(undefined)
  }
})

test('a session that another process of this name has left is taken over', async () => {
  await using bed = openBed()
  const first = bed.initiator()
  await openDevice(first)
  const before = bed.lio.session(1, ALICE)
  const second = await openDevice(bed.initiator())
  const after = bed.lio.session(1, ALICE)
  assert.notEqual(after?.id, before?.id)
  assert.equal(after?.isid, before?.isid)
  await second.close()
})
