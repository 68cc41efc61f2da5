import { expect, test } from 'vitest'
import { Direction, Outcome } from '../../src/session/task.ts'
import { start } from './commands.ts'
import { fakeSession, pdu, turn } from './support.ts'

const TASK_MANAGEMENT = 0x02
const ABORT_TASK = 1
const ABORT_TASK_SET = 2

const functionOf = (header: Buffer): number => (header[1] as number) & 0x7f

test('a task that serves another command when the answer comes is not proven by it', async () => {
  const { wire, session, state } = fakeSession()
  const a = {}
  const b = {}
  const old = start(session, Direction.Write, { data: Buffer.alloc(512), owner: a })
  await turn()
  wire.sent()
  session.detach([old.task])
  const proofOfA = session.abort(a)
  await turn()
  const request = wire.sent()[0]?.header as Buffer
  expect(functionOf(request)).toBe(ABORT_TASK)
  // Its response was under way: the task is free, serves a write of b, and is left alone again.
  wire.receive(pdu({ opcode: 0x21, tag: old.tag }))
  const next = start(session, Direction.Write, { data: Buffer.alloc(512), owner: b })
  expect(next.task).toBe(old.task)
  await turn()
  wire.sent()
  session.detach([next.task])
  wire.receive(pdu({ opcode: 0x22, tag: request.readUInt32BE(16), response: 1 }))
  expect(await proofOfA).toBe(true)

  const proofOfB = session.abort(b)
  await turn()
  const second = wire.sent()[0]?.header
  expect(second?.readUInt32BE(20), 'b has to abort a write of its own').toBe(next.tag)
  wire.receive(pdu({ opcode: 0x22, tag: second?.readUInt32BE(16) ?? 0 }))
  expect(await proofOfB).toBe(true)
  expect(state.lost).toBeUndefined()
})

test('ABORT TASK SET is not used where somebody waits for a command of that logical unit', async () => {
  const { wire, session } = fakeSession()
  const live = start(session, Direction.Read, { data: Buffer.alloc(512), owner: {} })
  const owner = {}
  const gone = Array.from({ length: 6 }, () => start(session, Direction.Write, { data: Buffer.alloc(512), owner }))
  await turn()
  wire.sent()
  session.detach(gone.map(({ task }) => task))
  const proof = session.abort(owner)
  for (let count = 0; count < gone.length; count++) {
    await turn()
    const header = wire.sent()[0]?.header as Buffer
    expect(functionOf(header)).toBe(ABORT_TASK)
    wire.receive(pdu({ opcode: 0x22, tag: header.readUInt32BE(16) }))
  }
  expect(await proof).toBe(true)
  wire.receive(pdu({ opcode: 0x25, flags: 0x81, tag: live.tag, data: Buffer.alloc(512) }))
  expect(live.ends).toMatchObject([{ outcome: Outcome.Answered, received: 512 }])
})

test('ABORT TASK SET is used where every command there is abandoned, and leaves other logical units alone', async () => {
  const { wire, session, state } = fakeSession()
  const elsewhere = start(session, Direction.Write, { data: Buffer.alloc(512), owner: {}, lun: 6 })
  const owner = {}
  const gone = Array.from({ length: 6 }, () => start(session, Direction.Write, { data: Buffer.alloc(512), owner }))
  await turn()
  wire.sent()
  session.detach(gone.map(({ task }) => task))
  const proof = session.abort(owner)
  await turn()
  const header = wire.sent()[0]?.header as Buffer
  expect(header[0]).toBe(0x40 | TASK_MANAGEMENT)
  expect(functionOf(header)).toBe(ABORT_TASK_SET)
  expect(header.readUInt32BE(8)).toBe(5 << 16)
  wire.receive(pdu({ opcode: 0x22, tag: header.readUInt32BE(16) }))
  expect(await proof).toBe(true)
  expect(session.tasksOf(owner)).toEqual([])
  wire.receive(pdu({ opcode: 0x21, tag: elsewhere.tag }))
  expect(elsewhere.ends).toMatchObject([{ outcome: Outcome.Answered }])
  expect(state.lost).toBeUndefined()
})

test('a lost session is no proof, and who waits for the abort is still to be fenced', async () => {
  const { wire, session } = fakeSession()
  const owner = {}
  const { task } = start(session, Direction.Write, { data: Buffer.alloc(512), owner })
  await turn()
  session.detach([task])
  const proof = session.abort(owner)
  wire.receive(pdu({ opcode: 0x2a }))
  expect(await proof).toBe(false)
  expect(session.unfenced.has(owner)).toBe(true)
})

test('late data of a forgotten read does not reach the command that its task serves next', async () => {
  const { wire, session } = fakeSession()
  const owner = {}
  const old = start(session, Direction.Read, { data: Buffer.alloc(1024), owner })
  old.task.changes = true
  await turn()
  wire.sent()
  session.detach([old.task])
  const proof = session.abort(owner)
  await turn()
  const request = wire.sent()[0]?.header as Buffer
  const late = pdu({ opcode: 0x25, flags: 0x81, tag: old.tag, data: Buffer.alloc(1024, 0xee) })
  // The answer, and in the same bytes the beginning of data that should not come any more.
  const first = Buffer.concat([pdu({ opcode: 0x22, tag: request.readUInt32BE(16) }), late.subarray(0, 148)])
  wire.sink?.bytes(first, 0, first.length)
  expect(await proof).toBe(true)
  const view = Buffer.alloc(1024)
  const next = start(session, Direction.Read, { data: view, owner: {} })
  expect(next.task).toBe(old.task)
  wire.sink?.bytes(late, 148, late.length)
  expect(view.every((byte) => byte === 0)).toBe(true)
  expect(next.ends).toEqual([])
})

test('reads that are never answered keep no later ones of their logical unit, however much they were to bring', async () => {
  const { wire, session } = fakeSession()
  const owner = {}
  const lost = Array.from({ length: 8 }, () => start(session, Direction.Read, { data: Buffer.alloc(131_072), owner }))
  const beside = start(session, Direction.Read, { data: Buffer.alloc(512), owner: {}, lun: 1 })
  await turn()
  expect(wire.sent().length).toBe(9)
  session.detach(lost.map(({ task }) => task))
  wire.receive(pdu({ opcode: 0x25, flags: 0x81, tag: beside.tag, data: Buffer.alloc(512), maxCmdSn: 64 }))
  start(session, Direction.Read, { data: Buffer.alloc(512), owner: {} })
  await turn()
  expect(wire.sent().length).toBe(1)
})
