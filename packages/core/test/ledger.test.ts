import { expect, it } from 'vitest'
import type { Debt, Ledger, LeftDebt, PathInfo, SignalOptions, Target } from '../src/index.ts'
import { BlockError, createHostAgent, delay, Errno, IoOp, OK } from '../src/index.ts'
import { FakeTarget, LIMITS, LOST, open, send, VOLUME, virtualHost } from './support/rig.ts'

const brief = { noPathTimeout: 1000, ioTimeout: 0, reconnectDelay: 1, reconnectDelayMax: 1 }

/** A ledger in memory: what this process put, in words, and what others left. */
function memoryLedger(left: LeftDebt[] = []) {
  const now = new Map<string, Debt>()
  const log: string[] = []
  const ledger: Ledger & { log: string[]; now: Map<string, Debt>; hold?: Promise<void>; fault?: Error } = {
    log,
    now,
    async put(debt) {
      await ledger.hold
      if (ledger.fault) throw ledger.fault
      log.push(`put ${debt.token}${debt.ranges === undefined ? '' : ` ${JSON.stringify(debt.ranges)}`}`)
      now.set(debt.token, debt)
    },
    async drop(token) {
      log.push(`drop ${token}`)
      now.delete(token)
    },
    left: async (volume) => left.filter((debt) => debt.volume === volume),
  }
  return ledger
}

/** A target whose paths have tokens. */
function tokened(count: number): FakeTarget {
  const target = new FakeTarget(count)
  target.prepare = (path) => Object.assign(path, { fenceToken: `token-${path.id}` })
  return target
}

it('that a path may have changes in flight is on record before anything goes through it', async () => {
  const target = tokened(1)
  const ledger = memoryLedger()
  let recorded = (): void => {}
  ledger.hold = new Promise((resolve) => (recorded = resolve))
  const host = virtualHost(1)
  const agent = createHostAgent({ targets: [target], host, ledger })
  const opening = agent.open(VOLUME, { multipath: brief })
  await host.clock.advance(20)
  expect(target.connects.length).toBe(1)
  recorded()
  const user = await host.clock.runUntil(opening)
  expect(ledger.log).toEqual(['put token-fake:0'])
  const sent = send(user, IoOp.Write)
  target.completeAll()
  expect(sent.status).toBe(OK)
  send(user, IoOp.Flush, 0, 0)
  target.completeAll()
  await host.clock.runUntil(agent.close())
  // Nothing was in flight when it ended.
  expect(ledger.log).toEqual(['put token-fake:0', 'put token-fake:0 []', 'drop token-fake:0'])
})

it('a path of which that cannot be recorded is not used, and says why', async () => {
  const target = tokened(1)
  const ledger = memoryLedger()
  ledger.fault = new Error('no space left on device')
  const opening = open(1, { multipath: brief, ledger }, target)
  await expect(opening).rejects.toThrow(/cannot be recorded: no space left on device/)
  expect(target.path(0).closed).toBe(true)
})

it('of a path that failed the very ranges are on record that have no proof, until it is fenced', async () => {
  const target = tokened(2)
  const ledger = memoryLedger()
  const { device, host } = await open(2, { multipath: brief, ledger }, target)
  let prove = (): void => {}
  target.path(0).fence = new Promise((resolve) => (prove = resolve))
  target.refuse.set('fake:0', 'silent')
  const sent = [send(device, IoOp.Write, 512), send(device, IoOp.Write, 1024), send(device, IoOp.Read, 0)]
  target.path(0).events.emit('down', new Error('x'))
  await host.clock.advance(5)
  expect(ledger.log).toEqual(['put token-fake:0', 'put token-fake:1', 'put token-fake:0 [[512,512]]'])
  target.completeAll()
  await host.clock.advance(1100)
  expect(sent.map(({ status }) => status)).toEqual([Errno.EIO, OK, OK])
  expect(ledger.now.get('token-fake:0')?.ranges).toEqual([[512, 512]])
  prove()
  await host.clock.advance(5)
  // The write that came through the other path is not flushed.
  expect(ledger.log.at(-1)).toBe('put token-fake:0 []')
  send(device, IoOp.Flush, 0, 0)
  target.completeAll()
  await host.clock.runUntil(device.close())
  expect(ledger.log.at(-1)).toBe('drop token-fake:1')
})

it('that something was not flushed stays on record beyond the last path, and the next process flushes it', async () => {
  const target = tokened(1)
  const ledger = memoryLedger()
  const { device, host } = await open(1, { multipath: brief, ledger }, target)
  send(device, IoOp.Write)
  target.completeAll()
  await host.clock.runUntil(device.close())
  const [debt] = [...ledger.now.values()]
  expect(debt?.ranges).toEqual([])
  // By then the cache is switched off: nobody else would flush what may still lie there.
  const settled: string[] = []
  const next = tokened(1)
  next.limits = { ...LIMITS, writeCache: false }
  const again = virtualHost(1)
  const left = { ...leftBy7(settled, []), ...debt }
  const agent = createHostAgent({ targets: [next], host: again, ledger: memoryLedger([left]) })
  const user = await again.clock.runUntil(agent.open(VOLUME, { multipath: brief }))
  await again.clock.advance(5)
  expect(next.path(0).seen).toEqual([[IoOp.Flush, 0, 0]])
  const read = send(user, IoOp.Read)
  next.completeAll()
  expect([read.status, settled]).toEqual([OK, ['old']])
})

it('two devices over one path have one record, which stays until both are done with it', async () => {
  const target = tokened(1)
  const ledger = memoryLedger()
  const host = virtualHost(1)
  const agent = createHostAgent({ targets: [target], host, ledger })
  const native = await host.clock.runUntil(agent.open('fake:0', { multipath: brief }))
  const all = await host.clock.runUntil(agent.open(VOLUME, { multipath: brief }))
  await host.clock.runUntil(native.close())
  expect([...ledger.now.values()].map(({ token, ranges }) => [token, ranges])).toEqual([['token-fake:0', undefined]])
  await host.clock.runUntil(all.close())
  expect([...ledger.now]).toEqual([])
})

it('the ranges are those of all that was in flight, once none of it is any more', async () => {
  const target = tokened(1)
  const ledger = memoryLedger()
  const { device, host } = await open(1, { multipath: brief, ledger }, target)
  target.path(0).fence = new Promise(() => {})
  for (const offset of [0, 512, 1024]) send(device, IoOp.Write, offset)
  target.path(0).complete(LOST, 1)
  await host.clock.advance(5)
  expect(ledger.now.get('token-fake:0')?.ranges).toEqual([
    [0, 512],
    [512, 512],
    [1024, 512],
  ])
})

/** What process 7 left. */
function leftBy7(settled: string[], ranges?: Debt['ranges']): LeftDebt {
  return {
    volume: VOLUME,
    token: 'old',
    path: 'fake:9',
    owner: 'process 7',
    ...(ranges && { ranges }),
    settle: async () => void settled.push('old'),
  }
}

it('what a process before left in flight is fenced before I/O of the volume goes on', async () => {
  const settled: string[] = []
  const target: FakeTarget & Target = tokened(1)
  const asked: string[] = []
  let answer: (error?: Error) => void = () => {}
  target.fence = (token: string, _options?: SignalOptions) => {
    asked.push(token)
    return new Promise<void>((resolve, reject) => {
      answer = (error) => (error ? reject(error) : resolve())
    })
  }
  const host = virtualHost(1)
  const agent = createHostAgent({ targets: [target], host, ledger: memoryLedger([leftBy7(settled)]) })
  const pair = await host.clock.runUntil(agent.open(VOLUME, { multipath: brief }))
  const write = send(pair, IoOp.Write)
  await host.clock.advance(10)
  answer(new BlockError('CONNECT_FAILED', 'portal 2 is silent'))
  await host.clock.advance(400)
  expect([asked, target.path(0).seen]).toEqual([['old', 'old'], []])
  answer()
  await host.clock.advance(5)
  target.completeAll()
  expect([write.status, settled]).toEqual([OK, ['old']])
})

it('the target that offers the path is asked alone, where it has the proof', async () => {
  const [owner, other]: (FakeTarget & Target)[] = [
    tokened(1),
    new FakeTarget(1, 'other', 'naa.60000000000000000000000000000002'),
  ]
  const asked: string[] = []
  for (const target of [owner, other] as const) target!.fence = async () => void asked.push(target!.name)
  const debt = { ...leftBy7([]), path: 'fake:0' }
  const host = virtualHost(1)
  const agent = createHostAgent({ targets: [other!, owner!], host, ledger: memoryLedger([debt]) })
  await host.clock.runUntil(agent.open(VOLUME, { multipath: brief }))
  await host.clock.advance(10)
  expect(asked).toEqual(['fake'])
})

it('the proof is looked for when the device is open: its paths must not wait for what the storage works off', async () => {
  const target: FakeTarget & Target = tokened(1)
  let worksOff = false
  let answer = (): void => {}
  target.fence = () => {
    worksOff = true
    return new Promise((resolve) => (answer = resolve))
  }
  const connect = target.connect.bind(target)
  const host = virtualHost(1)
  target.connect = async (info: PathInfo) => {
    await delay(host.clock, 50)
    if (worksOff) throw new BlockError('TIMED_OUT', 'no answer to INQUIRY')
    return connect(info)
  }
  const agent = createHostAgent({ targets: [target], host, ledger: memoryLedger([leftBy7([])]) })
  const user = await host.clock.runUntil(agent.open(VOLUME, { multipath: brief }))
  const write = send(user, IoOp.Write)
  await host.clock.advance(5)
  expect([worksOff, target.path(0).seen]).toEqual([true, []])
  answer()
  await host.clock.advance(5)
  target.completeAll()
  expect(write.status).toBe(OK)
})

it('without that proof it ends with EIO after noPathTimeout, and only where the ranges are known the rest goes on', async () => {
  const settled: string[] = []
  const target = tokened(1)
  const host = virtualHost(1)
  const agent = createHostAgent({ targets: [target], host, ledger: memoryLedger([leftBy7(settled, [[4096, 512]])]) })
  const user = await host.clock.runUntil(agent.open(VOLUME, { multipath: brief }))
  const [held, beside] = [send(user, IoOp.Read, 4096), send(user, IoOp.Write, 0)]
  target.completeAll()
  expect([held.status, beside.status]).toEqual([undefined, OK])
  await host.clock.advance(1100)
  expect([held.status, settled]).toEqual([Errno.EIO, []])
})

it('a device that is opened again is held where its last one has left something without a proof', async () => {
  const target = tokened(2)
  const host = virtualHost(1)
  const agent = createHostAgent({ targets: [target], host, ledger: memoryLedger() })
  const user = await host.clock.runUntil(agent.open(VOLUME, { multipath: brief }))
  let prove = (): void => {}
  target.path(0).fence = new Promise((resolve) => (prove = resolve))
  send(user, IoOp.Write, 512)
  await host.clock.runUntil(user.close({ signal: AbortSignal.abort() }).catch(() => {}))
  const again = await host.clock.runUntil(agent.open(VOLUME, { multipath: brief }))
  const [held, beside] = [send(again, IoOp.Write, 512), send(again, IoOp.Write, 1024)]
  target.completeAll()
  expect([held.status, beside.status]).toEqual([undefined, OK])
  prove()
  await host.clock.advance(5)
  target.completeAll()
  expect(held.status).toBe(OK)
})
