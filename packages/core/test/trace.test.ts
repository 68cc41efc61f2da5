import type { TraceDone, TracePick, TraceRecord, TraceWait } from '@blockbraid/testkit'
import { readTrace } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import type { MultipathDevice, PathSelector, PathView } from '../src/index.ts'
import { Errno, IoFlag, IoOp, OK } from '../src/index.ts'
import { LOST, open, openGuarded, send, VOLUME } from './support/rig.ts'

/** Keeps what it is given; `room` is how many chunks it still takes. */
class Sink {
  chunks: Uint8Array[] = []
  ended = 0
  room = Number.POSITIVE_INFINITY

  write(chunk: Uint8Array): boolean {
    if (this.room-- <= 0) return false
    this.chunks.push(chunk.slice())
    return true
  }

  end(): void {
    this.ended++
  }

  records(): TraceRecord[] {
    return [...readTrace(Buffer.concat(this.chunks))]
  }
}

const only = <Kind extends TraceRecord['kind']>(records: readonly TraceRecord[], kind: Kind) =>
  records.filter((record): record is Extract<TraceRecord, { kind: Kind }> => record.kind === kind)

function traced(device: MultipathDevice): { sink: Sink; stop: () => TraceRecord[] } {
  const sink = new Sink()
  device.trace(sink, { wall: 1_800_000_000_000 })
  return {
    sink,
    stop() {
      device.trace(undefined)
      return sink.records()
    },
  }
}

it('a trace tells of each I/O the candidates with the numbers that the policy saw, the choice, and how it ended', async () => {
  const { device, target, host } = await open(2)
  const { sink, stop } = traced(device)
  send(device, IoOp.Write, 2 ** 19, 4096, IoFlag.Fua)
  await host.clock.advance(3)
  send(device, IoOp.Read, 512, 1024)
  target.path(1).complete()
  await host.clock.advance(2)
  target.path(0).complete()
  const records = stop()
  expect(records[0]).toMatchObject({ kind: 'start', wall: 1_800_000_000_000, volume: VOLUME })
  expect(only(records, 'path').map(({ path, target, address, weight }) => [path, target, address, weight])).toEqual([
    ['fake:0', 'fake', 'port0', 1],
    ['fake:1', 'fake', 'port1', 1],
  ])
  const [write, read] = only(records, 'pick') as [TracePick, TracePick]
  expect(write).toMatchObject({ op: IoOp.Write, flags: IoFlag.Fua, offset: 2 ** 19, length: 4096, policy: 'in-turn' })
  expect(write).toMatchObject({ wanted: 'fake:0', taken: 'fake:0', count: 2 })
  expect(write.candidates.map(({ path, numbers }) => [path, numbers['inflight'], numbers['queueDepth']])).toEqual([
    ['fake:0', 0, 64],
    ['fake:1', 0, 64],
  ])
  expect(read).toMatchObject({ op: IoOp.Read, offset: 512, length: 1024, wanted: 'fake:1' })
  expect(read.candidates[0]?.numbers).toMatchObject({ inflight: 1, inflightBytes: 4096 })
  expect(read.time - write.time).toBe(3000)
  const done = only(records, 'done') as TraceDone[]
  expect(done.map(({ io, path, status }) => [io, path, status])).toEqual([
    [read.io, 'fake:1', OK],
    [write.io, 'fake:0', OK],
  ])
  expect((done[1] as TraceDone).time - write.time).toBe(5000)
  expect(records.at(-1)).toMatchObject({ kind: 'end', why: 'it was ended' })
  expect(sink.ended).toBe(1)
})

it('what fails, waits and moves stands in the trace under the number of its I/O, with the words of the path', async () => {
  const { device, target, host } = await open(2)
  const { stop } = traced(device)
  let fenced: () => void = () => {}
  target.path(0).fence = new Promise((resolve) => (fenced = resolve))
  const write = send(device, IoOp.Write, 0, 512)
  target.path(0).complete(LOST)
  await host.clock.advance(50)
  fenced()
  await host.clock.runUntil(Promise.resolve())
  target.path(1).complete()
  expect(write.status).toBe(OK)
  const records = stop()
  const mine = records
    .filter((record) => 'io' in record)
    .map((record) => [record.kind, 'path' in record && record.path])
  expect(mine).toEqual([
    ['pick', false],
    ['failed', 'fake:0'],
    ['wait', 'fake:0'],
    ['pick', false],
    ['done', 'fake:1'],
  ])
  expect(new Set(records.flatMap((record) => ('io' in record ? [record.io] : [])))).toEqual(new Set([1]))
  expect(only(records, 'wait')[0]).toMatchObject({ why: 'fence', op: IoOp.Write })
  const states = only(records, 'state').filter(({ path }) => path === 'fake:0')
  expect(states.map(({ state }) => state)).toEqual(expect.arrayContaining(['up', 'fencing', 'waiting']))
  expect(states.find(({ state }) => state === 'fencing')?.reason).toBe('an I/O ended with EIO (path error)')
  expect(only(records, 'event').map(({ what }) => what)).toEqual(expect.arrayContaining(['failed', 'fenced', 'freed']))
})

it('I/O without room, without a path and behind another source tells what it waits for', async () => {
  const { device, target, host } = await open(1, {}, undefined)
  const { stop } = traced(device)
  for (let count = 0; count < 65; count++) send(device)
  target.path(0).events.emit('access', 'standby')
  send(device)
  await host.clock.runUntil(device.failPath('fake:0'))
  await host.clock.advance(31_000)
  const records = stop()
  const waits = only(records, 'wait') as TraceWait[]
  expect(waits.filter(({ why }) => why === 'room').length).toBeGreaterThan(0)
  expect(waits.filter(({ why }) => why === 'path').length).toBeGreaterThan(60)
  const over = only(records, 'done').filter(({ status }) => status === Errno.EIO)
  expect(over.every(({ path }) => path === undefined)).toBe(true)
  expect(over).toHaveLength(66)
})

it('another policy and another path are named before they are spoken of; one that was overruled is told as such', async () => {
  const { device, target, host } = await open(1)
  const { stop } = traced(device)
  target.infos.push({ ...target.infos[0]!, id: 'fake:late', address: 'port9' })
  device.addPath(target.sources[1]!)
  await host.clock.runUntil(Promise.resolve())
  await host.clock.advance(1)
  device.setSelector(stubborn)
  for (let count = 0; count < 65; count++) send(device)
  const picks = only(stop(), 'pick')
  expect(picks[0]).toMatchObject({ policy: 'stubborn', wanted: 'fake:0', taken: 'fake:0', count: 2 })
  expect(picks.at(-1)).toMatchObject({ wanted: 'fake:0', taken: 'fake:late' })
})

/** Always picks the first path. */
function stubborn(): PathSelector {
  let first: PathView | undefined
  return { name: 'stubborn', update: ([path]) => void (first = path), select: () => first }
}

it('a sink without room loses records, and never an I/O: the trace says how many, and names the paths again', async () => {
  const { device, target, host } = await open(2)
  const { sink, stop } = traced(device)
  await host.clock.advance(200)
  sink.room = 0
  for (let count = 0; count < 5; count++) send(device)
  target.completeAll()
  await host.clock.advance(200)
  sink.room = 100
  send(device)
  target.completeAll()
  const records = stop()
  expect(only(records, 'lost')).toMatchObject([{ count: 11, inAll: 11 }])
  expect(only(records, 'pick')).toHaveLength(1)
  expect(only(records, 'path')).toHaveLength(4)
})

it('a turn with more than the memory holds loses records, and tells it', async () => {
  const { device, target, host } = await open(2)
  const { stop } = traced(device)
  let count = 0
  for (; count < 4000; count++) {
    send(device)
    target.completeAll()
  }
  await host.clock.advance(200)
  const records = stop()
  const lost = only(records, 'lost').at(-1)?.inAll ?? 0
  expect(lost).toBeGreaterThan(0)
  expect(lost + only(records, 'pick').length + only(records, 'done').length).toBe(2 * count)
})

it('a sink that had no room for the beginning gets it later', async () => {
  const { device, target, host } = await open(1)
  const { sink, stop } = traced(device)
  sink.room = 0
  send(device)
  await host.clock.advance(200)
  sink.room = 100
  target.completeAll()
  const records = stop()
  expect(records[0]?.kind).toBe('start')
  expect(only(records, 'path')).toHaveLength(1)
})

it('what a sink throws ends the trace, and nothing else', async () => {
  const { device, target, host, thrown } = await openGuarded(1)
  device.trace({
    write() {
      throw new Error('full')
    },
  })
  const sent = send(device)
  await host.clock.advance(200)
  expect(thrown).toEqual(['full'])
  target.completeAll()
  expect(sent.status).toBe(OK)
  await host.clock.advance(1000)
})

it('a trace ends with its device, and where another one begins', async () => {
  const { device, host } = await open(1)
  const first = new Sink()
  const second = new Sink()
  device.trace(first)
  device.trace(second)
  expect(first.records().at(-1)).toMatchObject({ kind: 'end', why: 'another trace has begun' })
  await host.clock.runUntil(device.close())
  expect(second.records().at(-1)).toMatchObject({ kind: 'end', why: 'the device is closed' })
  expect([first.ended, second.ended]).toEqual([1, 1])
  const late = new Sink()
  device.trace(late)
  expect(late.ended).toBe(1)
})

it.each([5, null, 'x', {}])('a sink that is %j is a TypeError, and no trace begins', async (sink) => {
  const { device } = await open(1)
  expect(() => device.trace(sink as unknown as Sink)).toThrow(/^sink is .*; it must be an object with a function write/)
  expect(() => device.trace(new Sink(), { wall: Number.NaN })).toThrow('wall is NaN; it must be')
})
