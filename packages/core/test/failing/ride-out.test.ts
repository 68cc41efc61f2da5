import { describe, expect, it } from 'vitest'
import { Errno, IoOp, OK, rideOutProfiles } from '../../src/index.ts'
import { resolveOptions } from '../../src/multipath/options.ts'
import type { FakePath, Rig } from '../support/rig.ts'
import { FakeTarget, open, send } from '../support/rig.ts'

const never = new Promise<never>(() => {})

/** Paths that end at once what they get, and answer pings, unless they are in `holes`. */
function holed(count: number, holes: Set<string>): FakeTarget {
  const target = new FakeTarget(count)
  target.prepare = (path: FakePath) => {
    const submit = path.submit.bind(path)
    path.ping = () => (holes.has(path.id) ? never : Promise.resolve())
    path.submit = (io) => {
      path.auto = !holes.has(path.id)
      submit(io)
    }
  }
  return target
}

/** Sends reads and writes every 20 ms for `length` ms; the longest that one took until it was done, ms. */
async function longest({ device, host }: Rig, length: number, begin = host.clock.now()): Promise<number> {
  let most = 0
  for (let sent = 0; sent < length / 20; sent++) {
    const at = host.clock.now()
    const { io } = send(device, sent % 2 === 0 ? IoOp.Read : IoOp.Write, (sent % 100) * 512)
    io.done = (_io, status) => {
      expect(status).toBe(OK)
      most = Math.max(most, (host.clock.now() - Math.max(at, begin)) / 1000)
    }
    await host.clock.advance(20)
  }
  await host.clock.advance(60_000)
  expect(device.inflight).toBe(0)
  return most
}

describe('rideOut: fast', () => {
  it('no I/O waits longer than 3 s where a path falls silent and another one is there', async () => {
    const holes = new Set<string>()
    const rig = await open(2, { multipath: { rideOut: 'fast' } }, holed(2, holes))
    await rig.host.clock.advance(10_000)
    holes.add('fake:0')
    expect(await longest(rig, 30_000)).toBeLessThanOrEqual(3000)
    expect(rig.device.paths[0]!.state).not.toBe('up')
  })

  it('nor where it answers pings and no I/O', async () => {
    const holes = new Set<string>()
    const target = holed(2, holes)
    const { prepare } = target
    target.prepare = (path) => {
      prepare(path)
      path.ping = async () => {}
    }
    const rig = await open(2, { multipath: { rideOut: 'fast' } }, target)
    await rig.host.clock.advance(10_000)
    holes.add('fake:0')
    expect(await longest(rig, 30_000)).toBeLessThanOrEqual(3000)
  })
})

describe('rideOut: array-reboot', () => {
  it('I/O outlives an array that is away for ten minutes, and goes on within seconds of its return', async () => {
    const target = holed(4, new Set())
    const rig = await open(4, { multipath: { rideOut: 'array-reboot' } }, target)
    for (const { id } of target.infos) target.refuse.set(id, 'down')
    for (const path of target.paths.values()) path.events.emit('down', new Error('gone'))
    await rig.host.clock.advance(0)
    const sent = [send(rig.device), send(rig.device, IoOp.Write)]
    const tries: number[] = []
    const connect = target.connect.bind(target)
    target.connect = (info) => {
      if (info.id === 'fake:0') tries.push(rig.host.clock.now() / 1000)
      return connect(info)
    }
    await rig.host.clock.advance(600_000)
    expect(Math.max(...tries.slice(1).map((at, index) => at - tries[index]!))).toBeLessThanOrEqual(2001)
    expect(sent.map(({ status }) => status)).toEqual([undefined, undefined])
    target.refuse.clear()
    await rig.host.clock.advance(3000)
    expect(sent.map(({ status }) => status)).toEqual([OK, OK])
  })

  it('also where connects to it hang', async () => {
    const target = holed(2, new Set())
    const rig = await open(2, { multipath: { rideOut: 'array-reboot' } }, target)
    const connect = target.connect.bind(target)
    target.connect = () => never
    for (const path of target.paths.values()) path.events.emit('down', new Error('gone'))
    await rig.host.clock.advance(0)
    const sent = send(rig.device)
    await rig.host.clock.advance(600_000)
    target.connect = connect
    await rig.host.clock.advance(8000)
    expect(sent.status).toBe(OK)
  })

  it('and ends it with EIO after a quarter of an hour', async () => {
    const target = holed(2, new Set())
    const rig = await open(2, { multipath: { rideOut: 'array-reboot' } }, target)
    for (const { id } of target.infos) target.refuse.set(id, 'down')
    for (const path of target.paths.values()) path.events.emit('down', new Error('gone'))
    await rig.host.clock.advance(0)
    const sent = send(rig.device)
    await rig.host.clock.advance(899_000)
    expect(sent.status).toBeUndefined()
    await rig.host.clock.advance(1100)
    expect(sent.status).toBe(Errno.EIO)
  })
})

it('explicit options win over a profile, and what is not given stands as without one', () => {
  const left: object = { noPathTimeout: undefined }
  const options = resolveOptions({ rideOut: 'fast', ioTimeout: 700, ...left })
  expect(options).toMatchObject({ ...rideOutProfiles.fast, ioTimeout: 700 })
  expect(options).toMatchObject({ maxParked: 65_536, maxParkedBytes: 2 ** 30, hedgeReads: false, weights: {} })
  expect(options).not.toHaveProperty('rideOut')
})

it('wrong values are named', () => {
  const wrong = [
    [{ rideOut: 'slow' }, 'rideOut is slow; it must be fast or array-reboot'],
    [{ rideOut: 'toString' }, 'rideOut is toString; it must be fast or array-reboot'],
    [{ maxParked: -1 }, 'maxParked is -1; it must be a whole number, 0 or more'],
    [{ maxParkedBytes: 1.5 }, 'maxParkedBytes is 1.5; it must be a whole number, 0 or more'],
    [{ hedgeReads: 'yes' }, 'hedgeReads is yes; it must be true or false'],
  ] as const
  for (const [options, text] of wrong) expect(() => resolveOptions(options as object)).toThrow(text)
})
