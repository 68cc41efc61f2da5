import { expect, it } from 'vitest'
import { FakeTarget, open } from './support/rig.ts'

const alone = { multipath: { keepAlive: 0, flapping: false } } as const

it('a path that was never up and is removed is waited for by no failover, however often that happens', async () => {
  const target = new FakeTarget(1)
  const { device, host } = await open(1, alone, target)
  const info = { ...(target.infos[0] as (typeof target.infos)[0]), id: 'fake:9' }
  target.refuse.set(info.id, 'refused')
  for (let turn = 0; turn < 5; turn++) {
    device.addPath({ target, info })
    await host.clock.advance(50)
    expect(device.failovers.at(-1)).toMatchObject({ open: ['fake:9'], ended: undefined })
    await host.clock.runUntil(device.removePath(info.id))
  }
  expect(device.failovers.at(-1)).toMatchObject({ open: [], ended: expect.any(Number) })
})

it('the newest failover is kept, though 32 older ones are not over', async () => {
  const { device, host } = await open(34, alone)
  for (let index = 0; index < 33; index++) {
    await host.clock.runUntil(device.failPath(`fake:${index}`))
    await host.clock.advance(61_000)
  }
  expect(device.failovers.length).toBe(32)
  expect(device.failovers.at(-1)?.open).toEqual(['fake:32'])
})
