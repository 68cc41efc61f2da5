import type { Path, Target } from '@blockbraid/core'
import { IoOp, OK } from '@blockbraid/core'
import type { ChaosProxy, Hanging } from '@blockbraid/testkit'
import { createChaosProxy, hanging } from '@blockbraid/testkit'
import { describe, expect, test } from 'vitest'
import type { IscsiOptions } from '../../src/index.ts'
import type { IscsiPath } from '../../src/target/path/path.ts'
import type { Bed, BedOptions } from './bed.ts'
import { afterwards, BLOCK, bed, isPending, run } from './bed.ts'

const OLD = 1
const NEW = 2
const TEST_UNIT_READY = 0x00

const write = (path: Path, fill: number) => run(path, { op: IoOp.Write, buffers: [Buffer.alloc(BLOCK, fill)] })

const stored = ({ storage }: Bed, volume = 0): number => storage.peek(volume, 0, BLOCK)[0]!

interface SlowBed extends Bed {
  readonly slow: readonly Hanging[]
}

/** An array that goes on with what its storage has begun when a login ends its session, as tgt does. */
async function slowBed({ array, ...options }: BedOptions = {}): Promise<SlowBed> {
  const slow: Hanging[] = []
  const made = await bed({
    memory: {
      volumes: [
        { size: '1MiB', blockSize: BLOCK },
        { size: '1MiB', blockSize: BLOCK },
      ],
    },
    wrap(device) {
      const front = hanging(device, { ops: [IoOp.Write] })
      slow.push(front)
      return front
    },
    array: { reinstate: 'lazy', ...array },
    ...options,
  })
  afterwards(async () => {
    for (const one of slow) one.release()
  })
  return { ...made, slow }
}

/** A process writes through a path, the storage is slow, and the process is killed. Returns what it has written down. */
async function killed(made: SlowBed, options: Partial<IscsiOptions> = {}, portal = 0, lun = 0): Promise<string> {
  const path = await made.open(portal, lun, made.host(options))
  made.slow[lun]!.hang()
  const lost = write(path, OLD)
  await expect.poll(() => made.slow[lun]!.held).toBe(1)
  for (const session of made.array.sessions) session.cut()
  await lost
  return path.fenceToken
}

/** The next process holds what it would write until the fence stands, and writes then. */
async function proveAndWrite(made: SlowBed, next: Target, token: string, portal = 0): Promise<void> {
  const path = await made.open(portal, 0, next)
  const asked = () => made.array.counters.commands[TEST_UNIT_READY] ?? 0
  const before = asked()
  const fenced = next.fence!(token)
  fenced.catch(() => {})
  await expect.poll(asked).toBeGreaterThan(before)
  expect(await isPending(fenced)).toBe(true)
  for (const one of made.slow) one.release()
  await fenced
  expect(stored(made)).toBe(OLD)
  expect(await write(path, NEW)).toBe(OK)
  expect(stored(made)).toBe(NEW)
}

describe('a write that the storage executes for a process that was killed has ended when the fence stands', () => {
  test('with the same config', async () => {
    const made = await slowBed()
    const token = await killed(made)
    await proveAndWrite(made, made.host(), token)
  })

  test.each<[string, Partial<IscsiOptions>, Partial<IscsiOptions>]>([
    ['a session for each logical unit now', {}, { sessionPerLun: true }],
    ['no session for each logical unit any more', { sessionPerLun: true }, {}],
    ['another name of the initiator', { initiator: 'iqn.2026-11.io.blockbraid:before' }, {}],
    ['a session id by chance', { isid: 'random' }, {}],
  ])('with %s', async (_what, before, now) => {
    const made = await slowBed()
    const token = await killed(made, before)
    await proveAndWrite(made, made.host(now), token)
  })

  test('with another spelling of the portal', async () => {
    const made = await slowBed()
    const token = await killed(made)
    const next = made.host({ portals: [`localhost:${made.array.portals[0]!.port}`], toldPortals: false })
    await next.discover()
    const fenced = next.fence!(token)
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(await isPending(fenced)).toBe(true)
    made.slow[0]!.release()
    await fenced
    expect(stored(made)).toBe(OLD)
  })

  test('with the portal taken out of the config, through another one of its group', async () => {
    const made = await slowBed({ array: { portals: [{ group: 1 }, { group: 1 }] } })
    const token = await killed(made)
    await made.array.portals[0]!.down()
    const next = made.host({ portals: [made.array.portals[1]!.address], toldPortals: false })
    await proveAndWrite(made, next, token, 1)
  })
})

test('as long as the portal of a write that hangs is silent there is no proof, however long the others answer', async () => {
  const made = await slowBed({ array: { portals: [{ group: 1 }, { group: 2 }] } })
  const token = await killed(made, {}, 1)
  made.array.portals[1]!.blackhole(true)
  const next = made.host({ portals: [made.array.portals[0]!.address], toldPortals: false, loginTimeout: 300 })
  await made.open(0, 0, next)
  for (let tries = 0; tries < 3; tries++) await expect(next.fence!(token)).rejects.toMatchObject({ code: 'TIMED_OUT' })
  made.array.portals[1]!.blackhole(false)
  const fenced = next.fence!(token)
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(await isPending(fenced)).toBe(true)
  made.slow[0]!.release()
  await fenced
  expect(stored(made)).toBe(OLD)
})

test('a storage that is slow for long is asked once, and not again and again', async () => {
  const made = await slowBed({ array: { loginAttention: false } })
  const token = await killed(made)
  const next = made.host({ taskTimeout: 50 })
  await next.discover()
  const fenced = [next.fence!(token), next.fence!(token)]
  await new Promise((resolve) => setTimeout(resolve, 1200))
  expect(made.array.counters.commands[TEST_UNIT_READY]).toBe(1)
  expect(await isPending(fenced[0]!)).toBe(true)
  made.slow[0]!.release()
  await Promise.all(fenced)
  expect(stored(made)).toBe(OLD)
})

test('each logical unit is proven by itself: one that is slow does not hold the others up', async () => {
  const made = await slowBed()
  const first = await killed(made, {}, 0, 0)
  made.slow[1]!.release()
  const second = (await made.open(0, 1)).fenceToken
  const next = made.host()
  await next.discover()
  const slow = next.fence!(first)
  await next.fence!(second)
  expect(await isPending(slow)).toBe(true)
  made.slow[0]!.release()
  await slow
})

test('nor do paths of this process that close: each ends when its own logical unit is ready', async () => {
  const made = await slowBed()
  const paths = [await made.open(0, 0), await made.open(0, 1)]
  for (const one of made.slow) one.hang()
  const lost = paths.map((path) => write(path, OLD))
  await expect.poll(() => made.slow.map(({ held }) => held)).toEqual([1, 1])
  for (const session of made.array.sessions) session.cut()
  await Promise.all(lost)
  const closed = paths.map((path) => path.close())
  made.slow[1]!.release()
  await closed[1]
  expect(stored(made, 1)).toBe(OLD)
  expect(await isPending(closed[0]!)).toBe(true)
  made.slow[0]!.release()
  await closed[0]
})

test('while a slow logical unit is waited for through another portal, the own one is used again at once', async () => {
  const made = await slowBed({ array: { portals: [{ group: 1 }, { group: 1 }] } })
  const path = await made.open(0, 0)
  await made.open(1, 0)
  const neighbour = await made.info(0, 1)
  made.slow[0]!.hang()
  const lost = write(path, OLD)
  await expect.poll(() => made.slow[0]!.held).toBe(1)
  await made.array.portals[0]!.down()
  await lost
  const { logins } = made.array.counters
  const closed = path.close()
  await expect.poll(() => made.array.counters.logins).toBe(logins + 1)
  await made.array.portals[0]!.up()
  expect(await run(await made.target.connect(neighbour), { op: IoOp.Read, length: BLOCK })).toBe(OK)
  expect(await isPending(closed)).toBe(true)
  made.slow[0]!.release()
  await closed
  expect(stored(made)).toBe(OLD)
})

test('what is no more at its number has been worked off', async () => {
  const made = await slowBed()
  const token = (await made.open()).fenceToken
  await made.array.unmap(0)
  await made.host({ target: made.array.name }).fence!(token)
})

describe('a write that the network still has for a process that was killed', () => {
  interface Wire extends Bed {
    readonly proxy: ChaosProxy
    readonly token: string
    /** Lets go what it has; resolves to what stands on the disk then. */
    letGo(): Promise<number>
  }

  async function stuck(options: Partial<IscsiOptions>, array: BedOptions['array'] = {}): Promise<Wire> {
    const made = await bed({ array: { portals: [{ group: 1 }, { group: 1 }], ...array } })
    const { host, port } = made.array.portals[0]!
    const proxy = await createChaosProxy({ to: { host, port } })
    afterwards(() => proxy.close())
    const old = made.host({ portals: [proxy.address], toldPortals: false, ...options })
    const [info] = await old.discover()
    const path = (await old.connect(info!)) as IscsiPath
    proxy.hold('up')
    void write(path, OLD)
    await expect.poll(() => proxy.connections.some((one) => one.held.up >= 48 + BLOCK)).toBe(true)
    const letGo = async (): Promise<number> => {
      const { strayBytes } = made.array.counters
      proxy.release('up')
      await expect
        .poll(
          () =>
            stored(made) === OLD ||
            made.array.counters.strayBytes > strayBytes ||
            proxy.connections.every((one) => one.targetGone || one.held.up === 0),
        )
        .toBe(true)
      await new Promise((resolve) => setTimeout(resolve, 50))
      return stored(made)
    }
    return { ...made, proxy, token: path.fenceToken, letGo }
  }

  const variants: [string, Partial<IscsiOptions>, Partial<IscsiOptions>][] = [
    ['another address of the portal', {}, {}],
    ['a session for each logical unit', {}, { sessionPerLun: true }],
    ['another name of the initiator', { initiator: 'iqn.2026-11.io.blockbraid:before' }, {}],
  ]

  async function takeOver(made: Wire, now: Partial<IscsiOptions>): Promise<number> {
    const next = made.host({ toldPortals: false, ...now })
    const path = await made.open(0, 0, next)
    await next.fence!(made.token)
    expect(await write(path, NEW)).toBe(OK)
    return made.letGo()
  }

  test.each(variants)('never lands after the fence, with %s', async (_what, before, now) => {
    const made = await stuck(before)
    expect(await takeOver(made, now)).toBe(NEW)
    expect(made.array.violations).toEqual([])
  })

  test('would land, did no login end its session: the tests above can fail', async () => {
    expect(await takeOver(await stuck({}, { reinstate: false }), {})).toBe(OLD)
  })
})

describe('who may prove', () => {
  test('a token of another protocol, of another array, or none at all, is refused', async () => {
    const [made, other] = [await bed(), await bed({ array: { name: 'iqn.2026-11.io.blockbraid:other' } })]
    const token = (await other.open()).fenceToken
    await made.target.discover()
    for (const text of [token, 'memory:array0', 'iscsi:', 'iscsi:{}', `${token}x`, `iscsi:${'x'.repeat(5000)}`]) {
      await expect(made.target.fence!(text)).rejects.toMatchObject({ code: 'NOT_SUPPORTED' })
    }
  })

  test('a token holds no secret', async () => {
    const chap = { user: 'alice', secret: 'a secret of alice' }
    const made = await bed({ array: { chap }, initiator: { chap } })
    expect((await made.open()).fenceToken).not.toContain('alice')
  })

  test('a login that leads to another portal group is no proof: the session there is another one', async () => {
    const made = await bed()
    const token = (await made.open()).fenceToken.replace('"group":1', '"group":2')
    const next = made.host({ sessionPerLun: true })
    for (const target of [made.target, next]) {
      await target.discover()
      await expect(target.fence!(token)).rejects.toMatchObject({
        code: 'CONNECT_FAILED',
        message: expect.stringContaining('leads to group 1'),
      })
    }
  })

  test('credentials that are refused are no proof, and the error says so', async () => {
    const chap = { user: 'alice', secret: 'a secret of alice' }
    const made = await bed({ array: { chap }, initiator: { chap } })
    const token = (await made.open()).fenceToken
    const next = made.host({ initiator: 'iqn.2026-11.io.blockbraid:next', chap: { ...chap, secret: 'another secret' } })
    await expect(next.fence!(token)).rejects.toMatchObject({ code: 'DENIED' })
  })

  test('where the next process has a session under the same id already, it stays', async () => {
    const made = await slowBed()
    const token = await killed(made)
    made.slow[0]!.release()
    const path = await made.open()
    const { logins } = made.array.counters
    await made.target.fence!(token)
    expect(await write(path, NEW)).toBe(OK)
    expect(made.array.counters.logins).toBe(logins)
  })

  test('fence lun-reset proves by a reset where the portal is gone', async () => {
    const made = await bed({ array: { portals: [{ group: 1 }, { group: 2 }] } })
    const token = (await made.open(0)).fenceToken
    await made.array.portals[0]!.down()
    const portals = [made.array.portals[1]!.address]
    const next = made.host({ portals, toldPortals: false, fence: 'lun-reset' })
    await made.open(1, 0, next)
    await next.fence!(token)
    expect(made.array.counters.taskManagement).toBeGreaterThan(0)
    const careful = made.host({ portals, toldPortals: false, initiator: 'iqn.2026-11.io.blockbraid:careful' })
    await made.open(1, 0, careful)
    await expect(careful.fence!(token)).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
  })

  test('a fence ends with its target, and with its signal', async () => {
    const made = await slowBed()
    const token = await killed(made)
    const next = made.host()
    await next.discover()
    await expect(next.fence!(token, { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({ code: 'ABORTED' })
    const fenced = next.fence!(token)
    fenced.catch(() => {})
    expect(await isPending(fenced)).toBe(true)
    await next.close()
    await expect(fenced).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(next.fence!(token)).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
