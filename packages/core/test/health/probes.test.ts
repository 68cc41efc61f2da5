import { expect, it } from 'vitest'
import { open, send } from '../support/rig.ts'

it('a demoted path that hangs has one probe in flight, and the next when that is back', async () => {
  const { device, target, host } = await open(2, { multipath: { keepAlive: 0, slow: { time: 1000, ios: 5 } } })
  const [well, slow] = [target.path(0), target.path(1)]
  for (let turn = 0; turn < 2000; turn++) {
    for (let count = 0; count < 2; count++) send(device)
    await host.clock.advance(1)
    well.complete()
    if (turn % 60 === 59) slow.complete()
  }
  slow.complete()
  expect(device.paths.map(({ health }) => health)).toEqual([undefined, 'demoted'])
  await host.clock.advance(3_600_000)
  expect([slow.held.length, device.paths[1]?.state]).toEqual([1, 'up'])
  const { length } = slow.seen
  slow.complete()
  await host.clock.advance(250)
  expect(slow.seen.length).toBe(length + 1)
  slow.auto = true
  slow.complete()
  await host.clock.advance(60_000)
  expect(device.paths.map(({ health }) => health)).toEqual([undefined, undefined])
})
