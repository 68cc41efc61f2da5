import { createVirtualClock } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import { fakeSession, pdu } from './support.ts'

const TEXT_RESPONSE = 0x24
const payload = Buffer.from('SendTargets=All\0')

test('a text answer in parts: every request of the sequence has the same task tag, and the LUN and tag told', async () => {
  const clock = createVirtualClock()
  const { wire, session } = fakeSession({}, clock)
  const answer = session.text(payload, 1000)
  let tag: number | undefined
  for (const [index, part] of ['one\0', 'two\0', 'three\0'].entries()) {
    await clock.advance(0)
    const [request, ...more] = wire.sent()
    expect(more).toEqual([])
    expect(request?.header[0]).toBe(0x44)
    expect(request?.header[1]).toBe(0x80)
    expect(request?.header.readUInt32BE(20)).toBe(index === 0 ? 0xffff_ffff : 40 + index)
    expect(request?.header.readUInt32BE(8)).toBe(index === 0 ? 0 : 0x0009_0000)
    expect(request?.data.toString()).toBe(index === 0 ? payload.toString() : '')
    // RFC 7143 §11.10.3.
    tag ??= request?.header.readUInt32BE(16) as number
    expect(request?.header.readUInt32BE(16)).toBe(tag)
    const last = index === 2
    const bytes = pdu({
      opcode: TEXT_RESPONSE,
      flags: last ? 0x80 : 0x40,
      tag,
      transferTag: last ? 0xffff_ffff : 41 + index,
      data: Buffer.from(part),
    })
    bytes.writeUInt32BE(0x0009_0000, 8)
    wire.receive(bytes)
  }
  expect((await answer).toString()).toBe('one\0two\0three\0')
  expect(clock.timers).toBe(0)
})

test.each([
  ['no data', { data: Buffer.alloc(0) }, 'goes on for ever'],
  ['no tag to go on with', { transferTag: 0xffff_ffff }, 'goes on for ever'],
  ['too much data', { data: Buffer.alloc(1001) }, 'more than 1000 bytes'],
])('an answer that is not the last and has %s is an error', async (_what, fields, words) => {
  const clock = createVirtualClock()
  const { wire, session } = fakeSession({}, clock)
  const answer = session.text(payload, 1000).catch((error: unknown) => error)
  await clock.advance(0)
  const tag = wire.sent()[0]?.header.readUInt32BE(16) ?? 0
  wire.receive(pdu({ opcode: TEXT_RESPONSE, flags: 0, tag, transferTag: 1, data: Buffer.from('x'), ...fields }))
  expect(await answer).toMatchObject({ code: 'PROTOCOL', message: expect.stringContaining(words) })
  expect(clock.timers).toBe(0)
})

test('an answer in endless small parts, each in time, ends with TIMED_OUT', async () => {
  const clock = createVirtualClock()
  const { wire, session } = fakeSession({}, clock)
  let ended: unknown
  session.text(payload, 4 * 1024 * 1024).catch((error: unknown) => {
    ended = error
  })
  for (let count = 0; count < 1000 && ended === undefined; count++) {
    await clock.advance(900)
    for (const { header } of wire.sent()) {
      const tag = header.readUInt32BE(16)
      wire.receive(pdu({ opcode: TEXT_RESPONSE, flags: 0, tag, transferTag: 1, data: Buffer.from('x') }))
    }
  }
  expect(ended).toMatchObject({ code: 'TIMED_OUT' })
  expect(clock.now()).toBeLessThan(5_000_000)
  expect(clock.timers).toBe(0)
})

test('no answer: TIMED_OUT; an answer after that, or for nobody, is let go', async () => {
  const clock = createVirtualClock()
  const { wire, session, state } = fakeSession({}, clock)
  const answer = session.text(payload, 1000).catch((error: unknown) => error)
  await clock.advance(0)
  const tag = wire.sent()[0]?.header.readUInt32BE(16) ?? 0
  await clock.advance(1000)
  expect(await answer).toMatchObject({ code: 'TIMED_OUT' })
  wire.receive(pdu({ opcode: TEXT_RESPONSE, tag, data: Buffer.from('late') }))
  wire.receive(pdu({ opcode: TEXT_RESPONSE, tag: 77, data: Buffer.from('late') }))
  expect(state.lost).toBeUndefined()
})

test('a reject of a request fails that one alone', async () => {
  const clock = createVirtualClock()
  const { wire, session, state } = fakeSession({}, clock)
  const answer = session.text(payload, 1000).catch((error: unknown) => error)
  await clock.advance(0)
  const { header } = wire.sent()[0] as { header: Buffer }
  wire.receive(pdu({ opcode: 0x3f, response: 5, data: header }))
  expect(await answer).toMatchObject({ code: 'PROTOCOL', message: expect.stringContaining('command not supported') })
  expect(state.lost).toBeUndefined()
  expect(clock.timers).toBe(0)
})
