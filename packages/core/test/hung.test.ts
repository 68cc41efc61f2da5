import { describe, expect, it } from 'vitest'
import type { Io } from '../src/index.ts'
import { IoOp, OK } from '../src/index.ts'
import type { FakePath, Rig } from './support/rig.ts'
import { FakeTarget, open, send } from './support/rig.ts'

const MINUTE = 60_000

/** Path `index` connects each time, and then `swallows` some of its I/O; the others answer at once. */
function halfDead(count: number, swallows: (path: FakePath, io: Io) => boolean): FakeTarget {
  const target = new FakeTarget(count)
  target.prepare = (path) => {
    const submit = path.submit.bind(path)
    path.submit = (io) => {
      if (path.id !== 'fake:0' || !swallows(path, io)) path.auto = true
      else path.auto = false
      submit(io)
    }
  }
  return target
}

/** Sends a read every 100 ms for ten minutes; returns how many of them took longer than a second. */
async function slowReads({ device, host }: Rig): Promise<number> {
  let slow = 0
  for (let sent = 0; sent < 6000; sent++) {
    const begun = host.clock.now()
    const read = send(device, IoOp.Read, 0)
    const { done } = read.io
    read.io.done = (io, status) => {
      expect(status).toBe(OK)
      if (host.clock.now() - begun > 1_000_000) slow++
      done(io, status)
    }
    await host.clock.advance(100)
  }
  await host.clock.advance(2 * MINUTE)
  return slow
}

describe('a path that connects and answers no I/O', () => {
  it('gets none any more after the first that had no answer, until it has answered one', async () => {
    let hung = true
    const rig = await open(
      3,
      {},
      halfDead(3, () => hung),
    )
    // A third of those of the first time-out, and of the time that it takes to notice it.
    expect(await slowReads(rig)).toBeLessThan(140)
    expect(rig.device.paths[0]).toMatchObject({ state: expect.stringMatching(/connecting|waiting/) })
    expect(rig.target.connects.filter((id) => id === 'fake:0').length).toBeGreaterThan(20)
    hung = false
    await rig.host.clock.advance(20_000)
    expect(rig.device.state).toBe('active')
  })

  it('also where it answers one at a time: each time it is left alone for longer, and not for ever', async () => {
    const rig = await open(
      3,
      {},
      halfDead(3, (path) => path.seen.length > 0),
    )
    expect(await slowReads(rig)).toBeLessThan(600)
    const connects = rig.target.connects.filter((id) => id === 'fake:0').length
    expect(connects).toBeGreaterThan(3)
    expect(connects).toBeLessThan(7)
  })

  it('is tried as ever where it is the last one', async () => {
    const { device, host, target } = await open(
      2,
      {},
      halfDead(2, (path) => path.seen.length > 0),
    )
    for (let round = 0; round < 3; round++) {
      send(device)
      send(device)
      send(device)
      await host.clock.advance(2 * MINUTE)
    }
    await host.clock.advance(10_000)
    expect(device.paths[0]?.reason).toMatch(/an I\/O had no answer for 30000 ms; .* the path is left alone for \d+ s/)
    target.refuse.set('fake:1', 'down')
    target.path(1).events.emit('down', new Error('gone'))
    await host.clock.advance(20_000)
    expect(device.paths.map(({ state }) => state)).toEqual(['up', 'waiting'])
  })

  it('comes back at once by hand', async () => {
    const { device, host } = await open(
      2,
      {},
      halfDead(2, (path) => path.seen.length > 0),
    )
    for (let second = 0; second < 300 && !(device.paths[0]?.reason ?? '').includes('left alone'); second++) {
      send(device)
      send(device)
      send(device)
      await host.clock.advance(1000)
    }
    device.restorePath('fake:0')
    await host.clock.advance(1000)
    expect(device.paths[0]?.state).toBe('up')
  })
})
