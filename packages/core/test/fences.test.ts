import { describe, expect, it } from 'vitest'
import type { FencedDetail, FenceProof, PathStatus } from '../src/index.ts'
import { IoOp, OK } from '../src/index.ts'
import { FakeTarget, LOST, open, send } from './support/rig.ts'

const TIME: FenceProof = { by: 'time', assumed: true, took: 12_345 }
const DISABLED: FenceProof = { by: 'controller disabled', assumed: false, took: 12.4 }

/** Two paths whose fence the test settles. */
async function openFenced() {
  const target = new FakeTarget(2)
  target.prepare = (path) => {
    path.fenceBy = { by: 'time', assumed: true }
  }
  const rig = await open(2, { multipath: { reconnectDelay: 10_000, reconnectDelayMax: 10_000 } }, target)
  const told: FencedDetail[] = []
  const seen: PathStatus[] = []
  rig.device.events.on('fenced', (detail) => told.push(detail))
  rig.device.events.on('path', (status) => seen.push(status))
  /** Loses a path; what is returned gives its proof. */
  const lose = (index: number): ((proof?: FenceProof) => Promise<void>) => {
    const path = target.path(index)
    let settle = (): void => {}
    path.fence = new Promise((resolve) => {
      settle = resolve
    })
    target.refuse.set(path.id, 'still gone')
    path.events.emit('down', new Error('cable pulled'))
    return async (proof) => {
      if (proof !== undefined) path.fencedBy = proof
      settle()
      await rig.host.clock.advance(1)
    }
  }
  return { ...rig, told, seen, lose }
}

describe('a path that is up', () => {
  it('tells how it would be fenced', async () => {
    const { device } = await openFenced()
    expect(device.paths[0]).toMatchObject({ state: 'up', reason: '', fence: { by: 'time', assumed: true } })
    expect(device.paths[0]).not.toHaveProperty('fenced')
    expect(device.paths[0]).not.toHaveProperty('fences')
  })

  it('tells nothing of a fence where it does not know', async () => {
    const { device } = await open(1)
    expect(device.paths[0]).not.toHaveProperty('fence')
  })
})

describe('a path that is fenced', () => {
  it('says what it waits for, and then what it was and how long it took', async () => {
    const { device, target, told, seen, lose } = await openFenced()
    send(device, IoOp.Write)
    const prove = lose(0)
    target.path(0).complete(LOST)
    expect(device.paths[0]).toMatchObject({
      state: 'fencing',
      reason: 'cable pulled; waits for its fence: time, assumed',
      fence: { by: 'time', assumed: true },
    })
    expect(told).toEqual([])
    await prove(TIME)
    expect(device.paths[0]).toMatchObject({
      state: 'waiting',
      reason: 'cable pulled; fenced after 12.3 s: time, assumed',
      fenced: TIME,
      fences: { time: 1 },
    })
    expect(device.paths[0]).not.toHaveProperty('fence')
    expect(told).toEqual([{ ...TIME, path: 'fake:0' }])
    expect(seen.at(-1)?.reason).toBe('cable pulled; fenced after 12.3 s: time, assumed')
  })

  it('says nothing of it where nothing that was sent could change data', async () => {
    const { device, target, lose } = await openFenced()
    send(device, IoOp.Read)
    lose(0)
    target.path(0).complete(LOST)
    expect(device.paths[0]).toMatchObject({ state: 'fencing', reason: 'cable pulled' })
  })

  it('that waits for another proof than before says so', async () => {
    const { device, target, lose } = await openFenced()
    send(device, IoOp.Write)
    lose(0)
    target.path(0).complete(LOST)
    target.path(0).fenceBy = { by: 'cross-controller reset', assumed: false }
    expect(device.paths[0]?.reason).toBe('cable pulled; waits for its fence: cross-controller reset')
  })

  it('says why its proof has failed so far', async () => {
    const { device, target, lose } = await openFenced()
    send(device, IoOp.Write)
    const prove = lose(0)
    target.path(0).complete(LOST)
    target.path(0).fenceFailure = new Error('the login was refused')
    expect(device.paths[0]?.reason).toBe(
      'cable pulled; waits for its fence, which has failed so far: the login was refused',
    )
    await prove(DISABLED)
    expect(device.paths[0]?.reason).toBe('cable pulled; fenced after 12 ms: controller disabled')
  })

  it('counts its proofs by what they were, also when it is up again', async () => {
    const { device, target, host, lose } = await openFenced()
    for (const proof of [DISABLED, DISABLED, TIME]) {
      await lose(0)(proof)
      target.refuse.clear()
      device.restorePath('fake:0')
      await host.clock.advance(1)
      expect(device.paths[0]).toMatchObject({ state: 'up', reason: '', fenced: proof })
    }
    expect(device.paths[0]?.fences).toEqual({ 'controller disabled': 2, time: 1 })
  })

  it('and tells no proof has none', async () => {
    const { device, told, lose } = await openFenced()
    await lose(0)()
    expect(device.paths[0]?.reason).toBe('cable pulled')
    expect(device.paths[0]).not.toHaveProperty('fenced')
    expect(told).toEqual([])
  })

  it('is told of when the write that waited for it has moved on', async () => {
    const { device, target, lose, host } = await openFenced()
    const sent = send(device, IoOp.Write)
    const moved: number[] = []
    device.events.on('fenced', () => moved.push(target.path(1).held.length))
    const prove = lose(0)
    target.path(0).complete(LOST)
    await host.clock.advance(1000)
    expect(target.path(1).held).toHaveLength(0)
    await prove(DISABLED)
    expect(moved).toEqual([1])
    target.path(1).complete()
    expect(sent.status).toBe(OK)
  })
})
