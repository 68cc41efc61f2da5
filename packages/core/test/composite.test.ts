import { expect, it } from 'vitest'
import type { BlockDevice } from '../src/index.ts'
import { IoOp, OK, openMultipath, userDevice } from '../src/index.ts'
import { FakeTarget, inTurn, LIMITS, open, send, VOLUME, virtualHost } from './support/rig.ts'

it('WriteZeroes of a large range on a device without it neither throws nor allocates by length', async () => {
  const device: BlockDevice = {
    limits: { ...LIMITS, size: 2 ** 52, writeZeroes: false },
    submit: (io) => queueMicrotask(() => io.done(io, 5)),
    close: async () => {},
  }
  const sent = (): unknown => send(userDevice(device), IoOp.WriteZeroes, 0, 2 ** 52)
  expect(sent).not.toThrow()
})
it('memory per WriteZeroes of 1 TiB', async () => {
  const device: BlockDevice = {
    limits: { ...LIMITS, size: 2 ** 40, writeZeroes: false },
    submit: () => {},
    close: async () => {},
  }
  const user = userDevice(device)
  const before = process.memoryUsage().heapUsed
  send(user, IoOp.WriteZeroes, 0, 2 ** 40)
  const cost = process.memoryUsage().heapUsed - before
  console.log('heap per 1 TiB WriteZeroes', cost)
  expect(cost).toBeLessThan(1e6)
})
it('a large I/O that was accepted before close() ends as it would have', async () => {
  const { device, target, host } = await open(1)
  const user = userDevice(device, host.clock)
  const sent = send(user, IoOp.Write, 0, LIMITS.size) // 16 pieces, 8 at once
  const closing = user.close()
  for (let i = 0; i < 20; i++) {
    await host.clock.advance(1)
    target.completeAll()
  }
  await host.clock.runUntil(closing)
  expect(sent.status).toBe(OK)
})
it('limits that shrink under way: later pieces fit', async () => {
  const target = new FakeTarget(2)
  target.refuse.set('fake:1', 'x')
  target.prepare = (p) => {
    if (p.id === 'fake:1') p.limits = { ...LIMITS, maxTransfer: 4096 }
  }
  const host = virtualHost(1)
  const device = await host.clock.runUntil(openMultipath(VOLUME, target.sources, { host, selector: inTurn }))
  const user = userDevice(device, host.clock)
  const sent = send(user, IoOp.Write, 0, LIMITS.size)
  target.refuse.clear()
  await host.clock.advance(1000)
  expect(device.limits.maxTransfer).toBe(4096)
  for (let i = 0; i < 40; i++) {
    await host.clock.advance(1)
    target.completeAll()
  }
  expect(target.path(1).seen.filter(([, , length]) => length > 4096)).toEqual([])
  void sent
})
it('fractions that add up are refused', async () => {
  const { device, host, target } = await open(1)
  const sent = send(userDevice(device, host.clock), IoOp.Trim, 0.5, 512.5)
  await host.clock.advance(1)
  expect([sent.status, target.path(0).seen.length]).toEqual([22, 0])
})
