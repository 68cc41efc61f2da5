import { expect, it } from 'vitest'
import type { BlockDevice, Owed } from '../src/index.ts'
import { Errno, IoOp, IoSource, OK, userDevice } from '../src/index.ts'
import type { Sent } from './support/rig.ts'
import { FakeTarget, LIMITS, LOST, open, send } from './support/rig.ts'

const never = new Promise<void>(() => {})
const brief = { multipath: { noPathTimeout: 1000, ioTimeout: 0, reconnectDelay: 1, reconnectDelayMax: 1 } }

/** As `send`, over a connection. */
function sendFrom(device: BlockDevice, source: IoSource, op: IoOp, offset = 0, length = 512): Sent {
  return send(device, op, offset, length, 0, source)
}

/** Two paths; a write over the first one has ended with EIO, and nothing proves that it cannot come any more. */
async function afterEio() {
  const target = new FakeTarget(2)
  const rig = await open(2, brief, target)
  const { device, host } = rig
  let prove = (): void => {}
  target.path(0).fence = new Promise((resolve) => (prove = resolve))
  target.refuse.set('fake:0', 'silent')
  const first = send(device, IoOp.Write, 4096, 1024)
  target.path(0).complete(LOST)
  await host.clock.advance(1100)
  expect(first.status).toBe(Errno.EIO)
  return { ...rig, prove }
}

it('a write that ended with EIO does not come after a later one that was acknowledged: that one waits for the proof', async () => {
  const { device, target, host, prove } = await afterEio()
  const overlapping = send(device, IoOp.Write, 4608, 512)
  const beside = send(device, IoOp.Write, 5120, 512)
  const read = send(device, IoOp.Read, 4096, 512)
  target.path(1).complete()
  expect([overlapping.status, beside.status, read.status]).toEqual([undefined, OK, OK])
  expect(device.guards).toMatchObject([{ offset: 4096, length: 1024, reads: false, path: 'fake:0' }])
  prove()
  await host.clock.advance(1)
  target.path(1).complete()
  expect([overlapping.status, device.guards]).toEqual([OK, []])
})

it('what waits for a proof that does not come ends with EIO after noPathTimeout, and is never sent', async () => {
  const { device, target, host } = await afterEio()
  const changes = [IoOp.Write, IoOp.Trim, IoOp.WriteZeroes].map((op) => send(device, op, 4096, 512))
  await host.clock.advance(900)
  expect(changes.map(({ status }) => status)).toEqual([undefined, undefined, undefined])
  await host.clock.advance(200)
  expect(changes.map(({ status }) => status)).toEqual([Errno.EIO, Errno.EIO, Errno.EIO])
  expect(target.path(1).seen).toEqual([])
  expect([device.guards.length, device.inflight]).toEqual([1, 0])
})

it('pieces of a large write wait only where they overlap a guard', async () => {
  const { device, target, host, prove } = await afterEio()
  const user = userDevice(device, host.clock)
  const large = send(user, IoOp.Write, 0, 131_072)
  await host.clock.advance(1)
  expect(target.path(1).seen).toEqual([[IoOp.Write, 65_536, 65_536]])
  prove()
  await host.clock.advance(1)
  target.path(1).complete()
  expect(large.status).toBe(OK)
})

it('guards can be taken down on the word of an operator', async () => {
  const { device, target } = await afterEio()
  const waiting = send(device, IoOp.Write, 4096, 512)
  device.releaseGuards()
  target.path(1).complete()
  expect([waiting.status, device.guards]).toEqual([OK, []])
})

it('a device that is closed says what it leaves without a proof', async () => {
  const { device, host, prove } = await afterEio()
  void device.close()
  const owed = await host.clock.runUntil(device.leaves())
  expect(owed).toMatchObject([{ offset: 4096, length: 1024, path: 'fake:0' }])
  let proven = false
  void owed[0]!.proven.then(() => (proven = true))
  await host.clock.advance(10)
  expect(proven).toBe(false)
  prove()
  await host.clock.advance(10)
  expect(proven).toBe(true)
})

it('a write of a client that has gone is not tried again', async () => {
  const target = new FakeTarget(2)
  const { device, host } = await open(2, brief, target)
  const client = new IoSource(1)
  const sent = sendFrom(device, client, IoOp.Write)
  device.abandon!(client)
  target.path(0).complete(LOST)
  await host.clock.advance(2000)
  expect([sent.status, sent.times, target.path(1).seen]).toEqual([Errno.ECANCELED, 1, []])
})

it('what a client that has gone left in flight holds overlapping writes and reads of others until it has ended', async () => {
  const target = new FakeTarget(2)
  const { device, host } = await open(2, brief, target)
  const [gone, here] = [new IoSource(1), new IoSource(2)]
  sendFrom(device, gone, IoOp.Write, 0, 4096)
  device.abandon!(gone)
  const write = sendFrom(device, here, IoOp.Write, 512)
  const read = sendFrom(device, here, IoOp.Read, 1024)
  const beside = sendFrom(device, here, IoOp.Read, 4096)
  expect(target.path(1).held.length).toBe(1)
  target.path(1).complete()
  await host.clock.advance(100)
  expect([write.status, read.status, beside.status]).toEqual([undefined, undefined, OK])
  expect(device.guards).toMatchObject([{ offset: 0, length: 4096, reads: true }])
  target.path(0).complete()
  target.completeAll()
  expect([write.status, read.status, device.guards]).toEqual([OK, OK, []])
})

it('it also does while the path that it went through is not fenced', async () => {
  const target = new FakeTarget(2)
  const { device, host } = await open(2, brief, target)
  const [gone, here] = [new IoSource(1), new IoSource(2)]
  let prove = (): void => {}
  target.path(0).fence = new Promise((resolve) => (prove = resolve))
  target.refuse.set('fake:0', 'silent')
  const left = sendFrom(device, gone, IoOp.Write)
  target.path(0).complete(LOST)
  device.abandon!(gone)
  expect(left.status).toBe(Errno.ECANCELED)
  const write = sendFrom(device, here, IoOp.Write)
  const read = sendFrom(device, here, IoOp.Read)
  await host.clock.advance(500)
  expect(target.path(1).seen).toEqual([])
  prove()
  await host.clock.advance(1)
  target.path(1).complete()
  expect([write.status, read.status]).toEqual([OK, OK])
})

it('what waits of a client that has gone ends at once', async () => {
  const target = new FakeTarget(1)
  target.limits = { ...LIMITS, queueDepth: 1 }
  const { device, host } = await open(1, brief, target)
  const client = new IoSource(1)
  const all = [0, 512, 1024].map((offset) => sendFrom(device, client, IoOp.Write, offset))
  device.abandon!(client)
  expect(all.map(({ status }) => status)).toEqual([undefined, Errno.ECANCELED, Errno.ECANCELED])
  target.path(0).complete()
  await host.clock.advance(1)
  expect([all[0]!.status, target.path(0).seen.length]).toEqual([OK, 1])
})

it('a write of one connection waits for one of another that overlaps it, whose client may be the same and back', async () => {
  const target = new FakeTarget(2)
  const { device, host } = await open(2, brief, target)
  const [old, now] = [new IoSource(1), new IoSource(2)]
  const first = sendFrom(device, old, IoOp.Write, 0, 4096)
  const again = sendFrom(device, now, IoOp.Write, 0, 4096)
  const newer = sendFrom(device, now, IoOp.Write, 0, 512)
  expect([target.path(0).seen.length, target.path(1).seen.length]).toEqual([1, 0])
  // The old connection's path fails: it is done over the other one before what came later.
  target.path(0).complete(LOST)
  await host.clock.advance(1)
  expect(target.path(1).seen).toEqual([[IoOp.Write, 0, 4096]])
  target.path(1).complete()
  await host.clock.advance(1)
  expect(first.status).toBe(OK)
  for (let round = 0; round < 3; round++) target.completeAll()
  expect([again.status, newer.status]).toEqual([OK, OK])
})

it('it waits as long as that one is well, and for a bounded time once it is in trouble', async () => {
  const target = new FakeTarget(2)
  const { device, host } = await open(2, brief, target)
  const [old, now] = [new IoSource(1), new IoSource(2)]
  target.path(0).fence = never
  target.refuse.set('fake:0', 'silent')
  const first = sendFrom(device, old, IoOp.Write)
  const later = sendFrom(device, now, IoOp.Write)
  await host.clock.advance(5000)
  expect([first.status, later.status]).toEqual([undefined, undefined])
  target.path(0).complete(LOST)
  await host.clock.advance(1100)
  expect([first.status, later.status, target.path(1).seen]).toEqual([Errno.EIO, Errno.EIO, []])
})

it('what one connection has in flight at once is in no order, as ever', async () => {
  const { device, target } = await open(2, brief)
  const client = new IoSource(1)
  sendFrom(device, client, IoOp.Write)
  sendFrom(device, client, IoOp.Write)
  expect([target.path(0).held.length, target.path(1).held.length]).toEqual([1, 1])
})

it('a large write is one for those that overlap it, also where its pieces were not sent yet', async () => {
  const target = new FakeTarget(1)
  const { device, host } = await open(1, brief, target)
  const user = userDevice(device, host.clock)
  const [old, now] = [new IoSource(1), new IoSource(2)]
  const size = 16 * LIMITS.maxTransfer
  const large = sendFrom(user, old, IoOp.Write, 0, size)
  const last = sendFrom(user, now, IoOp.Write, size - 512)
  expect(target.path(0).seen.length).toBe(8)
  target.path(0).complete(OK, 1)
  await host.clock.advance(1)
  expect(last.status).toBeUndefined()
  for (let round = 0; round < 20 && large.status === undefined; round++) target.path(0).complete()
  expect([large.status, last.status]).toEqual([OK, undefined])
  target.path(0).complete()
  expect(last.status).toBe(OK)
  expect(target.path(0).seen.at(-1)).toEqual([IoOp.Write, size - 512, 512])
})

it('no more pieces of a large write are sent once its client has gone', async () => {
  const target = new FakeTarget(1)
  const { device, host } = await open(1, brief, target)
  const user = userDevice(device, host.clock)
  const client = new IoSource(1)
  const large = sendFrom(user, client, IoOp.Write, 0, 16 * LIMITS.maxTransfer)
  user.abandon!(client)
  target.path(0).complete()
  await host.clock.advance(1)
  expect([target.path(0).seen.length, large.status]).toEqual([8, Errno.ECANCELED])
})

it('a write whose promise was aborted is not tried again, and later ones wait for it', async () => {
  const target = new FakeTarget(2)
  const { device, host } = await open(2, brief, target)
  const user = userDevice(device, host.clock)
  const stop = new AbortController()
  const aborted = user.write(0, new Uint8Array(512), undefined).catch(() => {})
  target.completeAll()
  await aborted
  const write = user.write(0, new Uint8Array(512).fill(1), { signal: stop.signal })
  stop.abort()
  await expect(write).rejects.toMatchObject({ code: 'ABORTED' })
  const later = send(user, IoOp.Write)
  expect(target.path(0).held.length + target.path(1).held.length).toBe(1)
  target.completeAll()
  await host.clock.advance(1)
  target.completeAll()
  expect(later.status).toBe(OK)
})

it('what a process before may have left in flight holds every I/O of its range until it is proven', async () => {
  let prove = (): void => {}
  const owed: Owed = {
    offset: 0,
    length: Number.POSITIVE_INFINITY,
    path: 'fake:9',
    reason: () => 'process 7 may have left a change in flight',
    proven: new Promise((resolve) => (prove = resolve)),
    waive() {},
  }
  const { device, target, host } = await open(1, { ...brief, owed: [owed] })
  const sent = [send(device, IoOp.Read), send(device, IoOp.Write), send(device, IoOp.Trim, 4096)]
  await host.clock.advance(500)
  expect(target.path(0).seen).toEqual([])
  expect(device.guards).toMatchObject([{ offset: 0, path: 'fake:9', reads: true, reason: owed.reason() }])
  prove()
  await host.clock.advance(1)
  target.path(0).complete()
  expect(sent.map(({ status }) => status)).toEqual([OK, OK, OK])
})

it('what it has only left in a cache holds nothing, and is not listed', async () => {
  const owed: Owed = { offset: 0, length: 0, path: 'fake:9', reason: () => '', proven: never, waive() {} }
  const { device, target } = await open(1, { ...brief, owed: [owed] })
  const write = send(device, IoOp.Write)
  target.completeAll()
  expect([write.status, device.guards]).toEqual([OK, []])
})

it('where that is never proven I/O ends with EIO, as long as nobody answers for it', async () => {
  let waived = 0
  const owed: Owed = {
    offset: 512,
    length: 512,
    path: 'fake:9',
    reason: () => '',
    proven: never,
    waive: () => waived++,
  }
  const { device, target, host } = await open(1, { ...brief, owed: [owed] })
  const [held, beside] = [send(device, IoOp.Read, 512), send(device, IoOp.Write)]
  target.path(0).complete()
  await host.clock.advance(1100)
  expect([held.status, beside.status]).toEqual([Errno.EIO, OK])
  device.releaseGuards()
  const after = send(device, IoOp.Read, 512)
  target.path(0).complete()
  expect([after.status, waived]).toEqual([OK, 1])
})

it('a chain of changes that wait for each other, longer than the stack is deep, is bounded by the trouble of the first', async () => {
  const target = new FakeTarget(2)
  target.limits = { ...LIMITS, size: 2 ** 30 }
  target.infos = target.infos.map((info) => ({ ...info, size: 2 ** 30 }))
  const { device, host } = await open(2, brief, target)
  const sources = [new IoSource(0), new IoSource(0)] as const
  const sent: Sent[] = []
  for (let at = 0; at < 20_000; at++) sent.push(sendFrom(device, sources[at & 1]!, IoOp.Trim, at * 512, 1024))
  expect([target.path(0).held.length, target.path(1).held.length]).toEqual([1, 0])
  target.path(0).complete(LOST)
  await host.clock.advance(1)
  // The first goes on elsewhere, and the second when that is done.
  target.path(1).complete()
  expect(sent.slice(0, 3).map(({ status }) => status)).toEqual([OK, undefined, undefined])
  target.completeAll()
  expect([sent[1]!.status, device.inflight - device.parked]).toEqual([OK, 1])
})
