import { BlockError } from '@blockbraid/core'
import { createVirtualClock } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import { NO_TAG } from '../../src/pdu/opcode.ts'
import { fakeSession, pdu } from './support.ts'

const NOP_OUT = 0x40
const NOP_IN = 0x20

test('all who ask a session at once are one NOP-Out, and any PDU is the answer', async () => {
  const clock = createVirtualClock()
  const { wire, session } = fakeSession({}, clock)
  const asked = Promise.all(Array.from({ length: 5 }, () => session.ping({})))
  await clock.advance(1)
  const sent = wire.sent()
  expect(sent.map(({ header }) => header[0])).toEqual([NOP_OUT])
  const tag = sent[0]!.header.readUInt32BE(16)
  wire.receive(pdu({ opcode: NOP_IN, flags: 0x80, tag, transferTag: NO_TAG, statSn: 1 }))
  await asked
  // A moment ago will do.
  await clock.advance(50)
  await session.ping({})
  expect(wire.sent()).toEqual([])
  session.drop(new BlockError('CLOSED', 'over'))
})

test('a session that is lost ends who asks, and a lost one is not asked', async () => {
  const clock = createVirtualClock()
  const { session } = fakeSession({}, clock)
  const asked = session.ping({}).catch((error: Error) => error.message)
  session.drop(new BlockError('CLOSED', 'over'))
  expect(await asked).toBe('over')
  await expect(session.ping({})).rejects.toThrow('over')
  expect(clock.timers).toBe(0)
})
