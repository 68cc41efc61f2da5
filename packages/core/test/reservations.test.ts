import { describe, expect, it } from 'vitest'
import { Errno, IoOp } from '../src/index.ts'
import { FakeTarget, LOST, open, send } from './support/rig.ts'
import { look, ok, reserve, toyCommands } from './support/toy-commands.ts'

const CONFLICT = Errno.EBADE

async function reserved(count: number) {
  const target = new FakeTarget(count)
  target.prepare = (path) => {
    path.reservesAlone = true
    path.commands = toyCommands(async () => ok)
  }
  return open(count, {}, target)
}

type Rig = Awaited<ReturnType<typeof reserved>>

/** Ends what is sent as an array does that knows these paths only; resolves to how the I/O ended. */
async function write({ device, target, host }: Rig, registered: readonly number[]): Promise<number | undefined> {
  const sent = send(device, IoOp.Write)
  for (let turn = 0; turn < 20 && sent.status === undefined; turn++) {
    for (const [index, { id }] of target.infos.entries()) {
      target.paths.get(id)!.complete(registered.includes(index) ? 0 : CONFLICT)
    }
    await host.clock.advance(0)
  }
  return sent.status
}

const seenBy = ({ target }: Rig) => target.infos.map(({ id }) => target.paths.get(id)!.seen.length)

describe('a reservation that lets some paths in', () => {
  it('costs no I/O an error: another path is tried, and the one kept out stands back, and says so', async () => {
    const rig = await reserved(3)
    const { device, host } = rig
    for (let n = 0; n < 12; n++) expect(await write(rig, [1])).toBe(0)
    expect(seenBy(rig)).toEqual([1, 12, 1])
    expect(device.state).toBe('degraded')
    expect(device.paths.map(({ state, failures }) => [state, failures])).toEqual(Array(3).fill(['up', 0]))
    expect(device.paths[0]?.reason).toContain('kept out by a reservation')
    expect(device.paths[1]?.reason).toBe('')
    // It is tried again: nothing tells when it is let in.
    await host.clock.advance(6000)
    for (let n = 0; n < 6; n++) expect(await write(rig, [0, 1, 2])).toBe(0)
    expect(seenBy(rig).every((seen) => seen > 2)).toBe(true)
    expect(device.state).toBe('active')
  })

  it('is an error at once where it lets none in, and none stands back', async () => {
    const rig = await reserved(2)
    const { device } = rig
    for (let n = 0; n < 10; n++) expect(await write(rig, [])).toBe(CONFLICT)
    // The second path is asked once.
    expect(seenBy(rig).reduce((sum, one) => sum + one, 0)).toBe(11)
    expect(device.state).toBe('active')
    expect(device.paths.map(({ reason }) => reason)).toEqual(['', ''])
  })

  it('is an error at once where only the path kept out is left', async () => {
    const rig = await reserved(2)
    const { device, target } = rig
    expect(await write(rig, [1])).toBe(0)
    expect(await write(rig, [1])).toBe(0)
    target.path(1).fence = new Promise(() => {})
    send(device, IoOp.Read)
    target.path(1).complete(LOST)
    target.path(0).complete(0)
    expect(device.paths.map(({ state }) => state)).toEqual(['up', 'fencing'])
    expect(await write(rig, [1])).toBe(CONFLICT)
  })

  it('lets a path in that is registered through the device, at once', async () => {
    const rig = await reserved(2)
    const { device, host } = rig
    for (let n = 0; n < 4; n++) expect(await write(rig, [1])).toBe(0)
    expect(device.state).toBe('degraded')
    await host.clock.runUntil(device.sendCommand('toy', look))
    expect(device.state).toBe('degraded')
    await host.clock.runUntil(device.sendCommand('toy', reserve))
    expect(device.state).toBe('active')
    for (let n = 0; n < 4; n++) expect(await write(rig, [0, 1])).toBe(0)
    expect(seenBy(rig)[0]).toBeGreaterThan(2)
  })

  it('leaves no timer when the device is closed', async () => {
    const rig = await reserved(2)
    expect(await write(rig, [1])).toBe(0)
    expect(await write(rig, [1])).toBe(0)
    await rig.host.clock.runUntil(rig.device.close())
    expect(rig.host.clock.timers).toBe(0)
  })
})
