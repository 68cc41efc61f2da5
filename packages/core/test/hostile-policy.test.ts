import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { IoView, MultipathDevice, PathSelector, PathView } from '../src/index.ts'
import { Io, IoFlag, IoOp, OK } from '../src/index.ts'
import { inTurn, open, send } from './support/rig.ts'

// As a policy written in JavaScript, without types and without strict mode.
type Loose = Record<string, unknown>
const loose = <Value>(value: Value): Loose => value as unknown as Loose
const sloppy = (text: string): ((...args: unknown[]) => unknown) => new Function('value', text) as never

/** Sends writes through a policy and says what the paths got; each must be done with success. */
async function serve(create: (device: () => MultipathDevice) => PathSelector, count = 3, ios = 6) {
  const rig = await open(count)
  const { device, target } = rig
  device.setSelector(() => create(() => device))
  const sent = Array.from({ length: ios }, (_, index) => send(device, IoOp.Write, (index + 1) * 512))
  for (const path of target.paths.values()) path.complete()
  const seen = Array.from({ length: count }, (_, index) => target.path(index).seen)
  return { ...rig, sent, seen }
}

const keeping = (name: string, select: (paths: PathView[], io: IoView) => unknown): PathSelector => {
  let paths: PathView[] = []
  return {
    name,
    update: (usable) => void (paths = usable as PathView[]),
    select: (io) => select(paths, io) as PathView,
  }
}

const after =
  (act: (paths: PathView[], io: IoView) => void) =>
  (paths: PathView[], io: IoView): unknown => {
    act(paths, io)
    return paths[0]
  }

const writes: readonly [string, (paths: PathView[], io: IoView) => unknown][] = [
  ['takes paths out of its list', (paths) => paths.shift()],
  ['empties its list', (paths) => void (paths.length = 0)],
  ['turns its list round', (paths) => paths.reverse()[0]],
  ['puts something else into its list', (paths) => (paths[0] = { ...paths[0] } as PathView)],
  ['sets a number of a path', after((paths) => void (loose(paths[0])['inflight'] = 99))],
  ['sets it without strict mode', after((paths) => void sloppy('value.inflight = 99; value.index = 7')(paths[0]))],
  ['defines a property of a path', (paths) => Object.defineProperty(paths[0], 'inflight', { value: 99 })],
  ['deletes a property of a path', after((paths) => void delete loose(paths[0])['inflight'])],
  ['changes the prototype of a path', (paths) => Object.setPrototypeOf(paths[0], { inflight: 99 })],
  [
    'changes what all paths inherit',
    (paths) => Object.defineProperty(Object.getPrototypeOf(paths[0]), 'inflight', { get: () => 99 }),
  ],
  ['moves the I/O', after((_, io) => void (loose(io)['offset'] = 0))],
  ['moves it without strict mode', after((_, io) => void sloppy('value.offset = 0; value.op = 4')(io))],
  ['makes the I/O longer', after((_, io) => void (loose(io)['length'] = 65536))],
  ['makes a trim of a write', after((_, io) => void (loose(io)['op'] = IoOp.Trim))],
  ['clears its flags', after((_, io) => void (loose(io)['flags'] = 0))],
  ['writes its buffers', after((_, io) => void (loose(io)['buffers'] as Uint8Array[])[0]!.fill(0))],
  ['takes its done', after((_, io) => void (loose(io)['done'] = () => {}))],
  ['ends it', after((_, io) => void (loose(io)['done'] as (io: unknown, status: number) => void)(io, 0))],
  ['defines its offset', (_, io) => Object.defineProperty(io, 'offset', { value: 0 })],
  ['changes what it inherits', (_, io) => Object.defineProperty(Object.getPrototypeOf(io), 'offset', { get: () => 0 })],
  [
    'makes views of its own',
    (paths) => new (loose(paths[0])['constructor'] as new (x: object) => object)({ index: 0 }),
  ],
  ['returns a proxy of a path', (paths) => new Proxy(paths[0]!, {})],
  ['returns what inherits from a path', (paths) => Object.create(paths[0]!)],
  ['returns a copy of a path', (paths) => ({ ...paths[0] })],
  ['returns an index', () => 0],
  ['returns a proxy that throws', () => new Proxy({}, { get: throwing, has: throwing, getPrototypeOf: throwing })],
  ['throws what cannot be looked at', () => throwIt(new Proxy(new Error('x'), { get: throwing }))],
  ['throws nothing', () => throwIt(undefined)],
  ['throws what has no text', () => throwIt(Object.create(null))],
  ['throws a symbol', () => throwIt(Symbol('x'))],
  [
    'calls itself without end',
    function again(paths, io): unknown {
      return again(paths, io)
    },
  ],
]

function throwing(): never {
  throw new Error('looked at')
}
function throwIt(what: unknown): never {
  throw what
}

describe('a policy that writes', () => {
  it.each(writes)('%s: every I/O arrives as it was sent, and the next policy works', async (_title, select) => {
    const { device, target, sent, seen } = await serve(() => keeping('hostile', select))
    expect(sent.map(({ status }) => status)).toEqual(Array(6).fill(OK))
    expect(seen.flat().sort((a, b) => a[1] - b[1])).toEqual(
      Array.from({ length: 6 }, (_, index) => [IoOp.Write, (index + 1) * 512, 512]),
    )
    expect(device.parked + device.queued + device.inflight).toBe(0)
    expect(device.paths.map(({ inflight, state }) => [inflight, state])).toEqual(Array(3).fill([0, 'up']))
    device.setSelector(inTurn)
    const before = target.path(0).seen.length
    for (let index = 0; index < 6; index++) send(device, IoOp.Read)
    expect(target.path(0).seen.length - before).toBe(2)
    expect(device.paths.map(({ inflight }) => inflight)).toEqual([2, 2, 2])
  })

  it('sees the numbers of the I/O in its turn, and nothing of it after', async () => {
    const kept: IoView[] = []
    const seen: number[][] = []
    const { device } = await serve(
      () =>
        keeping('keeping', (paths, io) => {
          kept.push(io)
          seen.push([io.op, io.flags, io.offset, io.length])
          return paths[0]
        }),
      1,
      0,
    )
    const io = new Io()
    Object.assign(io, { op: IoOp.WriteZeroes, flags: IoFlag.Fua, offset: 2 ** 20, length: 4096, done() {} })
    device.submit(io)
    expect(seen).toEqual([[IoOp.WriteZeroes, IoFlag.Fua, 2 ** 20, 4096]])
    const [late] = kept as [IoView]
    expect([late.op, late.flags, late.offset, late.length]).toEqual([0, 0, 0, 0])
    expect(Reflect.ownKeys(late)).toEqual([])
  })

  it('gets the same view of a path for its whole life, with numbers that move', async () => {
    const lists: PathView[][] = []
    const { device, host } = await serve(
      () => {
        const selector = inTurn()
        return {
          ...selector,
          update(usable) {
            lists.push([...usable])
            selector.update(usable)
          },
        }
      },
      2,
      0,
    )
    send(device)
    expect(lists[0]!.map(({ inflight }) => inflight)).toEqual([1, 0])
    void device.failPath('fake:1')
    device.restorePath('fake:1')
    await host.clock.advance(20_000)
    expect(lists.at(-1)!.map((view) => lists[0]!.indexOf(view))).toEqual([0, 1])
    expect(lists[0]!.map((view) => Reflect.ownKeys(view))).toEqual([[], []])
  })
})

describe('a policy that reaches back', () => {
  it.each<[string, (device: MultipathDevice) => void]>([
    ['submits I/O', (device) => void send(device, IoOp.Read)],
    ['takes a path out', (device) => void device.failPath('fake:0')],
    ['exchanges itself', (device) => device.setSelector(inTurn)],
  ])('%s from inside select: nothing is lost', async (_title, reach) => {
    let left = 2
    const { device, target, sent, host } = await serve(
      (device) =>
        keeping('reaching', (paths) => {
          if (left-- > 0) reach(device())
          return paths[0]
        }),
      2,
    )
    for (let round = 0; round < 20; round++) {
      for (const path of target.paths.values()) if (!path.closed) path.complete()
      await host.clock.advance(10)
    }
    expect(sent.map(({ status, times }) => [status, times])).toEqual(Array(6).fill([OK, 1]))
    expect(device.inflight).toBe(0)
  })

  it('takes the last path out from inside select, with I/O of its own: all of it waits, and ends when told', async () => {
    const own: ReturnType<typeof send>[] = []
    const rig = await open(1, { multipath: { noPathTimeout: 3000 } })
    rig.device.setSelector(() =>
      keeping('cutting', (paths) => {
        own.push(send(rig.device, IoOp.Read))
        rig.target.refuse.set('fake:0', 'gone')
        void rig.device.failPath('fake:0')
        return paths[0]
      }),
    )
    const sent = send(rig.device)
    expect(rig.device.parked).toBe(2)
    await rig.host.clock.advance(4000)
    expect([sent, ...own].map(({ status, times }) => [status, times])).toEqual(Array(2).fill([5, 1]))
  })

  it('takes a path out from inside update: it is told the last list last', async () => {
    const lists: string[][] = []
    const { device, sent } = await serve((device) => {
      const selector = inTurn()
      return {
        name: 'choosy',
        update(usable) {
          if (usable.length === 3) void device().failPath('fake:0')
          lists.push(usable.map(({ id }) => id))
          selector.update(usable)
        },
        select: (io) => selector.select(io),
      }
    })
    expect(lists).toEqual([
      ['fake:0', 'fake:1', 'fake:2'],
      ['fake:1', 'fake:2'],
    ])
    expect(sent.map(({ status }) => status)).toEqual(Array(6).fill(OK))
    expect(device.policyFaults).toBe(0)
  })

  it('throws half way through update: the first path serves', async () => {
    const { device, target } = await open(3)
    const faults: string[] = []
    device.events.on('policyFault', (error) => faults.push(error.message))
    let kept: readonly PathView[] = []
    let fail = false
    device.setSelector(() => ({
      name: 'half',
      update(usable) {
        if (fail) throw new Error('half way')
        kept = usable
      },
      select: () => kept[0],
    }))
    fail = true
    void device.failPath('fake:0')
    const sent = send(device)
    target.path(1).complete()
    expect(sent.status).toBe(OK)
    expect(faults).toEqual(['policy half: update threw: half way; the first path is used'])
  })

  it('changes its name, or throws when asked for it: the name is what it was', async () => {
    let name: () => string = () => 'chameleon'
    const { device } = await serve(() => ({
      get name() {
        return name()
      },
      update() {},
      select: () => undefined,
    }))
    name = throwing
    expect(device.policy).toBe('chameleon')
    const sent = send(device)
    expect(sent.status).toBe(undefined)
    expect(device.policyFaults).toBe(7)
  })
})

describe('a policy that is asynchronous', () => {
  const rejections: unknown[] = []
  const note = (reason: unknown): void => void rejections.push(reason)
  beforeEach(() => void process.on('unhandledRejection', note))
  afterEach(() => void process.off('unhandledRejection', note))

  it('rejects in update and select: it is counted, the first path serves, the process lives', async () => {
    const faults: string[] = []
    const { device } = await open(2)
    device.events.on('policyFault', (error) => faults.push(error.message))
    device.setSelector(() => ({
      name: 'async',
      update: (async () => throwing()) as never,
      select: (async () => throwing()) as never,
    }))
    await new Promise((resolve) => setImmediate(resolve))
    send(device)
    await new Promise((resolve) => setImmediate(resolve))
    expect(rejections).toEqual([])
    expect(faults).toEqual(['policy async: update rejected: looked at; the first path is used'])
    expect(device.policyFaults).toBe(2)
  })
})
