import { expect, test } from 'vitest'
import type { Session } from '../../src/session/session.ts'
import { Direction, Outcome, type Task } from '../../src/session/task.ts'
import { fakeSession, pdu, turn } from './support.ts'

const COMMAND = 0x01
const DATA_OUT = 0x05
const RESPONSE = 0x21
const DATA_IN = 0x25
const R2T = 0x31

interface Ended {
  outcome: number
  status: number
  received: number
  sense: string
  buffers: readonly Uint8Array[]
}

/** Sends a command and records how it ends. */
function start(session: Session, direction: Direction, buffers: Uint8Array[] = [], owner: object = session) {
  const task = session.take() as Task
  task.owner = owner
  task.lunHigh = 0x0005_0000
  task.lunLow = 0
  task.direction = direction
  task.length = buffers.reduce((sum, { length }) => sum + length, 0)
  task.buffers = buffers
  task.lends = false
  task.changes = direction === Direction.Write
  const ends: Ended[] = []
  task.done = ({ outcome, status, received, sense, buffers: views }) =>
    ends.push({ outcome, status, received, sense: Buffer.from(sense).toString('hex'), buffers: views })
  session.send(task)
  return { ends, tag: task.tag, task }
}

const filled = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, at) => at % 251))

test('a read: one command, data into the buffers however it comes, status collapsed into the last Data-In', async () => {
  const { wire, session } = fakeSession()
  const views = [Buffer.alloc(700), Buffer.alloc(324)]
  const { ends, tag } = start(session, Direction.Read, views)
  await turn()
  const [command] = wire.sent()
  expect(command?.header[0]).toBe(COMMAND)
  expect(command?.header[1]).toBe(0x80 | 0x40 | 1)
  expect(command?.header.readUInt32BE(8)).toBe(0x0005_0000)
  expect(command?.header.readUInt32BE(20)).toBe(1024)
  expect(command?.header.readUInt32BE(24)).toBe(1)
  const data = filled(1024)
  wire.receive(pdu({ opcode: DATA_IN, flags: 0, tag, data: data.subarray(0, 600) }))
  expect(ends).toEqual([])
  wire.receive(pdu({ opcode: DATA_IN, flags: 0x81, tag, word36: 1, word40: 600, data: data.subarray(600) }))
  expect(ends).toMatchObject([{ outcome: Outcome.Answered, status: 0, received: 1024 }])
  expect(Buffer.concat(views)).toEqual(data)
})

test('a read that brings no buffers is handed the views in which its data came', () => {
  const { wire, session } = fakeSession()
  const { ends, tag, task } = start(session, Direction.Read)
  task.length = 1000
  task.lends = true
  wire.receive(
    pdu({ opcode: DATA_IN, flags: 0, tag, data: filled(400) }),
    pdu({ opcode: DATA_IN, flags: 0x81, tag, word40: 400, data: filled(600) }),
  )
  expect(ends[0]?.buffers.map(({ length }) => length)).toEqual([400, 600])
  expect(Buffer.concat(ends[0]?.buffers ?? [])).toEqual(Buffer.concat([filled(400), filled(600)]))
})

test('a write: immediate data, unsolicited data to the first burst, then what each R2T asks for', async () => {
  const { wire, session } = fakeSession()
  const data = filled(12_000)
  const { ends, tag } = start(session, Direction.Write, [data.subarray(0, 5000), data.subarray(5000)])
  await turn()
  const first = wire.sent()
  expect(first.map(({ header }) => header[0])).toEqual([COMMAND, DATA_OUT])
  // The command is not the last of its sequence, the Data-Out is.
  expect(first.map(({ header }) => (header[1] as number) & 0x80)).toEqual([0, 0x80])
  expect(Buffer.concat(first.map((one) => one.data))).toEqual(data.subarray(0, 4096))
  expect(first[1]?.header.readUInt32BE(20)).toBe(0xffff_ffff)
  wire.receive(pdu({ opcode: R2T, tag, transferTag: 77, word40: 4096, word44: 7904 }))
  await turn()
  const second = wire.sent()
  expect(second.map(({ header }) => header.readUInt32BE(36))).toEqual([0, 1, 2, 3])
  expect(second.map(({ header }) => (header[1] as number) & 0x80)).toEqual([0, 0, 0, 0x80])
  expect(second.every(({ header }) => header.readUInt32BE(20) === 77)).toBe(true)
  expect(second.map(({ header }) => header.readUInt32BE(40))).toEqual([4096, 6144, 8192, 10_240])
  expect(Buffer.concat(second.map((one) => one.data))).toEqual(data.subarray(4096))
  wire.receive(pdu({ opcode: RESPONSE, tag }))
  expect(ends).toMatchObject([{ outcome: Outcome.Answered, status: 0 }])
})

test.each([
  { immediateData: false, initialR2T: true, sends: [0] },
  { immediateData: true, initialR2T: true, sends: [2048] },
  { immediateData: false, initialR2T: false, sends: [0, 2048, 2048] },
  { immediateData: true, initialR2T: false, sends: [2048, 2048] },
])('immediate data $immediateData, initial R2T $initialR2T: sends $sends bytes unasked', async ({ sends, ...keys }) => {
  const { wire, session } = fakeSession(keys)
  start(session, Direction.Write, [filled(8192)])
  await turn()
  expect(wire.sent().map(({ data }) => data.length)).toEqual(sends)
})

test('no command leaves beyond MaxCmdSN; those that wait leave in order when the window opens', async () => {
  const { wire, session } = fakeSession({ maxCmdSn: 2 })
  const tasks = Array.from({ length: 5 }, () => start(session, Direction.None))
  await turn()
  expect(wire.sent().map(({ header }) => header.readUInt32BE(24))).toEqual([1, 2])
  wire.receive(pdu({ opcode: RESPONSE, tag: tasks[0]?.tag ?? 0, expCmdSn: 3, maxCmdSn: 4 }))
  await turn()
  expect(wire.sent().map(({ header }) => header.readUInt32BE(24))).toEqual([3, 4])
  wire.receive(pdu({ opcode: 0x20, transferTag: 9, expCmdSn: 5, maxCmdSn: 3 }))
  await turn()
  // A window that shrinks is not taken (RFC 7143 §4.2.2.1); the ping is answered all the same.
  expect(wire.sent().map(({ header }) => (header[0] as number) & 0x3f)).toEqual([0])
})

test('CmdSN wraps', async () => {
  const { wire, session } = fakeSession({ cmdSn: 0xffff_ffff, maxCmdSn: 3 })
  for (let count = 0; count < 3; count++) start(session, Direction.None)
  await turn()
  expect(wire.sent().map(({ header }) => header.readUInt32BE(24))).toEqual([0xffff_ffff, 0, 1])
})

test('sense data comes with the status; a response of 1 is a failure to deliver', () => {
  const { wire, session } = fakeSession()
  const a = start(session, Direction.None)
  const b = start(session, Direction.None)
  const data = Buffer.from('0012700003', 'hex')
  wire.receive(pdu({ opcode: RESPONSE, tag: a.tag, status: 2, data: Buffer.concat([data, Buffer.alloc(15)]) }))
  expect(a.ends).toMatchObject([{ status: 2, sense: `700003${'00'.repeat(15)}` }])
  wire.receive(pdu({ opcode: RESPONSE, tag: b.tag, response: 1 }))
  expect(b.ends).toMatchObject([{ outcome: Outcome.Failed }])
})

test('a status that comes before the data has left ends the write only when it has', async () => {
  const { wire, session } = fakeSession()
  const { ends, tag } = start(session, Direction.Write, [filled(2048)])
  wire.window = 0
  await turn()
  wire.receive(pdu({ opcode: RESPONSE, tag, status: 2 }))
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(ends).toEqual([])
  wire.window = Number.POSITIVE_INFINITY
  await expect.poll(() => ends.length).toBe(1)
  expect(ends[0]).toMatchObject({ outcome: Outcome.Answered, status: 2 })
})

test('a detached task ends at once, its late data reaches nobody, and its tag is not used again', async () => {
  const { wire, session, state } = fakeSession()
  const view = Buffer.alloc(1024)
  const { ends, tag, task } = start(session, Direction.Read, [view])
  await turn()
  expect(session.detach([task])).toBe(true)
  expect(ends).toMatchObject([{ outcome: Outcome.Lost }])
  expect(session.take()).not.toBe(task)
  wire.receive(pdu({ opcode: DATA_IN, flags: 0x81, tag, data: filled(1024) }))
  expect(view.every((byte) => byte === 0)).toBe(true)
  expect(ends.length).toBe(1)
  expect(state.lost).toBeUndefined()
})

test('R2T for a detached write is not answered with the buffers of its caller', async () => {
  const { wire, session } = fakeSession()
  const { tag, task } = start(session, Direction.Write, [filled(8192)])
  await turn()
  wire.sent()
  session.detach([task])
  wire.receive(pdu({ opcode: R2T, tag, transferTag: 1, word40: 4096, word44: 4096 }))
  await turn()
  expect(wire.sent()).toEqual([])
})

test('detach tells of payload that has not left this process', async () => {
  const { wire, session } = fakeSession()
  const { task } = start(session, Direction.Write, [filled(2048)])
  wire.window = 0
  await turn()
  expect(session.detach([task])).toBe(false)
})

test('a lost session ends what was sent as lost and what was not as not sent, and knows who has a fence to wait for', async () => {
  const { wire, session, state } = fakeSession({ maxCmdSn: 2 })
  const writer = {}
  const reader = {}
  const write = start(session, Direction.Write, [filled(512)], writer)
  const read = start(session, Direction.Read, [Buffer.alloc(512)], reader)
  const waits = start(session, Direction.Write, [filled(512)], reader)
  await turn()
  wire.fail('ECONNRESET')
  expect(write.ends).toMatchObject([{ outcome: Outcome.Lost }])
  expect(read.ends).toMatchObject([{ outcome: Outcome.Lost }])
  expect(waits.ends).toMatchObject([{ outcome: Outcome.NotSent }])
  expect(state.lost?.message).toBe('the connection was reset (ECONNRESET)')
  expect(session.unfenced.has(writer)).toBe(true)
  expect(session.unfenced.has(reader)).toBe(false)
  const late = start(session, Direction.None)
  await turn()
  expect(late.ends).toMatchObject([{ outcome: Outcome.NotSent }])
})

test('abort names each task; an answer that it has ended, or had before, is the proof', async () => {
  const { wire, session } = fakeSession()
  const owner = {}
  const tasks = [0, 1].map(() => start(session, Direction.Write, [filled(512)], owner))
  await turn()
  wire.sent()
  session.detach(tasks.map(({ task }) => task))
  const proof = session.abort(owner)
  for (const [index, { tag }] of tasks.entries()) {
    await turn()
    const [request] = wire.sent()
    expect(request?.header[0]).toBe(0x42)
    expect(request?.header[1]).toBe(0x81)
    expect(request?.header.readUInt32BE(20)).toBe(tag)
    expect(request?.header.readUInt32BE(32)).toBe(index + 1)
    wire.receive(pdu({ opcode: 0x22, tag: request?.header.readUInt32BE(16) ?? 0, response: index }))
  }
  expect(await proof).toBe(true)
})

test('abort of many is one request, and one by one where the target does not support that', async () => {
  const { wire, session } = fakeSession()
  const owner = {}
  const tasks = Array.from({ length: 6 }, () => start(session, Direction.Write, [filled(512)], owner))
  await turn()
  wire.sent()
  session.detach(tasks.map(({ task }) => task))
  const proof = session.abort(owner)
  const functions: number[] = []
  for (let count = 0; count < 7; count++) {
    await turn()
    const [request] = wire.sent()
    functions.push((request?.header[1] as number) & 0x7f)
    wire.receive(pdu({ opcode: 0x22, tag: request?.header.readUInt32BE(16) ?? 0, response: count === 0 ? 5 : 0 }))
  }
  expect(await proof).toBe(true)
  expect(functions).toEqual([2, 1, 1, 1, 1, 1, 1])
})

test('abort gives no proof where the target refuses, or says nothing in time', async () => {
  for (const response of [4, undefined]) {
    const { wire, session } = fakeSession()
    const { task } = start(session, Direction.Write, [filled(512)])
    await turn()
    wire.sent()
    session.detach([task])
    const proof = session.abort(session)
    await turn()
    const tag = wire.sent()[0]?.header.readUInt32BE(16) ?? 0
    if (response !== undefined) wire.receive(pdu({ opcode: 0x22, tag, response }))
    expect(await proof).toBe(false)
  }
})

test.each([
  ['data for an unknown tag', { opcode: DATA_IN, tag: 0x7777 }, 'no command has'],
  ['a response for an unknown tag', { opcode: RESPONSE, tag: 0x7777 }, 'no command has'],
  ['R2T for an unknown tag', { opcode: R2T, tag: 0x7777, word44: 1 }, 'no command has'],
  ['an unknown opcode', { opcode: 0x2a }, 'opcode 0x2a'],
  ['a login answer', { opcode: 0x23 }, 'opcode 0x23'],
  ['a reject', { opcode: 0x3f, response: 4, data: Buffer.alloc(48) }, 'protocol error'],
])('%s ends the session', (_what, fields, words) => {
  const { wire, state } = fakeSession()
  wire.receive(pdu(fields))
  expect(state.lost).toMatchObject({ code: 'PROTOCOL' })
  expect(state.lost?.message).toContain(words)
})

test.each([
  ['Data-In beyond the command', Direction.Read, { opcode: DATA_IN, data: filled(1028) }, 'up to byte 1028'],
  ['Data-In with a hole', Direction.Read, { opcode: DATA_IN, word40: 512, data: filled(512) }, 'expected at 0'],
  ['Data-In for a write', Direction.Write, { opcode: DATA_IN, data: filled(512) }, 'reads nothing'],
  ['R2T for a read', Direction.Read, { opcode: R2T, word44: 512 }, 'writes nothing'],
  ['R2T beyond the command', Direction.Write, { opcode: R2T, word40: 512, word44: 1024 }, 'up to byte 1536'],
  ['R2T of nothing', Direction.Write, { opcode: R2T, word44: 0 }, 'R2T for 0 bytes'],
  ['R2T beyond the burst', Direction.Write, { opcode: R2T, word44: 9000 }, 'R2T for 9000 bytes'],
])('%s ends the session', async (_what, direction, fields, words) => {
  const { wire, session, state } = fakeSession()
  const { ends, tag } = start(session, direction, [Buffer.alloc(1024)])
  await turn()
  wire.receive(pdu({ ...fields, tag }))
  expect(state.lost?.message).toContain(words)
  expect(ends).toMatchObject([{ outcome: Outcome.Lost }])
})
