import { expect, it } from 'vitest'
import type { BlockDevice, Debt, IoStatus, Ledger, Transport } from '../src/index.ts'
import {
  BlockError,
  createEmitter,
  createHostAgent,
  Errno,
  Io,
  IoFlag,
  IoOp,
  IoSource,
  OK,
  userDevice,
  writeThrough,
} from '../src/index.ts'
import { FakeTarget, LIMITS, LOST, open, send, VOLUME, virtualHost } from './support/rig.ts'
import { change, toyCommands } from './support/toy-commands.ts'

const brief = { multipath: { noPathTimeout: 1000, ioTimeout: 0, reconnectDelay: 1, reconnectDelayMax: 1 } }

function autoTarget(paths: number): FakeTarget {
  const target = new FakeTarget(paths)
  target.prepare = (path) => {
    path.auto = true
  }
  return target
}

it('a cache that is lost and off after that, as by a restart of the array, is told by the next flush', async () => {
  const target = autoTarget(2)
  const { device, host } = await open(2, brief, target)
  const user = userDevice(device, host.clock)
  await host.clock.runUntil(user.write(0, new Uint8Array(512)))
  target.path(0).events.emit('cacheLost', 'power on occurred')
  for (const index of [0, 1]) {
    const path = target.path(index)
    path.limits = { ...LIMITS, writeCache: false }
    path.events.emit('limits', path.limits)
  }
  await host.clock.advance(100)
  const flush = send(user, IoOp.Flush, 0, 0)
  await host.clock.advance(10)
  expect(flush.status).toBe(Errno.EIO)
})

it('each of two fronts of one device is told of a lost cache', async () => {
  const target = autoTarget(2)
  const host = virtualHost(1)
  const agent = createHostAgent({ targets: [target], host })
  const one = await host.clock.runUntil(agent.open(VOLUME, brief))
  const other = await host.clock.runUntil(agent.open(VOLUME, brief))
  await host.clock.runUntil(one.write(0, new Uint8Array(512)))
  await host.clock.runUntil(other.write(512, new Uint8Array(512)))
  target.path(0).events.emit('cacheLost', 'power on occurred')
  const first = send(one, IoOp.Flush, 0, 0)
  await host.clock.advance(10)
  const second = send(other, IoOp.Flush, 0, 0)
  await host.clock.advance(10)
  expect([first.status, second.status]).toEqual([Errno.EIO, Errno.EIO])
})

it('a front that is closed in a hurry sends nothing more of a large write, though others use its device', async () => {
  const target = new FakeTarget(1)
  target.limits = { ...LIMITS, maxTransfer: 512 }
  const host = virtualHost(1)
  const agent = createHostAgent({ targets: [target], host })
  const one = await host.clock.runUntil(agent.open(VOLUME, brief))
  await host.clock.runUntil(agent.open(VOLUME, brief))
  const large = send(one, IoOp.Write, 0, 512 * 64)
  await expect(host.clock.runUntil(one.close({ signal: AbortSignal.abort() }))).rejects.toThrow('aborted')
  const sent = target.path(0).seen.length
  target.path(0).complete()
  await host.clock.advance(10)
  target.path(0).complete()
  await host.clock.advance(10)
  expect([target.path(0).seen.length, large.status]).toEqual([sent, Errno.ECANCELED])
})

it('what a front that was closed in a hurry has in flight does not overtake what others write', async () => {
  const target = new FakeTarget(2)
  const host = virtualHost(1)
  const agent = createHostAgent({ targets: [target], host })
  const one = await host.clock.runUntil(agent.open(VOLUME, brief))
  const other = await host.clock.runUntil(agent.open(VOLUME, brief))
  send(one, IoOp.Write, 0)
  await expect(host.clock.runUntil(one.close({ signal: AbortSignal.abort() }))).rejects.toThrow('aborted')
  const write = send(other, IoOp.Write, 0)
  await host.clock.advance(10)
  const before = target.path(0).seen.length + target.path(1).seen.length
  target.completeAll()
  await host.clock.advance(10)
  target.completeAll()
  expect([before, write.status]).toEqual([1, OK])
})

it('of two changes that are written through each is told that the cache was lost with it', async () => {
  const target = autoTarget(1)
  const { device, host } = await open(1, brief, target)
  const through = writeThrough(userDevice(device, host.clock), host.clock)
  await host.clock.advance(5)
  target.path(0).auto = false
  const trims = [send(through, IoOp.Trim, 0), send(through, IoOp.Trim, 512)]
  target.path(0).complete()
  target.path(0).events.emit('cacheLost', 'power on occurred')
  await host.clock.advance(5)
  target.path(0).complete()
  await host.clock.advance(5)
  expect(trims.map(({ status }) => status)).toEqual([Errno.EIO, Errno.EIO])
})

it('what settles with all that is in flight counts an Io that is submitted again from its own end', async () => {
  const target = new FakeTarget(1)
  const { device, host } = await open(1, brief, target)
  let settled = false
  let times = 0
  const io = new Io()
  io.length = 512
  io.buffers = [new Uint8Array(512)]
  void device.settled()
  io.done = () => {
    if (++times > 1) return
    device.submit(io)
    void device.settled().then(() => (settled = true))
  }
  device.submit(io)
  void device.settled()
  target.completeAll()
  await host.clock.advance(5)
  expect(settled).toBe(false)
})

function memoryLedger(): Ledger & { now: Map<string, Debt> } {
  const now = new Map<string, Debt>()
  return {
    now,
    put: async (debt) => void now.set(debt.token, debt),
    drop: async (token) => void now.delete(token),
    left: async () => [],
  }
}

it('a path that is refused after it was recorded leaves no record', async () => {
  const target = new FakeTarget(2)
  const ledger = memoryLedger()
  const put = ledger.put.bind(ledger)
  target.prepare = (path) => Object.assign(path, { fenceToken: `token-${path.id}` })
  let recorded = (): void => {}
  ledger.put = async (debt) => {
    if (debt.path === 'fake:1') await new Promise<void>((resolve) => (recorded = resolve))
    await put(debt)
  }
  const { device, host } = await open(2, { ...brief, ledger }, target)
  // It became another disk while it was recorded.
  target.path(1).limits = { ...LIMITS, size: LIMITS.size / 2 }
  target.refuse.set('fake:1', 'silent')
  recorded()
  await host.clock.advance(20)
  expect(device.paths[1]).toMatchObject({ state: 'waiting' })
  expect([...ledger.now.keys()]).toEqual(['token-fake:0'])
})

it('a durable write that is done in two steps on a narrower path is not durable where the cache goes between them', async () => {
  const target = new FakeTarget(1)
  const { device, host } = await open(1, brief, target)
  const user = userDevice(device, host.clock)
  target.limits = { ...LIMITS, fua: false }
  const write = send(user, IoOp.Write, 0, 512, IoFlag.Fua)
  target.path(0).complete(LOST)
  await host.clock.advance(20)
  expect(target.path(0).seen).toEqual([[IoOp.Write, 0, 512]])
  target.path(0).complete()
  target.path(0).events.emit('cacheLost', 'power on occurred')
  await host.clock.advance(5)
  target.path(0).complete()
  await host.clock.advance(5)
  expect(write.status).toBe(Errno.EIO)
})

it('a read that is aborted fails no flush, once the loss of a cache was told', async () => {
  const target = autoTarget(1)
  const { device, host } = await open(1, brief, target)
  const user = userDevice(device, host.clock)
  await host.clock.runUntil(user.write(0, new Uint8Array(512)))
  target.path(0).events.emit('cacheLost', 'power on occurred')
  await expect(host.clock.runUntil(user.flush())).rejects.toThrow()
  const stop = new AbortController()
  target.path(0).auto = false
  const read = user.read(0, 512, { signal: stop.signal }).catch(() => {})
  stop.abort()
  await host.clock.runUntil(read)
  target.path(0).auto = true
  target.path(0).complete()
  const newcomer = new IoSource(host.clock.now() + 1)
  const ask = async (source: IoSource | null): Promise<IoStatus | undefined> => {
    const flush = send(user, IoOp.Flush, 0, 0, 0, source)
    await host.clock.advance(5)
    return flush.status
  }
  expect([await ask(newcomer), await ask(null)]).toEqual([OK, OK])
})

it('what is submitted for a client that has gone is not sent', async () => {
  const target = new FakeTarget(2)
  const { device, host } = await open(2, brief, target)
  const user: BlockDevice = userDevice(device, host.clock)
  const gone = new IoSource(1)
  const from = () => send(user, IoOp.Write, 0, 512, 0, gone)
  from()
  target.completeAll()
  user.abandon!(gone)
  const late = from()
  await host.clock.advance(5)
  expect(late.status).toBe(Errno.ECANCELED)
  expect(target.path(0).seen.length + target.path(1).seen.length).toBe(1)
})

/** Ends at once, for a client. */
async function askFor(
  { device, host }: Awaited<ReturnType<typeof open>>,
  source: IoSource,
  op: IoOp,
): Promise<IoStatus | undefined> {
  const sent = send(device, op, 0, op === IoOp.Flush ? 0 : 512, 0, source)
  await host.clock.advance(5)
  return sent.status
}

const come = ({ host }: Awaited<ReturnType<typeof open>>): IoSource => new IoSource(host.clock.now() + 1)

it('each of two clients that were cut off when the cache was lost is told when it is back', async () => {
  const target = autoTarget(1)
  const rig = await open(1, brief, target)
  for (const client of [come(rig), come(rig)]) {
    await askFor(rig, client, IoOp.Write)
    rig.device.abandon!(client)
  }
  target.path(0).events.emit('cacheLost', 'power on occurred')
  await rig.host.clock.advance(5)
  const back = [come(rig), come(rig), come(rig)]
  const told: unknown[] = []
  for (const client of back) told.push(await askFor(rig, client, IoOp.Flush))
  expect(told).toEqual([Errno.EIO, Errno.EIO, OK])
})

it('a client that wrote nothing leaves nothing to be told', async () => {
  const target = autoTarget(1)
  const rig = await open(1, brief, target)
  const [writer, reader] = [come(rig), come(rig)]
  await askFor(rig, writer, IoOp.Write)
  await askFor(rig, reader, IoOp.Read)
  rig.device.abandon!(reader)
  target.path(0).events.emit('cacheLost', 'power on occurred')
  await rig.host.clock.advance(5)
  expect([await askFor(rig, come(rig), IoOp.Flush), await askFor(rig, writer, IoOp.Flush)]).toEqual([OK, Errno.EIO])
})

it('a cache that was lost between two processes is told to every client that comes back', async () => {
  const target = autoTarget(1)
  const { prepare } = target
  target.prepare = (path) => {
    prepare(path)
    Object.assign(path, { wasReset: true })
  }
  const owed = [
    {
      offset: 0,
      length: Number.POSITIVE_INFINITY,
      path: 'fake:0',
      reason: () => 'x',
      proven: Promise.resolve(),
      waive: () => {},
    },
  ]
  const rig = await open(1, { ...brief, owed }, target)
  await rig.host.clock.advance(5)
  const [one, other] = [come(rig), come(rig)]
  expect([await askFor(rig, one, IoOp.Flush), await askFor(rig, other, IoOp.Flush)]).toEqual([Errno.EIO, Errno.EIO])
  expect(await askFor(rig, one, IoOp.Flush)).toBe(OK)
})

it('a command that writes, on a path that fails with it, does not come after a later write', async () => {
  const target = new FakeTarget(2)
  let lose = (_error: Error): void => {}
  target.prepare = (path) => {
    if (path.id === 'fake:0') path.commands = toyCommands(() => new Promise((_resolve, reject) => (lose = reject)))
  }
  const { device, host } = await open(2, brief, target)
  let prove = (): void => {}
  target.path(0).fence = new Promise((resolve) => (prove = resolve))
  const answer = device.sendCommand!('toy', change, new Uint8Array(512)).catch(String)
  await host.clock.advance(1)
  target.path(0).events.emit('down', new Error('silent'))
  lose(new BlockError('IO_FAILED', 'the connection was lost'))
  await host.clock.advance(1)
  expect(await answer).toMatch(/may have run/)
  const write = send(device, IoOp.Write)
  const read = send(device, IoOp.Read)
  target.path(1).complete()
  expect([write.status, read.status]).toEqual([undefined, OK])
  expect(device.guards).toMatchObject([{ offset: 0, length: LIMITS.size, reads: false, path: 'fake:0' }])
  expect(device.guards[0]?.reason).toContain('a TOY command that changes data had no answer and may still come')
  prove()
  await host.clock.advance(1)
  target.path(1).complete()
  expect([write.status, device.guards]).toEqual([OK, []])
})

it('who waits for one that waits for a write without a proof waits for a bounded time, too', async () => {
  const target = new FakeTarget(2)
  const { device, host } = await open(2, brief, target)
  target.path(0).fence = new Promise(() => {})
  target.refuse.set('fake:0', 'silent')
  const clients = [new IoSource(1), new IoSource(2)]
  const chain = Array.from({ length: 50 }, (_, index) =>
    send(device, IoOp.Write, index * 512, 1024, 0, clients[index % 2]),
  )
  await host.clock.advance(5000)
  expect(chain.every(({ status }) => status === undefined)).toBe(true)
  target.path(0).complete(LOST)
  await host.clock.advance(500)
  target.path(1).complete()
  await host.clock.advance(600)
  target.path(1).complete()
  await host.clock.advance(1100)
  target.path(1).complete()
  expect(chain.filter(({ status }) => status === undefined).length).toBe(0)
  expect(chain[0]?.status).toBe(Errno.EIO)
  expect(device.inflight).toBe(0)
})

it('what an operator has released does not come back when the volume is opened again', async () => {
  const target = new FakeTarget(2)
  const host = virtualHost(1)
  const agent = createHostAgent({ targets: [target], host })
  const one = await host.clock.runUntil(agent.open(VOLUME, brief))
  target.path(0).fence = new Promise(() => {})
  send(one, IoOp.Write)
  await host.clock.runUntil(one.close({ signal: AbortSignal.abort() }))
  const transport: Transport = {
    name: 'fake',
    attach: async () => ({
      node: 'fake',
      events: createEmitter(),
      resize: async () => {},
      detach: async () => {},
    }),
    close: async () => {},
  }
  for (const released of [false, true]) {
    const pair = await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport, ...brief }))
    expect(pair.guards.length).toBe(released ? 0 : 1)
    pair.releaseGuards()
    for (const path of target.paths.values()) path.auto = true
    await host.clock.runUntil(pair.close())
    target.path(0).fence = undefined
  }
})
