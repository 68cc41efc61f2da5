import { createVirtualClock } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import { Direction, Outcome } from '../../src/session/task.ts'
import { start } from './commands.ts'
import { fakeSession, pdu, turn } from './support.ts'

const ASYNC = 0x32
const NOP_IN = 0x20
const LOGOUT = 0x46
const TEXT = 0x44

/** An Async Message; parameter 3 is in seconds where the target asks for something. */
const message = (event: number, seconds = 0, data?: Uint8Array): Buffer =>
  pdu({ opcode: ASYNC, word36: (event << 24) >>> 0, word40: seconds, ...(data === undefined ? {} : { data }) })

test('logout asked for: what is in flight ends, nothing is begun, then a logout, then `lost`', async () => {
  const clock = createVirtualClock()
  const { wire, session, state } = fakeSession({ maxCmdSn: 1 }, clock)
  const inFlight = start(session, Direction.Read, { data: Buffer.alloc(512) })
  const waits = start(session, Direction.None)
  await clock.advance(0)
  wire.sent()
  wire.receive(message(1, 10))
  expect(session.usable).toBe(false)
  expect(waits.ends).toMatchObject([{ outcome: Outcome.NotSent }])
  const late = start(session, Direction.None)
  await clock.advance(1000)
  expect(late.ends).toMatchObject([{ outcome: Outcome.NotSent }])
  expect(wire.sent()).toEqual([])
  wire.receive(pdu({ opcode: 0x25, flags: 0x81, tag: inFlight.tag, data: Buffer.alloc(512) }))
  expect(inFlight.ends).toMatchObject([{ outcome: Outcome.Answered }])
  await clock.advance(20)
  const [logout] = wire.sent()
  expect(logout?.header[0]).toBe(LOGOUT)
  expect(state.lost).toBeUndefined()
  wire.receive(pdu({ opcode: 0x26, tag: logout?.header.readUInt32BE(16) ?? 0 }))
  await clock.advance(1)
  expect(state.lost?.message).toContain('asked for a logout')
  expect(wire.closed).toBe(true)
  expect(clock.timers).toBe(0)
})

test('logout asked for, and a write that does not end: dropped before the time is over, with a fence to wait for', async () => {
  const clock = createVirtualClock()
  const { wire, session, state } = fakeSession({}, clock)
  const owner = {}
  const write = start(session, Direction.Write, { data: Buffer.alloc(512), owner })
  wire.receive(message(1, 4))
  await clock.advance(3999)
  expect(write.ends).toMatchObject([{ outcome: Outcome.Lost }])
  expect(state.lost?.code).toBe('CONNECT_FAILED')
  expect(session.unfenced.has(owner)).toBe(true)
  expect(clock.timers).toBe(0)
})

test('logout asked for, and never answered: the session ends all the same', async () => {
  const clock = createVirtualClock()
  const { wire, state } = fakeSession({}, clock)
  wire.receive(message(1, 4))
  await clock.advance(2000)
  expect(state.lost).toBeDefined()
  expect(clock.timers).toBe(0)
})

test.each([2, 3])('event %i: the connection is given up', async (event) => {
  const { wire, state } = fakeSession()
  wire.receive(message(event))
  expect(state.lost).toMatchObject({ code: 'CONNECT_FAILED' })
})

test('negotiation asked for: one text request, whatever how often; a new segment length is obeyed', async () => {
  const clock = createVirtualClock()
  const { wire, session, state } = fakeSession({ initialR2T: true }, clock)
  wire.receive(...Array.from({ length: 100 }, () => message(4, 3)))
  await clock.advance(0)
  const requests = wire.sent()
  // Only one may be open on a connection (RFC 7143 §11.10).
  expect(requests.map(({ header }) => header[0])).toEqual([TEXT])
  const tag = requests[0]?.header.readUInt32BE(16) ?? 0
  wire.receive(pdu({ opcode: 0x24, tag, data: Buffer.from('MaxRecvDataSegmentLength=1024\0') }))
  await clock.advance(0)
  start(session, Direction.Write, { data: Buffer.alloc(4096) })
  await clock.advance(0)
  expect(wire.sent().map(({ data }) => data.length)).toEqual([1024])
  wire.receive(message(4, 3))
  await clock.advance(0)
  expect(wire.sent().map(({ header }) => header[0])).toEqual([TEXT])
  expect(state.lost).toBeUndefined()
})

test('a SCSI event reaches the listeners with its LUN and its sense data, cut where it is', () => {
  const { wire, session } = fakeSession()
  const heard: [number, string][] = []
  session.listeners.add({
    lost() {},
    event: (high, _low, sense) => heard.push([high, Buffer.from(sense).toString('hex')]),
  })
  for (const data of ['00027000', '00ff70', '00', '']) {
    const bytes = message(0, 0, Buffer.from(data, 'hex'))
    bytes.writeUInt32BE(0x0003_0000, 8)
    wire.receive(bytes)
  }
  expect(heard).toEqual([
    [0x0003_0000, '7000'],
    [0x0003_0000, '70'],
    [0x0003_0000, ''],
    [0x0003_0000, ''],
  ])
})

test.each([5, 6, 255])('event %i is let go', (event) => {
  const { wire, state } = fakeSession()
  wire.receive(message(event))
  expect(state.lost).toBeUndefined()
})

test('a ping of the target is answered with its tag and LUN, outside of the window and without its data', async () => {
  const { wire, session } = fakeSession({ maxCmdSn: 0 })
  expect(session.usable).toBe(true)
  const ping = pdu({ opcode: NOP_IN, transferTag: 0x1234, data: Buffer.from('ping') })
  ping.writeUInt32BE(0x0007_0000, 8)
  wire.receive(ping)
  await turn()
  const [answer, ...more] = wire.sent()
  expect(more).toEqual([])
  expect(answer?.header[0]).toBe(0x40)
  expect(answer?.header.readUInt32BE(8)).toBe(0x0007_0000)
  expect(answer?.header.readUInt32BE(16)).toBe(0xffff_ffff)
  expect(answer?.header.readUInt32BE(20)).toBe(0x1234)
  expect(answer?.header.readUInt32BE(24)).toBe(1)
  expect(answer?.data.length).toBe(0)
  wire.receive(pdu({ opcode: NOP_IN }))
  await turn()
  expect(wire.sent()).toEqual([])
})

test('pings of a target that does not read the answers do not fill the memory', async () => {
  const { wire, state } = fakeSession()
  wire.window = 0
  for (let count = 0; count < 100 && state.lost === undefined; count++) {
    wire.receive(...Array.from({ length: 100 }, () => pdu({ opcode: NOP_IN, transferTag: 1 })))
    await turn()
  }
  expect(state.lost).toMatchObject({ code: 'PROTOCOL' })
})

test('pings of a target that reads the answers are answered for ever', async () => {
  const { wire, state } = fakeSession()
  for (let count = 0; count < 100; count++) {
    wire.receive(...Array.from({ length: 100 }, () => pdu({ opcode: NOP_IN, transferTag: 1 })))
    await turn()
    expect(wire.sent().length).toBe(100)
  }
  expect(state.lost).toBeUndefined()
})

test('R2T for the same data again and again does not make it leave again and again', async () => {
  const { wire, session, state } = fakeSession()
  const { tag } = start(session, Direction.Write, { data: Buffer.alloc(8192) })
  await turn()
  wire.sent()
  const ask = pdu({ opcode: 0x31, tag, transferTag: 1, word40: 4096, word44: 4096 })
  wire.receive(...Array.from({ length: 1000 }, () => ask))
  await turn()
  expect(wire.sent().reduce((sum, { data }) => sum + data.length, 0)).toBeLessThanOrEqual(4096)
  expect(state.lost).toMatchObject({ code: 'PROTOCOL' })
})
