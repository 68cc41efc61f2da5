import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { until } from '../guest/wait.ts'
import { judge, startJudge } from '../judges/root.ts'
import { openBed, PORTALS } from './bed.ts'
import { LINUX, sendTargets, sessionFacts, sessionsOf } from './open-iscsi.ts'

test('open-iscsi finds every portal, logs in through each, and nothing it does is against the standard', async () => {
  await using bed = await openBed()
  assert.deepEqual(
    await sendTargets(PORTALS[0]),
    PORTALS.map((portal, at) => ({ target: bed.array.name, portal: `${portal},${at + 1}` })),
  )
  const sessions = bed.array.sessions.filter(({ discovery }) => !discovery)
  assert.deepEqual(new Set(sessions.map(({ initiatorName }) => initiatorName)), new Set([LINUX]))
  assert.deepEqual(sessions.map(({ portal }) => portal).sort(), [0, 1])
  for (const number of sessionsOf(bed.array.name)) assert.equal(sessionFacts(number).state, 'LOGGED_IN')
  assert.deepEqual(bed.array.violations, [])
})

test('both sides have agreed on the same parameters', async () => {
  await using bed = await openBed({
    array: { firstBurstLength: 16_384, maxBurstLength: 65_536, maxRecvDataSegmentLength: 8192, initialR2T: true },
    settings: {
      'node.session.iscsi.ImmediateData': 'No',
      'node.conn[0].iscsi.MaxRecvDataSegmentLength': 16_384,
      'node.conn[0].iscsi.HeaderDigest': 'CRC32C',
      'node.conn[0].iscsi.DataDigest': 'CRC32C',
    },
  })
  const numbers = sessionsOf(bed.array.name)
  assert.equal(numbers.length, 2)
  for (const number of numbers) {
    const { connection, portal } = sessionFacts(number)
    const of = (name: string): number => Number(readFileSync(`${connection}/${name}`, 'utf8'))
    const at = (PORTALS as readonly string[]).indexOf(portal)
    const session = bed.array.sessions.find((each) => each.portal === at && !each.discovery)!
    const about = `/sys/class/iscsi_session/session${number}`
    const ofSession = (name: string): number => Number(readFileSync(`${about}/${name}`, 'utf8'))
    assert.equal(of('header_digest'), 1)
    assert.equal(of('data_digest'), 1)
    assert.equal(of('max_xmit_dlength'), 8192)
    assert.equal(ofSession('first_burst_len'), session.firstBurstLength)
    assert.equal(ofSession('max_burst_len'), 65_536)
    assert.equal(ofSession('initial_r2t'), 1)
    assert.equal(ofSession('immediate_data'), 0)
    assert.ok(session.headerDigest && session.dataDigest && session.initialR2T && !session.immediateData)
    assert.equal(session.maxSendDataSegmentLength, 16_384)
  }
  assert.deepEqual(bed.array.violations, [])
})

const chap = { user: 'linux', secret: 'a secret of linux', target: { user: 'array', secret: 'a secret of the array' } }
const secrets = {
  'node.session.auth.authmethod': 'CHAP',
  'node.session.auth.username': chap.user,
  'node.session.auth.password': chap.secret,
  'node.session.auth.username_in': chap.target.user,
  'node.session.auth.password_in': chap.target.secret,
}

for (const algorithm of ['md5', 'sha1', 'sha256', 'sha3-256'] as const) {
  test(`CHAP in both directions, by ${algorithm}`, async () => {
    await using bed = await openBed({
      array: { chap: { ...chap, algorithms: [algorithm] }, discoveryChap: false },
      settings: { ...secrets, 'node.session.auth.chap_algs': algorithm.toUpperCase() },
    })
    assert.equal(sessionsOf(bed.array.name).length, 2)
    assert.deepEqual(bed.array.violations, [])
  })
}

test('a wrong secret is refused by the array, a wrong proof of the array by open-iscsi', async () => {
  for (const wrong of ['node.session.auth.password', 'node.session.auth.password_in']) {
    const settings = { ...secrets, [wrong]: 'not this at all', 'node.session.initial_login_retry_max': 1 }
    await assert.rejects(
      openBed({ array: { chap, discoveryChap: false }, settings }),
      /login failure|authorization failure/,
    )
  }
})

test('logging out ends the sessions in order', async () => {
  await using bed = await openBed()
  await judge('iscsiadm', '-m', 'node', '-T', bed.array.name, '--logout')
  await until('the array has no session', () => bed.array.sessions.length === 0)
  // Its discovery sessions end without a logout.
  assert.equal(bed.array.counters.logouts, PORTALS.length)
  // 21: there is none.
  assert.equal((await startJudge('iscsiadm', ['-m', 'session']).ended).code, 21)
  assert.deepEqual(bed.array.violations, [])
})
