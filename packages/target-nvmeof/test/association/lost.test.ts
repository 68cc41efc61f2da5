import { BlockError } from '@blockbraid/core'
import { expect, test } from 'vitest'
import type { Association } from '../../src/association/association.ts'
import { ask } from '../../src/nvme/ask.ts'
import { flush, putRange } from '../../src/nvme/io.ts'
import { type Command, Direction, Outcome } from '../../src/queue/command.ts'
import { type Got, type TestController, testBed, watchLoss } from '../support/controller.ts'
import { dataIn, response, termReq } from '../support/controller-pdus.ts'

const gone = new BlockError('CONNECT_FAILED', 'the path is lost')

function submit(association: Association, direction: Direction, data: Buffer, owner: object) {
  const command = association.take() as Command
  const ends: number[] = []
  command.owner = owner
  command.direction = direction
  command.length = data.length
  command.buffers = [data]
  command.changes = direction === Direction.Write
  command.done = ({ outcome }) => ends.push(outcome)
  putRange(command.sqe, direction === Direction.Write ? 1 : 2, 1, 0, data.length / 512, 0)
  association.send(command)
  return ends
}

/** A controller that holds every command of its I/O queues. */
function holding(controller: TestController): Got[] {
  const held: Got[] = []
  controller.script.command = (got) => got.connection.queue > 0 && held.push(got) > 0
  return held
}

test('dropped: I/O queues end by RST, every command ends, those that owe a fence are known, and the admin queue disables', async () => {
  const { clock, controller, open } = testBed()
  const association = await open({ queues: 2 })
  const loss = watchLoss(association)
  holding(controller)
  const [one, two, three] = [{}, {}, {}]
  const ends = [
    submit(association, Direction.Write, Buffer.alloc(512), one),
    submit(association, Direction.Read, Buffer.alloc(512), two),
    submit(association, Direction.Write, Buffer.alloc(65_536), three),
  ]
  const run = expect(association.run(ask(flush(1)), { io: true, owner: two })).rejects.toThrow('the path is lost')
  await clock.advance(1)
  association.drop(gone)
  expect(loss.error).toBe(gone)
  expect(ends).toEqual([[Outcome.Lost], [Outcome.Lost], [Outcome.Lost]])
  await run
  expect(association.unfenced.has(one)).toBe(true)
  expect(association.unfenced.has(three)).toBe(true)
  expect(association.unfenced.has(two)).toBe(false)
  await clock.advance(1)
  expect(controller.connections.map(({ wasReset }) => wasReset)).toEqual([false, true, true])
  expect(controller.enabled).toBe(true)
  expect(await clock.runUntil(association.disable())).toBe(true)
  expect(controller.enabled).toBe(false)
  association.release()
  await clock.advance(1)
  expect(controller.connections.every(({ wire }) => wire.closed)).toBe(true)
  await clock.advance(5)
  expect(clock.timers).toBe(0)
})

test('what the controller does not say to be disabled is not', async () => {
  const { clock, controller, open } = testBed()
  const association = await open()
  controller.script.command = (got) => {
    // CSTS.RDY stays 1.
    if (got.opcode !== 0x7f || (got.dword(1) & 0xff) !== 4) return false
    got.connection.answer(got, { result: 1 })
    return true
  }
  association.drop(gone)
  expect(await clock.runUntil(association.disable())).toBe(false)
  association.release()
})

test('where the admin queue is lost, nothing can be disabled, and that is said at once', async () => {
  const { clock, controller, open } = testBed()
  const association = await open()
  const loss = watchLoss(association)
  const ends = submit(association, Direction.Write, Buffer.alloc(512), association)
  holding(controller)
  controller.connections[0]?.wire.reset()
  await clock.runUntil(() => loss.error !== undefined)
  expect(ends).toEqual([Outcome.Lost])
  expect(await association.disable()).toBe(false)
  await clock.advance(1)
  expect(controller.connections.every(({ wire }) => wire.closed)).toBe(true)
  await clock.advance(5)
  expect(clock.timers).toBe(0)
})

test('where the admin queue ends while it disables, it has not', async () => {
  const { clock, controller, open } = testBed()
  const association = await open()
  controller.script.command = () => true
  association.drop(gone)
  const disabled = association.disable()
  await clock.advance(1)
  controller.connections[0]?.wire.reset()
  expect(await clock.runUntil(disabled)).toBe(false)
  await clock.advance(5)
  expect(clock.timers).toBe(0)
})

test('a command that is sent after the end ends as never sent, and not from inside of send', async () => {
  const { clock, open } = testBed()
  const association = await open()
  const command = association.take() as Command
  const ends: number[] = []
  command.done = ({ outcome }) => ends.push(outcome)
  command.direction = Direction.None
  association.drop(gone)
  association.send(command)
  expect(ends).toEqual([])
  await clock.advance(0)
  expect(ends).toEqual([Outcome.NotSent])
  association.release()
})

test('payload that waits in this process is not sent after the end', async () => {
  const { clock, controller, open } = testBed()
  const association = await open()
  const data = Buffer.alloc(4096, 1)
  submit(association, Direction.Write, data, association)
  association.drop(gone)
  data.fill(0xee)
  await clock.advance(1)
  expect(controller.volume.includes(0xee)).toBe(false)
  expect(controller.volume.includes(1)).toBe(false)
  association.release()
})

test.each([
  ['a completion that nobody waits for', response({ cid: 0x7777 })],
  ['data that nobody waits for', dataIn({ cid: 0x7777 }, Buffer.alloc(512))],
  ['a PDU of 4 GiB', Buffer.from('05001800ffffffff', 'hex')],
])('%s: the association is lost, the controller told, and disconnected when it does not close', async (_, bytes) => {
  const { clock, controller, open } = testBed()
  const association = await open()
  const loss = watchLoss(association)
  const [, io] = controller.connections
  io?.say(bytes)
  await clock.runUntil(() => loss.error !== undefined)
  expect(loss.error?.code).toBe('PROTOCOL')
  await clock.advance(500)
  expect(io?.terminated).toBe(true)
  expect(io?.wire.closed).toBe(false)
  await clock.advance(1000)
  expect(io?.wire.closed).toBe(true)
  association.release()
  await clock.advance(5)
  expect(clock.timers).toBe(0)
})

test('a controller that closes after a termination request leaves nothing behind', async () => {
  const { clock, controller, open } = testBed()
  const association = await open()
  const [, io] = controller.connections
  io?.say(response({ cid: 0x7777 }))
  await clock.advance(10)
  io?.wire.end()
  await clock.advance(1)
  association.release()
  await clock.advance(5)
  expect(clock.timers).toBe(0)
})

test('a termination request of the controller: the association is lost, and the connection reset', async () => {
  const { clock, controller, open } = testBed()
  const association = await open()
  const loss = watchLoss(association)
  const [, io] = controller.connections
  io?.say(termReq(5))
  await clock.advance(1)
  expect(loss.error?.message).toContain('more data than agreed on (05h)')
  expect(io?.wire.closed).toBe(true)
  association.release()
})

test('a connection that the controller closes: the association is lost', async () => {
  const { clock, controller, open } = testBed()
  const association = await open()
  const loss = watchLoss(association)
  controller.connections[1]?.wire.end()
  await clock.advance(1)
  expect(loss.error?.message).toBe('the controller closed the connection')
  association.release()
  await clock.advance(5)
  expect(clock.timers).toBe(0)
})

test('events without end are read of at intervals, and do not hold up anything', async () => {
  const { clock, controller, open } = testBed()
  const association = await open()
  controller.script.command = (got) => {
    if (got.opcode !== 0x0c) return false
    got.connection.answer(got, { result: 0x0c_03_02 })
    return true
  }
  controller.event(0x0c_03_02)
  await clock.advance(2000)
  const logs = controller.log.filter(({ opcode, queue }) => opcode === 2 && queue === 0).length
  expect(logs).toBeLessThan(30)
  expect(association.usable).toBe(true)
  await clock.runUntil(association.close())
})

test('an ANA log with absurd counts: the association is lost', async () => {
  const { clock, controller, open } = testBed()
  const association = await open()
  const loss = watchLoss(association)
  controller.anaLog = Buffer.alloc(4096, 0xff)
  controller.event(0x0c_03_02)
  await clock.advance(1000)
  expect(loss.error?.code).toBe('PROTOCOL')
  association.release()
})

test('a controller that wants hours to shut down does not get them', async () => {
  const { clock, controller, open } = testBed()
  controller.identify.writeUInt32LE(0xffff_ffff, 88)
  const association = await open()
  controller.script.command = (got) => {
    // CSTS.SHST stays 0.
    if (got.opcode !== 0x7f || (got.dword(1) & 0xff) !== 4) return false
    got.connection.answer(got, { result: 1 })
    return true
  }
  const began = clock.now()
  await clock.runUntil(association.close())
  expect((clock.now() - began) / 1000).toBeLessThan(11_000)
  expect(association.usable).toBe(false)
})
