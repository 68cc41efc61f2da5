import { expect, it } from 'vitest'
import type { DeviceLimits, IoStatus, LimitsDetail } from '../src/index.ts'
import { Errno, IoOp, OK, userDevice } from '../src/index.ts'
import type { FakePath, Rig } from './support/rig.ts'
import { FakeTarget, LIMITS, LOST, open, REFUSED, send } from './support/rig.ts'

const READ_ONLY = { ...LIMITS, readOnly: true }
const STANDS_BACK = 'write protected: takes no I/O while other paths are writable'

/** Paths that end every Io at once; those whose limits are given apart tell those. */
async function openQuick(limits: readonly (DeviceLimits | undefined)[], multipath = {}) {
  const target = new FakeTarget(limits.length)
  target.prepare = (path) => {
    path.auto = true
    path.limits = limits[Number(path.id.slice(-1))] ?? LIMITS
  }
  const rig = await open(limits.length, { multipath }, target)
  const told: LimitsDetail[] = []
  rig.device.events.on('limits', (detail) => told.push(detail))
  const user = userDevice(rig.device, rig.host.clock)
  const write = (): Promise<IoStatus> => rig.host.clock.runUntil(send(user, IoOp.Write).ended)
  const read = (): Promise<IoStatus> => rig.host.clock.runUntil(send(user, IoOp.Read).ended)
  return { ...rig, user, told, write, read }
}

function tell(path: FakePath, changes: Partial<DeviceLimits>): void {
  path.limits = { ...path.limits, ...changes }
  path.events.emit('limits', path.limits)
}

/** From now on the array refuses changes through it, and its path does not say so. */
function refuseWrites(path: FakePath): void {
  const { submit } = path
  path.submit = (io) => {
    if (io.op === IoOp.Read) return submit.call(path, io)
    path.seen.push([io.op, io.offset, io.length])
    queueMicrotask(() => io.done(io, Errno.EROFS))
  }
}

const reasons = ({ device }: Rig): string[] => device.paths.map(({ reason }) => reason)

it('a write-protected path that joins leaves the device writable, takes no I/O, and says why', async () => {
  const rig = await openQuick([undefined, READ_ONLY])
  const { device, target, write, read } = rig
  expect(device.limits.readOnly).toBe(false)
  for (let count = 0; count < 4; count++) expect([await write(), await read()]).toEqual([OK, OK])
  expect(target.path(1).seen).toEqual([])
  expect([device.state, ...reasons(rig)]).toEqual(['degraded', '', STANDS_BACK])
  const paths: string[] = []
  device.events.on('path', ({ id, state, reason }) => paths.push(`${id} ${state} ${reason}`))
  tell(target.path(1), { readOnly: false })
  expect(paths).toContain('fake:1 up ')
  expect([device.state, ...reasons(rig)]).toEqual(['active', '', ''])
  for (let count = 0; count < 4; count++) await write()
  expect(target.path(1).seen.length).toBe(2)
})

it('a better path that is write-protected does not keep changes from a worse one', async () => {
  const { target, write, device } = await openQuick([undefined, READ_ONLY])
  target.path(0).setAccess('non-optimized')
  expect([await write(), device.limits.readOnly]).toEqual([OK, false])
})

it('a path through which nothing may be changed does not narrow what the others do', async () => {
  const { device } = await openQuick([undefined, { ...READ_ONLY, trim: false, writeZeroes: false, fua: false }])
  expect(device.limits).toMatchObject({ trim: true, writeZeroes: true, fua: true, readOnly: false })
})

it('the device is read-only once every path is, and says so once, both ways', async () => {
  const rig = await openQuick([undefined, undefined])
  const { device, target, told, write, read } = rig
  tell(target.path(0), { readOnly: true })
  expect([device.limits.readOnly, await write()]).toEqual([false, OK])
  tell(target.path(1), { readOnly: true })
  expect([device.limits.readOnly, await write(), await read()]).toEqual([true, Errno.EPERM, OK])
  expect([device.state, ...reasons(rig)]).toEqual(['active', '', ''])
  tell(target.path(0), { readOnly: false })
  expect([device.limits.readOnly, await write()]).toEqual([false, OK])
  expect(told.map(({ limits, before, path }) => [before.readOnly, limits.readOnly, path])).toEqual([
    [false, true, 'fake:1'],
    [true, false, 'fake:0'],
  ])
})

it('a change that one path refuses as write protected is done through another one', async () => {
  const rig = await openQuick([undefined, undefined])
  const { target, write, read, host, device } = rig
  refuseWrites(target.path(0))
  for (let count = 0; count < 6; count++) expect([await write(), await read()]).toEqual([OK, OK])
  // It is asked once, and then left out for a while.
  expect(target.path(0).seen.length).toBe(1)
  expect(reasons(rig)).toEqual([STANDS_BACK, ''])
  await host.clock.advance(10_000)
  expect([device.state, ...reasons(rig)]).toEqual(['active', '', ''])
  for (let count = 0; count < 2; count++) expect(await write()).toBe(OK)
  expect(target.path(0).seen.length).toBe(2)
  // What it tells counts at once.
  tell(target.path(0), { maxTransfer: 32768 })
  expect(reasons(rig)).toEqual(['', ''])
})

it('a change that every path refuses as write protected ends with that at once, and no path is blamed', async () => {
  const { device, target, write, host } = await openQuick([undefined, undefined])
  refuseWrites(target.path(0))
  refuseWrites(target.path(1))
  const begun = host.clock.now()
  expect([await write(), await write()]).toEqual([Errno.EROFS, Errno.EROFS])
  expect(host.clock.now() - begun).toBeLessThan(1_000_000)
  expect(device.paths.map(({ state, failures, reason }) => [state, failures, reason])).toEqual(
    Array(2).fill(['up', 0, '']),
  )
})

it('while the writable path is away changes wait and reads go on, for noPathTimeout; then the device is read-only', async () => {
  const { device, target, told, user, host, read, write } = await openQuick([undefined, READ_ONLY])
  target.path(0).complete(LOST)
  target.refuse.set('fake:0', 'no cable')
  target.path(0).events.emit('down', new Error('no cable'))
  const soon = send(user, IoOp.Write)
  expect(await read()).toBe(OK)
  await host.clock.advance(5000)
  expect([soon.status, device.limits.readOnly, device.parked]).toEqual([undefined, false, 1])
  target.refuse.clear()
  expect(await host.clock.runUntil(soon.ended)).toBe(OK)

  target.refuse.set('fake:0', 'no cable')
  target.path(0).events.emit('down', new Error('no cable'))
  await host.clock.advance(1000)
  const late = [send(user, IoOp.Write), send(user, IoOp.Write)]
  await host.clock.advance(29_500)
  expect(late.map(({ status }) => status)).toEqual([Errno.EPERM, Errno.EPERM])
  expect([device.limits.readOnly, await read(), await write()]).toEqual([true, OK, Errno.EPERM])
  target.refuse.clear()
  await host.clock.advance(20_000)
  expect([device.limits.readOnly, await write()]).toEqual([false, OK])
  expect(told.map(({ limits }) => limits.readOnly)).toEqual([true, false])
})

it('a writable path that is busy for a moment leaves no change to one that is write-protected', async () => {
  const { device, target, user, host } = await openQuick([undefined, READ_ONLY])
  target.path(0).auto = false
  const first = send(user, IoOp.Write)
  target.path(0).complete(REFUSED)
  const second = send(user, IoOp.Write)
  await host.clock.advance(50)
  expect([first.status, second.status, device.limits.readOnly]).toEqual([undefined, undefined, false])
  target.path(0).auto = true
  await host.clock.advance(200)
  expect([first.status, second.status]).toEqual([OK, OK])
  expect(target.path(1).seen).toEqual([])
})

it('a path that was taken out by hand, or has gone, is not waited for', async () => {
  const { device, host, write } = await openQuick([undefined, READ_ONLY])
  await host.clock.runUntil(device.failPath('fake:0'))
  expect([device.limits.readOnly, await write()]).toEqual([true, Errno.EPERM])
  device.restorePath('fake:0')
  await host.clock.advance(1000)
  expect([device.limits.readOnly, await write()]).toEqual([false, OK])
  await host.clock.runUntil(device.removePath('fake:0'))
  expect([device.limits.readOnly, await write()]).toEqual([true, Errno.EPERM])
})

it('what one path tells first the others are asked for at once', async () => {
  const { device, target } = await openQuick([undefined, undefined, undefined])
  const asked: string[] = []
  for (const path of target.paths.values()) {
    Object.assign(path, {
      lookAgain: () => {
        asked.push(path.id)
        queueMicrotask(() => {
          if (path.limits.size !== 2 * LIMITS.size) tell(path, { size: 2 * LIMITS.size })
        })
      },
    })
  }
  tell(target.path(1), { size: 2 * LIMITS.size })
  expect(device.limits.size).toBe(LIMITS.size)
  await Promise.resolve()
  await Promise.resolve()
  expect(device.limits.size).toBe(2 * LIMITS.size)
  expect(asked.filter((id) => id === 'fake:1')).toEqual([])
})

it('what a path tells when it connects the others are asked for at once, and then it joins', async () => {
  const { device, target, host } = await openQuick([undefined, undefined])
  const grown = { ...LIMITS, size: 2 * LIMITS.size }
  Object.assign(target.path(0), { lookAgain: () => tell(target.path(0), grown) })
  target.prepare = (path) => Object.assign(path, { auto: true, limits: grown })
  target.path(1).events.emit('down', new Error('x'))
  await host.clock.advance(1000)
  expect([device.limits.size, device.state]).toEqual([grown.size, 'active'])
})

it.each([
  ['writeCache', { writeCache: false }],
  ['fua', { fua: false }],
  ['trim', { trim: false }],
  ['writeZeroes', { writeZeroes: false }],
  ['maxTransfer', { maxTransfer: 4096 }],
] as const)('a change of %s is told, as that of one path, and back', async (field, changes) => {
  const { target, told, device, write, host } = await openQuick([undefined, undefined])
  tell(target.path(1), changes)
  // The cache is off once both say so.
  if (field === 'writeCache') tell(target.path(0), changes)
  await host.clock.advance(10)
  expect(await write()).toBe(OK)
  expect(told.map(({ limits, before }) => [before[field], limits[field]])).toEqual([
    [LIMITS[field], changes[field as never]],
  ])
  tell(target.path(1), LIMITS)
  await host.clock.advance(10)
  expect(device.limits[field]).toBe(LIMITS[field])
  expect(await write()).toBe(OK)
})

it('paths that come and go are no change of limits', async () => {
  const { target, told, host } = await openQuick([undefined, undefined])
  target.path(1).events.emit('down', new Error('x'))
  await host.clock.advance(1000)
  expect(told).toEqual([])
})

it('a device that waits for a path that takes changes leaves no timer when it is closed', async () => {
  const target = new FakeTarget(3)
  const { device, host } = await open(3, {}, target)
  target.refuse.set('fake:2', 'gone')
  for (const index of [0, 1]) {
    const path = target.path(index)
    path.limits = { ...LIMITS, readOnly: true }
    path.events.emit('limits', path.limits)
  }
  target.path(2).events.emit('down', new Error('gone'))
  await host.clock.advance(500)
  expect(device.limits.readOnly).toBe(false)
  await device.close()
  expect(host.clock.timers).toBe(0)
})
