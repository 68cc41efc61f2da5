import { inspect } from 'node:util'
import type { IscsiArrayOfOptions } from '@blockbraid/array-iscsi'
import { iscsiArrayOf } from '@blockbraid/array-iscsi'
import type { Path, PathInfo } from '@blockbraid/core'
import { type BlockError, systemHost } from '@blockbraid/core'
import type { MemoryOptions } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import { createChaosProxy, createVirtualClock } from '@blockbraid/testkit'
import { expect, onTestFinished, test } from 'vitest'
import type { IscsiOptions } from '../../src/index.ts'
import { iscsi } from '../../src/index.ts'
import { openSession } from '../../src/session/open.ts'
import type { Session } from '../../src/session/session.ts'
import { Nexus } from '../../src/target/nexus/nexus.ts'
import { countingHost, scriptedTarget } from './hostile-target.ts'
import { submit } from './submit.ts'
import { fakeSession } from './support.ts'

const NAME = 'iqn.2026-11.io.blockbraid:array'
const SECRET = 'a secret of the host'
const TARGET_SECRET = 'a secret of the array'

/** A simulated array of one volume, and what makes initiators before it. */
async function bed(array: Partial<IscsiArrayOfOptions> = {}, options: MemoryOptions = {}) {
  const inner = memory({ volumes: [{ size: '1MiB' }], ports: 2, ...options })
  const made = await iscsiArrayOf(inner, { name: NAME, ...array })
  onTestFinished(async () => {
    await inner.close({ signal: AbortSignal.timeout(1000) }).catch(() => {})
    await made.close()
  })
  const host = countingHost()
  const initiator = (more: Partial<IscsiOptions> = {}) => {
    const one = iscsi(
      {
        portals: made.portals.map(({ address }) => address),
        initiator: 'iqn.2026-11.io.blockbraid:host',
        loginTimeout: 2000,
        taskTimeout: 500,
        ...more,
      },
      host,
    )
    onTestFinished(() => one.close({ signal: AbortSignal.timeout(3000) }).catch(() => {}))
    return one
  }
  return { array: made, initiator, host }
}

const algorithms = ['md5', 'sha1', 'sha256', 'sha3-256'] as const

test.each(algorithms.flatMap((algorithm) => [false, true].map((mutual) => ({ algorithm, mutual }))))(
  'CHAP by $algorithm, mutual: $mutual',
  async ({ algorithm, mutual }) => {
    const { array, initiator } = await bed({
      chap: {
        user: 'host',
        secret: SECRET,
        algorithms: [algorithm],
        ...(mutual ? { target: { user: 'array', secret: TARGET_SECRET } } : {}),
      },
    })
    const chap = { user: 'host', secret: SECRET, ...(mutual ? { target: { secret: TARGET_SECRET } } : {}) }
    const target = initiator({ chap })
    const infos = await target.discover()
    expect(infos.length).toBe(2)
    const path = await target.connect(infos[0] as PathInfo)
    await path.close()
    await target.close()

    const wrong: IscsiOptions['chap'][] = [
      undefined,
      { ...chap, secret: 'another secret !' },
      { ...chap, user: 'other' },
    ]
    if (mutual) wrong.push({ ...chap, target: { secret: 'another secret !' } })
    else wrong.push({ ...chap, target: { secret: TARGET_SECRET } })
    for (const credentials of wrong) {
      const refused = initiator(credentials === undefined ? {} : { chap: credentials })
      await expect(refused.discover(), inspect(credentials)).rejects.toMatchObject({ code: 'DENIED' })
      await refused.close()
    }
    await expect.poll(() => array.portals.reduce((sum, { connections }) => sum + connections, 0)).toBe(0)
    expect(array.violations).toEqual([])
  },
)

/** Everything that could be printed of a value. */
function printed(value: unknown): string {
  const texts = [
    inspect(value, { depth: 20, showHidden: true, getters: true, maxArrayLength: null, maxStringLength: null }),
  ]
  try {
    texts.push(JSON.stringify(value) ?? '')
  } catch {}
  for (let error = value; error instanceof Error; error = error.cause) texts.push(String(error), error.stack ?? '')
  return texts.join('\n')
}

test('secrets are in nothing that is printed: target, path, errors, after success and after failure', async () => {
  const right = { user: 'host', secret: SECRET, target: { user: 'array', secret: TARGET_SECRET } }
  const { initiator, array } = await bed({ chap: right })
  const target = initiator({ chap: right })
  const infos = await target.discover()
  const path: Path = await target.connect(infos[0] as PathInfo)
  const values: unknown[] = [target, infos, path]
  array.faults.login({ action: 'refuse', status: 0x0301 })
  values.push(await target.connect(infos[1] as PathInfo).catch((error: unknown) => error))
  array.faults.heal()
  for (const chap of [
    { ...right, secret: 'wrongwrongwrong1' },
    { ...right, target: { user: 'array', secret: 'wrongwrongwrong2' } },
    { ...right, target: { user: 'other', secret: TARGET_SECRET } },
    { ...right, algorithms: ['md5' as const] },
    { ...right, target: { secret: SECRET } },
  ]) {
    try {
      const other = initiator({ chap })
      values.push(other, await other.discover().catch((error: unknown) => error))
    } catch (error) {
      values.push(error)
    }
  }
  for (const { address } of array.portals) {
    try {
      values.push(initiator({ portals: [address], chap: { ...right, secret: 5 as unknown as string } }))
    } catch (error) {
      values.push(error)
    }
  }
  const [host, port] = (array.portals[0]?.address ?? '').split(':') as [string, string]
  const session = await openSession(
    {
      clock: systemHost.clock,
      keepAlive: { interval: 0, timeout: 1 },
      taskTimeout: 1000,
      maxRecvDataSegmentLength: 65_536,
      endpoint: { host, port: Number(port) },
      loginTimeout: 2000,
      login: {
        initiatorName: 'iqn.2026-11.io.blockbraid:third',
        targetName: NAME,
        isid: new Uint8Array([0x80, 1, 2, 3, 4, 5]),
        chap: { ...right, algorithms: ['sha256'] },
        headerDigest: ['None'],
        dataDigest: ['None'],
        immediateData: true,
        initialR2T: false,
        firstBurstLength: 65_536,
        maxBurstLength: 65_536,
        maxRecvDataSegmentLength: 65_536,
        maxOutstandingR2T: 1,
        random: (length) => new Uint8Array(length).fill(7),
      },
    },
    {},
  )
  values.push(session)
  await session.logout()
  values.push(session, session.error)
  for (const value of values) {
    const text = printed(value)
    for (const secret of [SECRET, TARGET_SECRET, 'wrongwrongwrong']) expect(text).not.toContain(secret)
  }
})

test('a target that has moved is followed, in a chain, and its paths are used', async () => {
  const { array, initiator } = await bed()
  const [first, second] = array.portals as [(typeof array.portals)[0], (typeof array.portals)[0]]
  array.faults.login({ portal: 0, action: 'refuse', status: 0x0101, address: `${second.address},2` })
  const target = initiator({ portals: [first.address], target: NAME, toldPortals: false })
  const infos = await target.discover()
  const path = await target.connect(infos[0] as PathInfo)
  expect(array.sessions.map(({ portal }) => portal)).toEqual([1])
  expect(first.connections).toBe(0)
  await path.close()
})

test.each([0x0101, 0x0102])(
  'redirected for ever (status %i): an error that names the address, nothing left',
  async (status) => {
    const { array, initiator, host } = await bed()
    const [first, second] = array.portals as [(typeof array.portals)[0], (typeof array.portals)[0]]
    array.faults.login({ portal: 0, action: 'refuse', status, address: `${second.address},2` })
    array.faults.login({ portal: 1, action: 'refuse', status, address: `${first.address},1` })
    const target = initiator({ portals: [first.address] })
    const error = await target.discover().catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      code: 'CONNECT_FAILED',
      message: expect.stringContaining('redirected more than 4 times'),
    })
    expect((error as BlockError).message).toContain(first.address)
    expect(array.counters.connections).toBe(5)
    await expect.poll(() => first.connections + second.connections).toBe(0)
    await target.close()
    expect(host.timers()).toBe(0)
  },
)

test('redirected to one that is silent: the time-out is for all of it', async () => {
  const silent = await scriptedTarget({ accept() {} })
  const { array, initiator, host } = await bed()
  array.faults.login({ action: 'refuse', status: 0x0101, address: `${silent.address},1` })
  const target = initiator({ portals: [array.portals[0]?.address as string], loginTimeout: 200 })
  const error = (await target.discover().catch((reason: unknown) => reason)) as BlockError
  expect(error.message).toContain('no login within 200 ms')
  expect(error.message).toContain(`redirected to ${silent.address}`)
  await expect.poll(silent.open).toBe(0)
  await target.close()
  expect(host.timers()).toBe(0)
})

test('the portal is lost while several paths wait for its login: each hears of it, and the next try works', async () => {
  const { array, initiator, host } = await bed({}, { volumes: [{ size: '1MiB' }, { size: '1MiB' }, { size: '1MiB' }] })
  const target = initiator({ loginTimeout: 5000 })
  const infos = (await target.discover()).filter(({ address }) => address === array.portals[0]?.address)
  expect(infos.length).toBe(3)
  await expect.poll(() => array.sessions.length).toBe(0)
  const rule = array.faults.login({ action: 'mute' })
  const tries = infos.map((info) => target.connect(info).catch((error: unknown) => error))
  await expect.poll(() => array.portals[0]?.connections).toBe(1)
  array.portals[0]?.cut()
  for (const error of await Promise.all(tries)) expect(error).toMatchObject({ code: 'CONNECT_FAILED' })
  rule.remove()
  const paths = await Promise.all(infos.map((info) => target.connect(info)))
  expect(array.portals[0]?.connections).toBe(1)
  await target.close()
  expect(paths.length).toBe(3)
  expect(host.timers()).toBe(0)
})

test('one of two that wait for a login is called off: the other one gets it; both: the login ends', async () => {
  const { array, initiator, host } = await bed()
  const target = initiator({ loginTimeout: 60_000 })
  const info = (await target.discover()).find(({ address }) => address === array.portals[0]?.address) as PathInfo
  await expect.poll(() => array.sessions.length).toBe(0)
  const proxy = array.faults.login({ action: 'mute' })
  const stops = [new AbortController(), new AbortController()]
  const tries = stops.map(({ signal }) => target.connect(info, { signal }).catch((error: unknown) => error))
  await expect.poll(() => array.portals[0]?.connections).toBe(1)
  stops[0]?.abort()
  expect(await tries[0]).toMatchObject({ code: 'ABORTED' })
  expect(array.portals[0]?.connections).toBe(1)
  stops[1]?.abort()
  expect(await tries[1]).toMatchObject({ code: 'ABORTED' })
  await expect.poll(() => array.portals[0]?.connections).toBe(0)
  proxy.remove()
  await target.close()
  expect(host.timers()).toBe(0)
})

test('closed at any moment of connect: no session and no timer is left', async () => {
  const { array, initiator, host } = await bed()
  for (let wait = 0; wait < 12; wait++) {
    const target = initiator()
    const work = target
      .discover()
      .then((infos) => target.connect(infos[0] as PathInfo))
      .catch((error: unknown) => error)
    for (let turn = 0; turn < wait * 3; turn++) await new Promise((resolve) => setImmediate(resolve))
    await target.close()
    await work
    await expect.poll(() => array.portals.reduce((sum, { connections }) => sum + connections, 0)).toBe(0)
    await expect.poll(host.timers).toBe(0)
  }
})

test('called off in the very turn in which the login succeeds: the session does not stay', async () => {
  const clock = createVirtualClock()
  const { wire, session } = fakeSession({}, clock)
  let loggedIn: (session: Session) => void = () => {}
  const opened = new Promise<Session>((resolve) => {
    loggedIn = resolve
  })
  const host = {
    clock,
    random: () => 0.5,
    workedOff: async () => {},
    siblings: () => [],
    // As many turns as a login takes from its last answer to its end.
    async open() {
      const made = await opened
      for (let count = 0; count < 8; count++) await Promise.resolve()
      return made
    },
  }
  const portal = { host: '127.0.0.1', port: 1, address: '127.0.0.1:1' }
  const nexus = new Nexus(host, { initiator: NAME, isid: new Uint8Array(6), targetName: NAME, portal })
  const stop = new AbortController()
  const tried = nexus.acquire({ signal: stop.signal }).catch((error: unknown) => error)
  await clock.advance(1)
  loggedIn(session)
  stop.abort()
  expect(await tried).toMatchObject({ code: 'ABORTED' })
  await clock.advance(5000)
  expect(session.error).toMatchObject({ code: 'CLOSED' })
  expect(wire.closed).toBe(true)
  expect(clock.timers).toBe(0)
})

const flips = ['up', 'down'] as const
test.each(flips.flatMap((direction) => ['header', 'data'].map((part) => ({ direction, part }))))(
  'a byte of the $part that changes on its way $direction is noticed, and changes no data',
  async ({ direction, part }) => {
    const { array, initiator } = await bed({}, { ports: 1 })
    const [portal] = array.portals
    const proxy = await createChaosProxy({ to: { host: '127.0.0.1', port: portal?.port as number } })
    onTestFinished(() => proxy.close())
    const target = initiator({
      portals: [proxy.address],
      target: NAME,
      toldPortals: false,
      headerDigest: true,
      dataDigest: true,
      keepAliveInterval: 200,
      keepAliveTimeout: 200,
      pollInterval: 3_600_000,
    })
    const info = (await target.discover()).find(({ address }) => address === proxy.address) as PathInfo
    const data = Buffer.alloc(8192, 0x5a)
    for (const offset of part === 'header' ? [0, 5, 17, 23, 39, 49] : [60, 4096, 8240]) {
      const path = await target.connect(info)
      expect(await submit(path, 'write', Buffer.alloc(8192, 0x11))).toBe(0)
      const down = new Promise((resolve) => path.events.on('down', resolve))
      proxy.corruptAt(offset, direction)
      const view = Buffer.alloc(8192)
      const status = direction === 'up' ? await submit(path, 'write', data) : await submit(path, 'read', view)
      expect(status, `byte ${offset}`).not.toBe(0)
      await down
      await path.close()
      const again = await target.connect(info)
      expect(await submit(again, 'read', view)).toBe(0)
      expect(
        view.every((byte) => byte === 0x11),
        `byte ${offset}`,
      ).toBe(true)
      await again.close()
    }
  },
)
