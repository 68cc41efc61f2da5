import { describe, expect, it } from 'vitest'
import type { BlockDevice, Ledger, MultipathOptions } from '../src/index.ts'
import { Errno, IoFlag, IoOp, IoSource, OK, userDevice } from '../src/index.ts'
import type { Rig } from './support/rig.ts'
import { FakePath, FakeTarget, LIMITS, open, send, VOLUME } from './support/rig.ts'

const brief = { multipath: { noPathTimeout: 1000, ioTimeout: 0, reconnectDelay: 1, reconnectDelayMax: 1 } }

/** Every Io ends at once; `ask` submits one and says how it ended. After `hold` records of paths wait for `recorded`. */
async function openQuick(paths = 2, limits = LIMITS) {
  const target = new FakeTarget(paths)
  target.limits = limits
  target.prepare = (path) => Object.assign(path, { auto: true, fenceToken: `token of ${path.id}` })
  let written: Promise<void> | undefined
  let recorded: () => void = () => {}
  const hold = (): void => {
    written = new Promise((resolve) => {
      recorded = resolve
    })
  }
  const ledger: Ledger = { put: async () => written, drop: async () => {}, left: async () => [] }
  const rig = await open(paths, { ...brief, ledger }, target)
  const ask = async (device: BlockDevice, op: IoOp, flags = 0, source: IoSource | null = null): Promise<number> => {
    const sent = send(device, op, 0, op === IoOp.Flush ? 0 : 512, flags, source)
    await rig.host.clock.advance(5)
    return sent.status ?? -1
  }
  return { ...rig, ask, hold, recorded: () => recorded() }
}

const lose = ({ target }: Rig, path = 0): boolean => target.path(path).events.emit('cacheLost', 'power on occurred')

it('a flush after the storage has lost its cache fails once, where something was not flushed', async () => {
  const rig = await openQuick()
  const { device, ask } = rig
  const told: string[] = []
  device.events.on('cacheLost', ({ path, reason }) => told.push(`${path}: ${reason}`))
  await ask(device, IoOp.Write)
  lose(rig)
  expect(await ask(device, IoOp.Flush)).toBe(Errno.EIO)
  expect(await ask(device, IoOp.Flush)).toBe(OK)
  expect(told).toEqual(['fake:0: power on occurred'])
})

it('news of a loss that nothing can have been lost by fails no flush', async () => {
  const rig = await openQuick()
  const { device, ask } = rig
  lose(rig)
  expect(await ask(device, IoOp.Flush)).toBe(OK)
  await ask(device, IoOp.Write)
  await ask(device, IoOp.Flush)
  lose(rig)
  expect(await ask(device, IoOp.Flush)).toBe(OK)
  await ask(device, IoOp.Write, IoFlag.Fua)
  lose(rig)
  expect(await ask(device, IoOp.Flush)).toBe(OK)
})

it('trims and zeroes are lost like writes', async () => {
  for (const op of [IoOp.Trim, IoOp.WriteZeroes]) {
    const rig = await openQuick()
    await rig.ask(rig.device, op)
    lose(rig)
    expect(await rig.ask(rig.device, IoOp.Flush)).toBe(Errno.EIO)
  }
})

it('a flush does not cover what was acknowledged while it ran', async () => {
  const target = new FakeTarget(2)
  const rig = await open(2, brief, target)
  const { device, host } = rig
  const flush = send(device, IoOp.Flush, 0, 0)
  const write = send(device, IoOp.Write)
  target.path(1).complete()
  target.path(0).complete()
  await host.clock.advance(1)
  expect([flush.status, write.status]).toEqual([OK, OK])
  lose(rig)
  const next = send(device, IoOp.Flush, 0, 0)
  target.completeAll()
  expect(next.status).toBe(Errno.EIO)
})

it('a write in flight when the news comes may have been in the cache, and a flush in flight cannot cover it', async () => {
  const target = new FakeTarget(2)
  const rig = await open(2, brief, target)
  const write = send(rig.device, IoOp.Write)
  const flush = send(rig.device, IoOp.Flush, 0, 0)
  lose(rig)
  target.completeAll()
  expect([write.status, flush.status]).toEqual([OK, Errno.EIO])
})

it('each path tells of the same loss, and it counts once; a second one counts again', async () => {
  const rig = await openQuick()
  const { device, ask } = rig
  await ask(device, IoOp.Write)
  lose(rig, 0)
  expect(await ask(device, IoOp.Flush)).toBe(Errno.EIO)
  await ask(device, IoOp.Write)
  lose(rig, 1)
  expect(await ask(device, IoOp.Flush)).toBe(OK)
  await ask(device, IoOp.Write)
  lose(rig, 1)
  expect(await ask(device, IoOp.Flush)).toBe(Errno.EIO)
})

it('every connection that was there is told, by one flush each', async () => {
  const rig = await openQuick()
  const { device, ask, host } = rig
  await host.clock.advance(1)
  const [one, two] = [new IoSource(host.clock.now()), new IoSource(host.clock.now())]
  await ask(device, IoOp.Write, 0, one)
  await ask(device, IoOp.Write, 0, two)
  lose(rig)
  await host.clock.advance(1)
  const late = new IoSource(host.clock.now())
  const flushes: number[] = []
  for (const source of [one, one, two, two, late]) flushes.push(await ask(device, IoOp.Flush, 0, source))
  expect(flushes).toEqual([Errno.EIO, OK, Errno.EIO, OK, OK])
})

it('a client that went before it was told is told when it comes back', async () => {
  const rig = await openQuick()
  const { device, ask, host } = rig
  await host.clock.advance(1)
  const [one, two] = [new IoSource(host.clock.now()), new IoSource(host.clock.now())]
  await ask(device, IoOp.Write, 0, one)
  lose(rig)
  await host.clock.advance(1)
  expect(await ask(device, IoOp.Flush, 0, two)).toBe(Errno.EIO)
  device.abandon!(one)
  const back = new IoSource(host.clock.now())
  expect(await ask(device, IoOp.Flush, 0, back)).toBe(Errno.EIO)
  expect(await ask(device, IoOp.Flush, 0, back)).toBe(OK)
})

it('a durable write of a device that needs a flush for it fails only where the loss came amid it, and hides nothing', async () => {
  const rig = await openQuick(1, { ...LIMITS, fua: false })
  const { device, ask, host, target } = rig
  const user = userDevice(device, host.clock)
  await ask(user, IoOp.Write)
  lose(rig)
  await host.clock.advance(1)
  expect(await ask(user, IoOp.Write, IoFlag.Fua)).toBe(OK)
  expect(await ask(user, IoOp.Flush)).toBe(Errno.EIO)
  expect(await ask(user, IoOp.Flush)).toBe(OK)
  target.path(0).auto = false
  const amid = send(user, IoOp.Write, 0, 512, IoFlag.Fua)
  target.path(0).complete()
  lose(rig)
  target.path(0).complete()
  expect(amid.status).toBe(Errno.EIO)
})

it('a path that comes back after all were lost, and says that it was reset, has lost the cache', async () => {
  const rig = await openQuick()
  const { device, ask, target, host } = rig
  await ask(device, IoOp.Write)
  target.prepare = (path) => Object.assign(path, { auto: true, wasReset: true })
  for (const index of [0, 1]) target.path(index).events.emit('down', new Error('power lost'))
  await host.clock.advance(50)
  expect(await ask(device, IoOp.Flush)).toBe(Errno.EIO)
  expect(await ask(device, IoOp.Flush)).toBe(OK)
})

it('a path that comes back while another was there all the time says nothing of the cache: a login alone may say reset', async () => {
  const rig = await openQuick()
  const { device, ask, target, host } = rig
  await ask(device, IoOp.Write)
  target.prepare = (path) => Object.assign(path, { auto: true, wasReset: true })
  target.path(0).events.emit('down', new Error('port lost'))
  await host.clock.advance(50)
  expect(await ask(device, IoOp.Flush)).toBe(OK)
})

it('a storage without a volatile cache has none to lose', async () => {
  const rig = await openQuick(2, { ...LIMITS, writeCache: false })
  await rig.ask(rig.device, IoOp.Write)
  lose(rig)
  expect(await rig.ask(rig.device, IoOp.Flush)).toBe(OK)
})

it('what was written before a cache was switched on is durable', async () => {
  const rig = await openQuick(1, { ...LIMITS, writeCache: false })
  const { device, ask, target } = rig
  await ask(device, IoOp.Write)
  target.path(0).limits = LIMITS
  target.path(0).events.emit('limits', LIMITS)
  lose(rig)
  expect(await ask(device, IoOp.Flush)).toBe(OK)
  await ask(device, IoOp.Write)
  lose(rig)
  expect(await ask(device, IoOp.Flush)).toBe(Errno.EIO)
})

it('a path that tells of two losses at once, late, does not hide the next one', async () => {
  const rig = await openQuick()
  const { device, ask } = rig
  for (let round = 0; round < 2; round++) {
    await ask(device, IoOp.Write)
    lose(rig, 0)
    expect(await ask(device, IoOp.Flush)).toBe(Errno.EIO)
  }
  lose(rig, 1)
  await ask(device, IoOp.Write)
  lose(rig, 1)
  expect(await ask(device, IoOp.Flush)).toBe(Errno.EIO)
})

it('a client that goes while its flush is under way, and comes back once more, is told then', async () => {
  const target = new FakeTarget(2)
  const rig = await open(2, brief, target)
  const { device, host } = rig
  const flush = (source: IoSource) => send(device, IoOp.Flush, 0, 0, 0, source)
  await host.clock.advance(1)
  const one = new IoSource(host.clock.now())
  send(device, IoOp.Write, 0, 512, 0, one)
  target.completeAll()
  lose(rig)
  await host.clock.advance(1)
  device.abandon!(one)
  const back = new IoSource(host.clock.now())
  flush(back)
  device.abandon!(back)
  target.completeAll()
  const again = new IoSource(host.clock.now())
  const told = flush(again)
  target.completeAll()
  expect(told.status).toBe(Errno.EIO)
})

it('what a client that has gone was not told is not taken for told by one that was there', async () => {
  const rig = await openQuick()
  const { device, ask, host } = rig
  await host.clock.advance(1)
  const [one, two] = [new IoSource(host.clock.now()), new IoSource(host.clock.now())]
  await ask(device, IoOp.Write, 0, one)
  lose(rig)
  await host.clock.advance(1)
  device.abandon!(one)
  expect(await ask(device, IoOp.Flush, 0, two)).toBe(Errno.EIO)
  const back = new IoSource(host.clock.now())
  expect(await ask(device, IoOp.Flush, 0, back)).toBe(Errno.EIO)
})

it('it is told too where it went before the cache was lost', async () => {
  const rig = await openQuick()
  const { device, ask, host } = rig
  await host.clock.advance(1)
  const one = new IoSource(host.clock.now())
  await ask(device, IoOp.Write, 0, one)
  device.abandon!(one)
  lose(rig)
  await host.clock.advance(1)
  const [back, other] = [new IoSource(host.clock.now()), new IoSource(host.clock.now())]
  expect(await ask(device, IoOp.Flush, 0, back)).toBe(Errno.EIO)
  expect(await ask(device, IoOp.Flush, 0, other)).toBe(OK)
})

it('a loss is told also after the cache was switched off', async () => {
  const rig = await openQuick(1)
  const { device, ask, target, host } = rig
  const user = userDevice(device, host.clock)
  await ask(user, IoOp.Write)
  lose(rig)
  target.path(0).limits = { ...LIMITS, writeCache: false }
  target.path(0).events.emit('limits', target.path(0).limits)
  await host.clock.advance(10)
  expect(await ask(user, IoOp.Flush)).toBe(Errno.EIO)
})

it('a process that takes over tells of a loss also where it has written nothing itself', async () => {
  const owed = { offset: 0, length: 512, path: 'fake:9', reason: () => '', proven: Promise.resolve(), waive() {} }
  const target = new FakeTarget(1)
  target.prepare = (path) => {
    path.auto = true
  }
  const rig = await open(1, { ...brief, owed: [owed] }, target)
  lose(rig)
  const flush = send(rig.device, IoOp.Flush, 0, 0)
  await rig.host.clock.advance(5)
  expect(flush.status).toBe(Errno.EIO)
})

it('a flush reaches the storage through a path that can do less than others and says that it has no cache', async () => {
  const target = new FakeTarget(2)
  const rig = await open(2, brief, target)
  const { device, host } = rig
  target.path(0).limits = { ...LIMITS, fua: false, writeCache: false }
  target.path(0).events.emit('limits', target.path(0).limits)
  const flush = send(device, IoOp.Flush, 0, 0)
  await host.clock.advance(5)
  expect([flush.status, target.path(0).seen.length + target.path(1).seen.length]).toEqual([undefined, 1])
  target.completeAll()
  await host.clock.advance(5)
  expect(flush.status).toBe(OK)
})

it('a loss that a path tells of while its record is being written counts', async () => {
  const rig = await openQuick(1)
  const { device, ask, host, target, hold, recorded } = rig
  expect(await ask(device, IoOp.Write)).toBe(OK)
  hold()
  target.path(0).events.emit('down', new Error('port lost'))
  await host.clock.advance(50)
  lose(rig)
  recorded()
  await host.clock.advance(5)
  expect(await ask(device, IoOp.Flush)).toBe(Errno.EIO)
  expect(await ask(device, IoOp.Flush)).toBe(OK)
})

it('a loss that a path has told of before it is up does not hide the next one', async () => {
  const rig = await openQuick()
  const { device, ask, host, target, hold, recorded } = rig
  hold()
  target.path(0).events.emit('down', new Error('port lost'))
  await host.clock.advance(50)
  expect(await ask(device, IoOp.Write)).toBe(OK)
  lose(rig, 0)
  recorded()
  await host.clock.advance(5)
  lose(rig, 1)
  expect(await ask(device, IoOp.Flush)).toBe(Errno.EIO)
  expect(await ask(device, IoOp.Write)).toBe(OK)
  lose(rig, 0)
  expect(await ask(device, IoOp.Flush)).toBe(Errno.EIO)
})

it('a path that went down while its record is being written does not hide what another says when it is opened', async () => {
  const rig = await openQuick()
  const { device, ask, target, host, hold, recorded } = rig
  hold()
  target.path(0).events.emit('down', new Error('port lost'))
  await host.clock.advance(50)
  await ask(device, IoOp.Write)
  target.prepare = (path) => Object.assign(path, { auto: true, fenceToken: `token of ${path.id}`, wasReset: true })
  for (const index of [0, 1]) target.path(index).events.emit('down', new Error('power lost'))
  await host.clock.advance(50)
  recorded()
  await host.clock.advance(50)
  expect(await ask(device, IoOp.Flush)).toBe(Errno.EIO)
})

it('what a path said when it was opened counts also where it is not used in the end', async () => {
  const rig = await openQuick(1)
  const { device, ask, target, host } = rig
  await ask(device, IoOp.Write)
  let opened = 0
  target.prepare = (path) => {
    const first = opened++ === 0
    Object.assign(path, { auto: true, wasReset: first })
    if (first) path.limits = { ...LIMITS, blockSize: 4096 }
  }
  target.path(0).events.emit('down', new Error('power lost'))
  await host.clock.advance(50)
  expect(opened).toBe(2)
  expect(await ask(device, IoOp.Flush)).toBe(Errno.EIO)
})

it('a path that said so when it was opened is told from one that has yet to say it', async () => {
  const rig = await openQuick()
  const { device, ask, target, host } = rig
  target.prepare = (path) => Object.assign(path, { auto: true, wasReset: true })
  await ask(device, IoOp.Write)
  target.path(0).events.emit('down', new Error('port lost'))
  await host.clock.advance(50)
  lose(rig, 1)
  expect(await ask(device, IoOp.Flush)).toBe(Errno.EIO)
  await ask(device, IoOp.Write)
  lose(rig, 0)
  expect(await ask(device, IoOp.Flush)).toBe(Errno.EIO)
})

it('a loss that both have told of, one of them in doubt, does not hide the next one', async () => {
  const rig = await openQuick()
  const { device, ask, target, host } = rig
  target.prepare = (path) => Object.assign(path, { auto: true, wasReset: true })
  await ask(device, IoOp.Write)
  target.path(0).events.emit('down', new Error('port lost'))
  await host.clock.advance(50)
  lose(rig, 1)
  lose(rig, 0)
  expect(await ask(device, IoOp.Flush)).toBe(Errno.EIO)
  for (const path of [1, 0]) {
    for (let writes = 0; writes < 2; writes++) await ask(device, IoOp.Write)
    lose(rig, path)
    expect(await ask(device, IoOp.Flush)).toBe(Errno.EIO)
    await ask(device, IoOp.Write)
    lose(rig, 1 - path)
    expect(await ask(device, IoOp.Flush)).toBe(OK)
  }
})

it('once all have told of a loss, the next one counts once too, whichever path tells first', async () => {
  const rig = await openQuick()
  const { device, ask, target, host } = rig
  await ask(device, IoOp.Write)
  target.prepare = (path) => Object.assign(path, { auto: true, wasReset: true })
  for (const index of [0, 1]) target.path(index).events.emit('down', new Error('power lost'))
  await host.clock.advance(50)
  expect(await ask(device, IoOp.Flush)).toBe(Errno.EIO)
  for (const [first, second] of [
    [1, 0],
    [0, 1],
    [0, 1],
    [1, 0],
  ] as const) {
    await ask(device, IoOp.Write)
    await ask(device, IoOp.Write)
    lose(rig, first)
    expect(await ask(device, IoOp.Flush)).toBe(Errno.EIO)
    await ask(device, IoOp.Write)
    lose(rig, second)
    expect(await ask(device, IoOp.Flush)).toBe(OK)
  }
})

it('a durable write that was in flight when a path forgot how to make one durable is sent again, with a flush', async () => {
  const target = new FakeTarget(1)
  const { device, host } = await open(1, brief, target)
  const path = target.path(0)
  const write = send(device, IoOp.Write, 0, 512, IoFlag.Fua)
  for (const fua of [false, true, false]) {
    path.limits = { ...LIMITS, fua }
    path.events.emit('limits', path.limits)
  }
  for (let step = 0; step < 3; step++) {
    expect(write.status).toBeUndefined()
    path.complete()
    await host.clock.advance(1)
  }
  expect(write.status).toBe(OK)
  expect(path.seen.map(([op]) => op)).toEqual([IoOp.Write, IoOp.Write, IoOp.Flush])
})

it('a path that was opened too late, and closed, keeps nobody from hearing of a loss while its slot tries again', async () => {
  const target = new FakeTarget(2)
  const multipath = { keepAlive: 0, connectTimeout: 1000, reconnectDelay: 10, reconnectDelayMax: 10 }
  const { device, host } = await open(2, { multipath }, target)
  const lost: string[] = []
  device.events.on('cacheLost', ({ path }) => lost.push(path))
  const written = send(device, IoOp.Write)
  target.completeAll()
  // The first two tries of one path hang, and the first ends when the second has begun.
  const hanging: ((path: FakePath) => void)[] = []
  const connect = target.connect.bind(target)
  target.connect = (info) => (info.id === 'fake:1' ? new Promise((resolve) => hanging.push(resolve)) : connect(info))
  target.path(1).events.emit('down', new Error('slow'))
  await host.clock.advance(1200)
  const late = new FakePath('fake:1', VOLUME, LIMITS)
  hanging[0]?.(late)
  await host.clock.advance(5)
  expect([written.status, hanging.length, late.closed]).toEqual([OK, 2, true])
  // The array loses its power: the other path is the only one that was there before.
  target.prepare = (path) => Object.assign(path, { wasReset: true })
  target.path(0).events.emit('down', new Error('power'))
  await host.clock.advance(300)
  const again = Object.assign(new FakePath('fake:1', VOLUME, LIMITS), { wasReset: true })
  hanging[1]?.(again)
  await host.clock.advance(5)
  expect(device.paths.map(({ state }) => state)).toEqual(['up', 'up'])
  const flush = send(device, IoOp.Flush)
  for (const path of [target.path(0), again]) path.complete()
  await host.clock.advance(5)
  expect([lost, flush.status]).toEqual([['fake:0'], Errno.EIO])
})

describe('an array that loses its power, where one path is back before another one fails', () => {
  /** Something is written, and one path is back that says that there was a reset; `answers`: the other one does I/O after that. */
  async function half(answers: boolean) {
    const rig = await openQuick()
    const { device, ask, target, host } = rig
    await ask(device, IoOp.Write)
    target.prepare = (path) => Object.assign(path, { auto: true, wasReset: true })
    target.path(0).auto = answers
    target.path(1).events.emit('down', new Error('reset'))
    await host.clock.advance(50)
    if (answers) for (let count = 0; count < 4; count++) await ask(device, IoOp.Read)
    target.path(0).events.emit('down', new Error('reset'))
    await host.clock.advance(50)
    expect(device.paths.map(({ state }) => state)).toEqual(['up', 'up'])
    return rig
  }

  it('has lost its cache: the other one has answered nothing since', async () => {
    const { device, ask } = await half(false)
    expect([await ask(device, IoOp.Flush), await ask(device, IoOp.Flush)]).toEqual([Errno.EIO, OK])
  })

  it('has not where the other one has answered since, and told of nothing', async () => {
    const { device, ask } = await half(true)
    expect(await ask(device, IoOp.Flush)).toBe(OK)
  })
})

describe('a path that is back, and says that there was a reset, while another one is silent', () => {
  /** Something is written, path 1 is back, and path 0 takes commands without an answer. */
  async function dark(multipath: MultipathOptions = {}) {
    const target = new FakeTarget(2)
    const options = { keepAlive: 0, reconnectDelay: 10, reconnectDelayMax: 10, ...multipath }
    const { device, host } = await open(2, { multipath: options }, target)
    const write = send(device, IoOp.Write)
    target.completeAll()
    expect(write.status).toBe(OK)
    target.prepare = (path) => Object.assign(path, { auto: true, wasReset: true })
    target.path(1).events.emit('down', new Error('reset'))
    await host.clock.advance(100)
    return { device, target, host }
  }

  it('takes no flush before that one has failed: then what was lost is told', async () => {
    const { device, target, host } = await dark()
    const flush = send(device, IoOp.Flush)
    expect(device.paths[1]?.state).toBe('connecting')
    target.path(0).events.emit('down', new Error('reset'))
    await host.clock.advance(100)
    expect(device.paths.map(({ state }) => state)).toEqual(['up', 'up'])
    expect(flush.status).toBe(Errno.EIO)
  })

  it('serves as soon as that one answers, and tells of nothing', async () => {
    const { device, target, host } = await dark()
    target.path(0).complete()
    await host.clock.advance(0)
    expect(device.paths[1]?.state).toBe('up')
    const flush = send(device, IoOp.Flush)
    target.completeAll()
    await host.clock.advance(100)
    expect(flush.status).toBe(OK)
    // It has denied that: its end changes nothing.
    target.path(0).events.emit('down', new Error('port lost'))
    await host.clock.advance(100)
    const last = send(device, IoOp.Flush)
    await host.clock.advance(100)
    expect(last.status).toBe(OK)
  })

  it('waits for that no longer than for the answer to a read', async () => {
    const { device, host } = await dark({ ioTimeout: 2000 })
    await host.clock.advance(1800)
    expect(device.paths.map(({ state }) => state)).toEqual(['up', 'connecting'])
    await host.clock.advance(150)
    expect(device.paths[0]).toMatchObject({ failures: 1, troubles: { 'no answer in time': 1 } })
    expect(device.paths[1]?.state).toBe('up')
    const flush = send(device, IoOp.Flush)
    await host.clock.advance(100)
    expect(flush.status).toBe(Errno.EIO)
  })

  it('leaves no timer when its device is closed meanwhile', async () => {
    const { device, host } = await dark()
    await host.clock.runUntil(device.close())
    expect(host.clock.timers).toBe(0)
  })
})
