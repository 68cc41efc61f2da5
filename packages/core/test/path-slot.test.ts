import { expect, it } from 'vitest'
import { Errno, IoOp, OK } from '../src/index.ts'
import { FakeTarget, LOST, open, openGuarded, send } from './support/rig.ts'

const state = async (p: Promise<unknown>): Promise<string> => {
  let s = 'pending'
  p.then(
    () => (s = 'done'),
    () => (s = 'rejected'),
  )
  await new Promise((r) => setImmediate(r))
  return s
}
it('failPath settles when the path is removed while it is fencing', async () => {
  const { device, target, host } = await open(2)
  let fenced: () => void = () => {}
  target.path(0).fence = new Promise((r) => (fenced = r))
  const failing = device.failPath('fake:0')
  const removing = device.removePath('fake:0')
  fenced()
  await host.clock.advance(100)
  expect(await state(removing)).toBe('done')
  expect(await state(failing)).toBe('done')
})
it('failPath settles when the device is closed while the path is fencing', async () => {
  const { device, target, host } = await open(2)
  let fenced: () => void = () => {}
  target.path(0).fence = new Promise((r) => (fenced = r))
  const failing = device.failPath('fake:0')
  const closing = device.close()
  fenced()
  await host.clock.runUntil(closing)
  expect(await state(failing)).toBe('done')
})
for (let turns = 0; turns <= 12; turns++) {
  it(`a path removed ${turns} microtasks after it connected goes away`, async () => {
    const target = new FakeTarget(2)
    target.refuse.set('fake:1', 'down')
    const { device, host } = await open(2, { multipath: { reconnectDelay: 10, reconnectDelayMax: 10 } }, target)
    target.refuse.clear()
    let removing: Promise<void> | undefined
    target.prepare = (p) => {
      if (p.id !== 'fake:1') return
      target.prepare = () => {}
      void (async () => {
        for (let i = 0; i < turns; i++) await null
        removing = device.removePath('fake:1')
      })()
    }
    await host.clock.advance(2000)
    expect(await state(removing!)).toBe('done')
    expect(device.paths.map(({ id }) => id)).toEqual(['fake:0'])
  })
  it(`failPath ${turns} microtasks after the path connected takes it out`, async () => {
    const target = new FakeTarget(2)
    target.refuse.set('fake:1', 'down')
    const { device, host } = await open(2, { multipath: { reconnectDelay: 10, reconnectDelayMax: 10 } }, target)
    target.refuse.clear()
    let failing: Promise<void> | undefined
    target.prepare = (p) => {
      if (p.id !== 'fake:1') return
      target.prepare = () => {}
      void (async () => {
        for (let i = 0; i < turns; i++) await null
        failing = device.failPath('fake:1')
      })()
    }
    await host.clock.advance(2000)
    expect(device.paths[1]?.state).toBe('disabled')
    expect(await state(failing!)).toBe('done')
  })
}
// Before that the target has not handed the path out yet: its `connect` should have failed.
for (let turns = 2; turns <= 12; turns++) {
  it(`a path that goes down ${turns} microtasks after it connected is noticed`, async () => {
    const target = new FakeTarget(2)
    target.refuse.set('fake:1', 'down')
    const { device, host } = await open(2, { multipath: { reconnectDelay: 10, reconnectDelayMax: 10 } }, target)
    target.refuse.clear()
    target.prepare = (p) => {
      if (p.id !== 'fake:1') return
      target.prepare = () => {}
      target.refuse.set('fake:1', 'down')
      void (async () => {
        for (let i = 0; i < turns; i++) await null
        p.events.emit('down', new Error('reset'))
      })()
    }
    await host.clock.advance(2000)
    expect(device.paths[1]?.state).not.toBe('up')
  })
}
it('a listener that throws does not stop a path from being fenced', async () => {
  const { device, target, host, thrown } = await openGuarded(2)
  device.events.on('path', ({ state }) => {
    if (state === 'fencing') throw new Error('listener')
  })
  const sent = send(device, IoOp.Write)
  target.path(0).complete(LOST)
  await host.clock.advance(1000)
  target.path(1).complete()
  expect(sent.status).toBe(OK)
  expect(thrown).toEqual(['listener'])
})
it('after an aborted close nothing of the device goes on for ever', async () => {
  const { device, target, host } = await open(1)
  target.path(0).close = async () => {
    throw new Error('no fence')
  }
  await host.clock.runUntil(device.close({ signal: AbortSignal.abort() }))
  await host.clock.advance(600_000)
  expect(host.clock.timers).toBe(0)
})
it('restorePath does not abort a connect that is under way', async () => {
  const target = new FakeTarget(2)
  target.refuse.set('fake:1', 'down')
  const { device, host } = await open(2, { multipath: { reconnectDelay: 10, reconnectDelayMax: 10 } }, target)
  target.refuse.clear()
  const connect = target.connect.bind(target)
  target.connect = async (info) => {
    await new Promise<void>((r) => host.clock.after(500, r))
    return connect(info)
  }
  for (let i = 0; i < 10; i++) {
    await host.clock.advance(300)
    device.restorePath('fake:1')
  }
  expect(device.state).toBe('active')
})
it('close with a signal hurries a close without one', async () => {
  const { device, target, host } = await open(1)
  target.refuse.set('fake:0', 'down')
  target.path(0).events.emit('down', new Error('gone'))
  const parked = send(device, IoOp.Write)
  void device.close()
  await host.clock.advance(10)
  const second = device.close({ signal: AbortSignal.abort() })
  expect(await state(second)).toBe('done')
  expect(parked.status).toBe(Errno.ESHUTDOWN)
})
it('a path offered again and withdrawn again while it is fenced does not come back', async () => {
  const { device, target, host } = await open(2)
  let fenced: () => void = () => {}
  target.path(0).fence = new Promise((r) => (fenced = r))
  void device.removePath('fake:0')
  device.addPath(target.sources[0]!)
  void device.removePath('fake:0')
  fenced()
  await host.clock.advance(100)
  expect(device.paths.map(({ id }) => id)).toEqual(['fake:1'])
})
it('an unreachable identity check close does not hang the open for ever', async () => {
  const target = new FakeTarget(1)
  target.prepare = (p) => {
    p.volume = 'naa.60000000000000000000000000000099'
    p.fence = new Promise(() => {})
  }
  const opening = open(1, {}, target)
  opening.catch(() => {})
  let s = 'pending'
  await Promise.race([
    opening.then(
      () => (s = 'ok'),
      () => (s = 'rejected'),
    ),
    new Promise((r) => setTimeout(r, 1500)),
  ])
  await expect(opening).rejects.toMatchObject({ code: 'NO_PATH' })
  void s
})
