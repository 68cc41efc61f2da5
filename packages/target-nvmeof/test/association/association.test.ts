import { expect, test } from 'vitest'
import type { Association } from '../../src/association/association.ts'
import { keepAlive } from '../../src/nvme/admin.ts'
import { ask } from '../../src/nvme/ask.ts'
import { flush, putRange, read, write } from '../../src/nvme/io.ts'
import { work } from '../../src/nvme/procedure.ts'
import { type Command, Direction, Outcome } from '../../src/queue/command.ts'
import { testBed, watchLoss } from '../support/controller.ts'

const owner = {}

/** Reads or writes `data` at block `lba`; what came of it is in `ends`. */
function submit(association: Association, direction: Direction, data: Buffer, lba = 0, of: object = owner) {
  const command = association.take() as Command
  const ends: { outcome: number; status: number }[] = []
  command.owner = of
  command.direction = direction
  command.length = data.length
  command.buffers = [data]
  command.changes = direction === Direction.Write
  command.done = ({ outcome, status }) => ends.push({ outcome, status })
  putRange(command.sqe, direction === Direction.Write ? 1 : 2, 1, lba, data.length / 512, 0)
  association.send(command)
  return { command, ends }
}

test('an association is brought up, reads and writes, and is shut down', async () => {
  const { clock, controller, open } = testBed()
  const association = await open({ queues: 2 })
  expect(association.controller).toMatchObject({ id: 1, model: 'model', keepAliveTimeout: 5000, quiesceTime: 300 })
  expect(controller.connections.map(({ queue }) => queue)).toEqual([0, 1, 2])
  expect(association.anaLog?.length).toBe(16)
  const written = submit(association, Direction.Write, Buffer.alloc(16_384, 7), 8)
  await clock.advance(1)
  expect(written.ends).toEqual([{ outcome: Outcome.Answered, status: 0 }])
  const into = Buffer.alloc(1024)
  const was = submit(association, Direction.Read, into, 39)
  await clock.advance(1)
  expect(was.ends).toEqual([{ outcome: Outcome.Answered, status: 0 }])
  expect(into).toEqual(Buffer.concat([Buffer.alloc(512, 7), Buffer.alloc(512)]))
  await clock.runUntil(association.close())
  await clock.advance(5)
  expect(controller.shutDown).toBe(true)
  expect(controller.connections.every(({ wire }) => wire.closed)).toBe(true)
  expect(association.usable).toBe(false)
  expect(association.take()).toBeUndefined()
  await clock.advance(5)
  expect(clock.timers).toBe(0)
})

test('commands are spread over the I/O queues, and each is answered', async () => {
  const { clock, controller, open } = testBed()
  const association = await open({ queues: 3, queueDepth: 4 })
  const all = Array.from({ length: 40 }, (_, at) => submit(association, Direction.Read, Buffer.alloc(512), at))
  await clock.advance(20)
  expect(all.map(({ ends }) => ends.length)).toEqual(all.map(() => 1))
  const reads = controller.log.filter(({ opcode, queue }) => opcode === 2 && queue > 0).map(({ queue }) => queue)
  for (const queue of [1, 2, 3]) expect(reads.filter((each) => each === queue).length).toBeGreaterThan(10)
  await clock.runUntil(association.close())
})

test('fewer queues than wanted are no fault', async () => {
  const { clock, controller, open } = testBed()
  controller.queues = 1
  const association = await open({ queues: 4 })
  expect(controller.connections.length).toBe(2)
  await clock.runUntil(association.close())
})

test('procedures run on the admin queue and on I/O queues, with work that is not theirs', async () => {
  const { clock, open } = testBed()
  const association = await open()
  const run = association.run(
    (function* () {
      const value = yield* work(() => Promise.resolve(9))
      yield* ask(write(1, { lba: 3, blocks: 1 }, Buffer.alloc(512, value)))
      return (yield* ask(read(1, { lba: 3, blocks: 2 }, 1024))).data
    })(),
    { io: true },
  )
  expect(await clock.runUntil(run)).toEqual(Buffer.concat([Buffer.alloc(512, 9), Buffer.alloc(512)]))
  await clock.runUntil(association.close())
})

test('what does not answer to a command of a procedure in time is given up, and a queue that answers nothing else, too', async () => {
  const { clock, controller, open } = testBed()
  const association = await open({ keepAliveTimeout: 0 })
  const loss = watchLoss(association)
  controller.script.command = ({ opcode, connection }) => connection.queue === 1 && opcode === 0
  const one = association.run(ask(flush(1)), { io: true, owner, timeout: 100 })
  const caught = expect(clock.runUntil(one)).rejects.toThrow('no answer to NVMe command 00h within 100 ms')
  submit(association, Direction.Read, Buffer.alloc(512))
  await caught
  expect(loss.error).toBeUndefined()
  expect(association.commandsOf(owner).length).toBe(1)
  const two = association.run(ask(flush(1)), { io: true, owner, timeout: 100 })
  await expect(clock.runUntil(two)).rejects.toThrow('no answer to NVMe command 00h within 100 ms')
  expect(loss.error?.code).toBe('TIMED_OUT')
  await clock.advance(1)
  expect(controller.connections[1]?.wire.closed).toBe(true)
})

test('a procedure that is called off gives its command up and is told so', async () => {
  const { clock, controller, open } = testBed()
  const association = await open()
  controller.script.command = ({ opcode }) => opcode === 0
  const over = new AbortController()
  const run = association.run(ask(flush(1)), { io: true, owner, signal: over.signal })
  const caught = expect(run).rejects.toMatchObject({ code: 'ABORTED' })
  await clock.advance(10)
  over.abort()
  await caught
  expect(association.commandsOf(owner).length).toBe(1)
  expect(association.usable).toBe(true)
  await clock.runUntil(association.close())
})

test('drained settles when the last command that may change data has ended', async () => {
  const { clock, controller, open } = testBed()
  const association = await open()
  const held: (() => void)[] = []
  controller.script.command = (got) => {
    if (got.opcode !== 1) return false
    held.push(() => got.connection.answer(got))
    return true
  }
  const written = submit(association, Direction.Write, Buffer.alloc(512))
  submit(association, Direction.Read, Buffer.alloc(512))
  await clock.advance(1)
  expect(association.detach([written.command])).toBe(true)
  expect(written.ends).toEqual([{ outcome: Outcome.Lost, status: 0 }])
  let drained = false
  void association.drained(owner).then(() => {
    drained = true
  })
  await clock.advance(100)
  expect(drained).toBe(false)
  for (const answer of held) answer()
  await clock.advance(1)
  expect(drained).toBe(true)
  await expect(association.drained(owner)).resolves.toBeUndefined()
  await clock.runUntil(association.close())
})

test('drained rejects when the association ends first: that commands end with it proves nothing', async () => {
  const { clock, controller, open } = testBed()
  const association = await open()
  controller.script.command = ({ opcode }) => opcode === 1
  submit(association, Direction.Write, Buffer.alloc(512))
  await clock.advance(1)
  const drained = expect(association.drained(owner)).rejects.toThrow('the connection was reset')
  controller.connections[1]?.wire.reset()
  await clock.advance(1)
  await drained
  await expect(association.drained(owner)).rejects.toThrow('the connection was reset')
  association.release()
})

test('a keep-alive goes out each half of the timeout, and what does not answer it is lost', async () => {
  const { clock, controller, open } = testBed()
  const association = await open({ keepAliveTimeout: 4000 })
  const loss = watchLoss(association)
  await clock.advance(20_000)
  const pings = controller.log.filter(({ opcode }) => opcode === 0x18).length
  expect(pings).toBeGreaterThanOrEqual(9)
  expect(pings).toBeLessThanOrEqual(11)
  for (const connection of controller.connections) connection.mute = true
  const began = clock.now()
  await clock.runUntil(() => loss.error !== undefined)
  expect(loss.error?.message).toBe('no answer to a keep-alive in time')
  expect((clock.now() - began) / 1000).toBeLessThan(4100)
  expect(association.endedAt).toBe(clock.now())
  expect(association.heardAt).toBeLessThanOrEqual(began + 1000)
  association.release()
  await clock.advance(5)
  expect(clock.timers).toBe(0)
})

test('where any command is a sign of life, a keep-alive goes out only when there was none', async () => {
  const { clock, controller, open } = testBed()
  controller.identify.writeUInt32LE(0x40, 96)
  const association = await open({ keepAliveTimeout: 4000 })
  const pings = (): number => controller.log.filter(({ opcode }) => opcode === 0x18).length
  for (let second = 0; second < 20; second++) {
    submit(association, Direction.Read, Buffer.alloc(512))
    await clock.advance(1000)
  }
  expect(pings()).toBe(0)
  await clock.advance(8000)
  expect(pings()).toBeGreaterThan(1)
  await clock.runUntil(association.close())
})

test('an event has its log read and told, and events are asked for again', async () => {
  const { clock, controller, open } = testBed()
  const association = await open()
  const heard: string[] = []
  association.listeners.add({
    lost() {},
    ana: (log) => heard.push(`ana ${log.length}`),
    namespaces: (ids) => heard.push(`namespaces ${ids}`),
  })
  expect(controller.events.length).toBe(4)
  controller.event(0x0c_03_02)
  await clock.advance(1000)
  controller.event(0x04_00_02)
  await clock.advance(1000)
  expect(heard).toEqual(['ana 16', 'namespaces '])
  expect(controller.events.length).toBe(4)
  await clock.runUntil(association.close())
})

test('a command that fails by its access state has the ANA log read once, however many do', async () => {
  const { clock, controller, open } = testBed()
  const association = await open()
  const logs = (): number => controller.log.filter(({ opcode, queue }) => opcode === 2 && queue === 0).length
  await clock.advance(1000)
  const before = logs()
  for (let count = 0; count < 128; count++) association.trouble(1, 1)
  await clock.advance(50)
  expect(logs()).toBe(before + 1)
  await clock.runUntil(association.close())
})

test('a ping is a command like others', async () => {
  const { clock, open } = testBed()
  const association = await open()
  expect((await clock.runUntil(association.run(ask(keepAlive())))).status).toBe(0)
  await clock.runUntil(association.close())
})
