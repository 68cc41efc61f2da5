import { expect, test } from 'vitest'
import { testBed } from '../support/controller.ts'
import { icResp, response } from '../support/controller-pdus.ts'

test('a controller that does not answer to ICReq is given up in time', async () => {
  const { clock, controller, begin } = testBed()
  const opened = begin()
  const caught = expect(opened).rejects.toMatchObject({
    code: 'TIMED_OUT',
    message: 'array:4420: not connected within 5000 ms',
  })
  await clock.advance(0)
  const [connection] = controller.connections
  if (connection !== undefined) connection.mute = true
  await clock.advance(4999)
  expect(connection?.wire.closed).toBe(false)
  await clock.advance(2)
  await caught
  expect(connection?.wire.closed).toBe(true)
  await clock.advance(5)
  expect(clock.timers).toBe(0)
})

test('a connection that is not made is given up in time', async () => {
  const { clock, controller, open } = testBed()
  controller.refuse = true
  await expect(
    open({
      openWire: (_, __, { signal }) =>
        new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
    }),
  ).rejects.toThrow('not connected within 5000 ms')
  await clock.advance(5)
  expect(clock.timers).toBe(0)
})

test('connecting can be called off', async () => {
  const { clock, controller, begin } = testBed()
  const over = new AbortController()
  controller.script.command = () => true
  const opened = begin({}, over.signal)
  const caught = expect(opened).rejects.toMatchObject({
    code: 'ABORTED',
    message: 'array:4420: connecting was called off',
  })
  await clock.advance(1)
  over.abort()
  await caught
  await clock.advance(1)
  expect(controller.connections.every(({ wire }) => wire.closed)).toBe(true)
  await clock.advance(5)
  expect(clock.timers).toBe(0)
})

test.each([
  ['an HTTP server', Buffer.from('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'), 'a PDU of type 48h'],
  ['MAXH2CDATA below 4096', icResp({ maxH2cData: 1024 }), 'MAXH2CDATA 1024'],
  ['a completion instead of ICResp', response({ cid: 0 }), 'CapsuleResp in place of ICResp'],
])('%s is refused, and in words', async (_, answer, words) => {
  const { clock, controller, open } = testBed()
  controller.script.icResp = answer
  const opened = open()
  await expect(opened).rejects.toMatchObject({ code: 'PROTOCOL' })
  await expect(opened).rejects.toThrow(words)
  await expect(opened).rejects.toThrow(/^array:4420: /)
  await clock.advance(1100)
  expect(controller.connections[0]?.wire.closed).toBe(true)
  await clock.advance(5)
  expect(clock.timers).toBe(0)
})

test('where an I/O queue is refused, all is ended, and the reason said', async () => {
  const { clock, controller, open } = testBed()
  controller.script.command = (got) => {
    if (got.opcode !== 0x7f || (got.dword(1) & 0xff) !== 1 || got.dword(10) >>> 16 !== 2) return false
    got.connection.answer(got, { status: 0x4182 })
    return true
  }
  await expect(open({ queues: 3 })).rejects.toThrow(/^array:4420: the Connect to /)
  await clock.advance(1)
  expect(controller.connections.map(({ wire }) => wire.closed)).toEqual([true, true, true])
  await clock.advance(5)
  expect(clock.timers).toBe(0)
})

test('a controller that dies while it is brought up is told of', async () => {
  const { clock, controller, open } = testBed()
  controller.script.command = (got) => {
    if (got.opcode === 6) got.connection.wire.reset()
    return got.opcode === 6
  }
  await expect(open()).rejects.toThrow('array:4420: NVMe command 06h had no answer')
  await clock.advance(5)
  expect(clock.timers).toBe(0)
})

test('an I/O queue asks for no flow control, and is connected with it where that is refused', async () => {
  const { clock, controller, open } = testBed()
  const asked: number[] = []
  controller.script.command = (got) => {
    if (got.opcode !== 0x7f || (got.dword(1) & 0xff) !== 1) return false
    const attributes = (got.dword(11) >>> 16) & 0xff
    asked.push(attributes)
    if (attributes === 0) return false
    got.connection.answer(got, { status: 0x4182, result: 46 })
    return true
  }
  const association = await open()
  expect(asked).toEqual([0, 4, 0])
  await clock.runUntil(association.close())
})
