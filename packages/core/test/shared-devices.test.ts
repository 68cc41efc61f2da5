import { createMemoryArray, memory } from '@blockbraid/target-memory'
import { expect, it } from 'vitest'
import type { Attachment, BlockDevice, Transport } from '../src/index.ts'
import { createEmitter, createHostAgent, Errno, IoOp, OK } from '../src/index.ts'
import { FakeTarget, inTurn, LIMITS, send, VOLUME, virtualHost } from './support/rig.ts'

const OTHER = 'naa.60000000000000000000000000000002'
const state = async (p: Promise<unknown>): Promise<string> => {
  let s = 'pending'
  p.then(
    () => (s = 'done'),
    () => (s = 'rejected'),
  )
  for (let i = 0; i < 5; i++) await new Promise((r) => setImmediate(r))
  return s
}
function transport(over: Partial<Attachment> = {}): Transport & { attached: Map<string, BlockDevice> } {
  const attached = new Map<string, BlockDevice>()
  return {
    name: 'fake',
    attached,
    async attach(device, { name }) {
      attached.set(name, device)
      return {
        node: name,
        events: createEmitter(),
        resize: async () => {},
        detach: async () => void attached.delete(name),
        ...over,
      }
    },
    close: async () => {},
  }
}
function setUp(...targets: FakeTarget[]) {
  const host = virtualHost(1)
  for (const t of targets) t.prepare = (p) => void (p.auto = true)
  return { host, agent: createHostAgent({ targets, host }) }
}
it('one target that hangs in discover does not keep the others from being opened', async () => {
  const b = new FakeTarget(1, 'b', OTHER)
  const { agent, host } = setUp(new FakeTarget(1), b)
  await agent.rescan()
  b.discover = () => new Promise(() => {})
  b.events.emit('changed', 'x') // nobody asked: the agent rescans by itself, without a signal
  await host.clock.advance(100)
  const opening = agent.open(VOLUME)
  await host.clock.advance(3_600_000)
  expect(await state(opening)).toBe('done')
})
it('a control call that waits for its turn obeys its signal', async () => {
  const b = new FakeTarget(1, 'b', OTHER)
  const { agent } = setUp(new FakeTarget(1), b)
  b.discover = () => new Promise(() => {})
  void agent.rescan()
  const c = new AbortController()
  const opening = agent.open(VOLUME, { signal: c.signal })
  c.abort()
  expect(await state(opening)).toBe('rejected')
})
it('rescan obeys its signal when one target does not', async () => {
  const b = new FakeTarget(1, 'b', OTHER)
  const { agent } = setUp(new FakeTarget(1), b)
  b.discover = () => new Promise(() => {})
  const c = new AbortController()
  const p = agent.rescan({ signal: c.signal })
  c.abort()
  expect(await state(p)).toBe('rejected')
})
it('close while a pair is being made leaves no pair, no path and no timer', async () => {
  const target = new FakeTarget(1)
  const { agent, host } = setUp(target)
  await agent.rescan()
  const connect = target.connect.bind(target)
  target.connect = async (info) => {
    await new Promise<void>((r) => host.clock.after(500, r))
    return connect(info)
  }
  const t = transport()
  const pairing = agent.pair({ name: 'v', device: VOLUME, transport: t })
  pairing.catch(() => {})
  await host.clock.advance(100)
  await host.clock.runUntil(agent.close())
  await host.clock.advance(5000)
  expect([agent.pairs.length, t.attached.size]).toEqual([0, 0])
  expect(await state(pairing)).toBe('rejected')
})
it('a device is not opened again before the paths of its last one are fenced', async () => {
  const target = new FakeTarget(1)
  const { agent, host } = setUp(target)
  const user = await host.clock.runUntil(agent.open(VOLUME))
  let fenced: () => void = () => {}
  target.path(0).fence = new Promise((r) => (fenced = r))
  void user.close()
  await host.clock.advance(0)
  const again = agent.open(VOLUME)
  await host.clock.advance(2000)
  const before = target.connects.length
  fenced()
  await host.clock.runUntil(again)
  expect(before).toBe(1)
})
it('a write of a device that was closed in a hurry does not land on top of a later one', async () => {
  const host = virtualHost(1)
  const array = createMemoryArray(
    { volumes: [{ size: 65536 }], ports: 2, latency: { base: 100, jitter: 0 }, fenceDelay: 5_000_000 },
    host,
  )
  const target = memory({ array }, host)
  const agent = createHostAgent({ targets: [target], host })
  const volume = array.volumes[0]!.id
  const user = await host.clock.runUntil(agent.open(volume))
  array.hang(0)
  const w1 = user.write(0, new Uint8Array(4096).fill(1)) // goes to the first path
  w1.catch(() => {})
  await host.clock.advance(10)
  await host.clock.runUntil(user.close({ signal: AbortSignal.abort() }).catch(() => {}))
  expect(await state(w1)).toBe('rejected')
  const again = await host.clock.runUntil(agent.open(volume))
  await host.clock.runUntil(again.write(0, new Uint8Array(4096).fill(2)))
  array.release(0)
  await host.clock.advance(1000)
  expect(array.peek(0, 0, 1)[0]).toBe(2)
})
it('agent.close with a signal ends a pair.close that was called without one', async () => {
  const target = new FakeTarget(1)
  const { agent, host } = setUp(target)
  const pair = await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport: transport() }))
  target.refuse.set('fake:0', 'down')
  target.path(0).events.emit('down', new Error('gone'))
  const closing = pair.close() // its flush is parked
  closing.catch(() => {})
  await host.clock.advance(100)
  const ending = agent.close({ signal: AbortSignal.abort() })
  ending.catch(() => {})
  await host.clock.advance(2000)
  expect(await state(ending)).not.toBe('pending')
})
it('close of one user of a shared device settles after its own I/O', async () => {
  const target = new FakeTarget(1)
  const { agent, host } = setUp(target)
  const one = await host.clock.runUntil(agent.open(VOLUME))
  await host.clock.runUntil(agent.open(VOLUME))
  target.path(0).auto = false
  const sent = send(one, IoOp.Write)
  const closing = one.close()
  expect(await state(closing)).toBe('pending')
  expect(sent.status).toBeUndefined()
})
it('news that come during the first scan are not lost', async () => {
  const a = new FakeTarget(2, 'a')
  const b = new FakeTarget(1, 'b', OTHER)
  const { agent, host } = setUp(a, b)
  const all = a.infos
  a.infos = all.slice(0, 1)
  b.discover = async () => {
    await new Promise<void>((r) => host.clock.after(1000, r))
    return b.infos
  }
  const first = agent.rescan()
  await host.clock.advance(500)
  a.infos = all
  a.events.emit('changed', 'a port came up')
  await host.clock.runUntil(first)
  await host.clock.advance(10_000)
  expect(agent.devices().find(({ id }) => id === VOLUME)?.paths).toEqual(['a:0', 'a:1'])
})
it('rescans do not pile up behind a slow one', async () => {
  const a = new FakeTarget(1, 'a')
  const { agent, host } = setUp(a)
  await agent.rescan()
  let scans = 0
  a.discover = async () => {
    scans++
    await new Promise<void>((r) => host.clock.after(10_000, r))
    return a.infos
  }
  for (let i = 0; i < 100; i++) {
    a.events.emit('changed', 'flap')
    await host.clock.advance(100)
  }
  await host.clock.advance(3_600_000)
  expect(scans).toBeLessThan(5)
})
it('what was acknowledged is flushed though the detach fails', async () => {
  const target = new FakeTarget(1)
  const { agent, host } = setUp(target)
  const pair = await host.clock.runUntil(
    agent.pair({
      name: 'v',
      device: VOLUME,
      transport: transport({
        detach: async () => {
          throw new Error('busy')
        },
      }),
    }),
  )
  await host.clock.runUntil(pair.close().catch(() => {}))
  expect(target.path(0).seen.map(([op]) => op)).toEqual([IoOp.Flush])
})
it('a pair that cannot be made leaves the policy of the shared device as it was', async () => {
  const target = new FakeTarget(1)
  const { agent, host } = setUp(target)
  const pair = await host.clock.runUntil(
    agent.pair({ name: 'v', device: VOLUME, selector: inTurn, transport: transport() }),
  )
  const refusing: Transport = {
    name: 'no',
    attach: async () => {
      throw new Error('no room')
    },
    close: async () => {},
  }
  await host.clock.runUntil(
    agent
      .pair({ name: 'w', device: VOLUME, selector: () => ({ ...inTurn(), name: 'other' }), transport: refusing })
      .catch(() => {}),
  )
  expect(pair.policy).toBe('in-turn')
})
it('a volume that grows while its attachment is being made is resized', async () => {
  const target = new FakeTarget(1)
  const { agent, host } = setUp(target)
  const sizes: number[] = []
  const grow = (factor: number): void => {
    const p = target.path(0)
    p.limits = { ...LIMITS, size: factor * LIMITS.size }
    p.events.emit('limits', p.limits)
  }
  const t = transport({
    resize: async (size) => {
      sizes.push(size)
      // Once more, while it is told.
      if (sizes.length === 1) grow(3)
    },
  })
  const attach = t.attach.bind(t)
  t.attach = async (d, o) => {
    const a = await attach(d, o)
    await new Promise<void>((r) => host.clock.after(500, r))
    return a
  }
  const pairing = agent.pair({ name: 'v', device: VOLUME, transport: t })
  await host.clock.advance(100)
  grow(2)
  await host.clock.runUntil(pairing)
  expect(sizes).toEqual([2 * LIMITS.size, 3 * LIMITS.size])
})
void Errno
void OK
void LIMITS
