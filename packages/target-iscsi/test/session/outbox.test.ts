import { expect, test } from 'vitest'
import { Direction } from '../../src/session/task.ts'
import { start } from './commands.ts'
import { fakeSession, pdu, turn } from './support.ts'

test('bytes that the standard does not want are zero in every header, though the slab is used again', async () => {
  const { wire, session } = fakeSession({ initialR2T: true, immediateData: false })
  for (let round = 0; round < 3; round++) {
    const write = start(session, Direction.Write, { data: Buffer.alloc(2048, 0xff) })
    const none = start(session, Direction.None)
    await turn()
    const commands = wire.sent()
    expect(commands.map(({ header }) => header.subarray(2, 8).toString('hex'))).toEqual([
      '000000000000',
      '000000000000',
    ])
    wire.receive(pdu({ opcode: 0x31, tag: write.tag, transferTag: 9, word44: 2048 }))
    await turn()
    const [out] = wire.sent()
    expect(out?.header.subarray(1, 5).toString('hex')).toBe('80000000')
    expect(out?.header.readUInt32BE(24)).toBe(0)
    expect(out?.header.readUInt32BE(32)).toBe(0)
    expect(out?.header.readUInt32BE(44)).toBe(0)
    wire.receive(pdu({ opcode: 0x21, tag: write.tag }), pdu({ opcode: 0x21, tag: none.tag }))
  }
})

test('a write buffer is free only when its bytes have left: the data of each R2T counts', async () => {
  const { wire, session } = fakeSession({ initialR2T: true, immediateData: false })
  const { tag, ends } = start(session, Direction.Write, { data: Buffer.alloc(4096) })
  await turn()
  wire.receive(pdu({ opcode: 0x31, tag, transferTag: 9, word44: 4096 }))
  // Not even given to the socket yet.
  wire.receive(pdu({ opcode: 0x21, tag }))
  expect(ends).toEqual([])
  wire.window = 0
  await turn()
  await new Promise((resolve) => setTimeout(resolve, 10))
  expect(ends).toEqual([])
  wire.window = Number.POSITIVE_INFINITY
  await expect.poll(() => ends.length).toBe(1)
})

test('a session that ends while a write waits for its bytes to leave ends it at once, and only then', async () => {
  const { wire, session } = fakeSession()
  const { tag, ends } = start(session, Direction.Write, { data: Buffer.alloc(2048) })
  wire.window = 0
  await turn()
  wire.receive(pdu({ opcode: 0x21, tag }))
  expect(ends).toEqual([])
  wire.receive(pdu({ opcode: 0x2a }))
  expect(ends.length).toBe(1)
  // Nothing of the socket refers to the buffer any more.
  expect(wire.closed).toBe(true)
})
