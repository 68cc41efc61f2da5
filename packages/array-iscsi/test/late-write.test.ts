import { createChaosProxy } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { bed, until, use } from './beds.ts'
import { RawInitiator, read10, write10 } from './initiator.ts'

const block = (byte: number): Buffer => Buffer.alloc(512, byte)

/**
 * A write is swallowed on its way; its host gives the path up, logs in again and writes anew; then the
 * network lets the old bytes go. Returns what the block holds.
 */
async function lateWrite(reinstate: boolean): Promise<number> {
  const { array, memory, ready } = await bed({ reinstate })
  const { host, port } = array.portals[0]!
  const proxy = use(await createChaosProxy({ to: { host, port } }))
  const old = await RawInitiator.login({ port: proxy.port })
  await old.settle()
  proxy.hold('up')
  old.begin(write10(0, 1), { write: block(1) })
  await until(() => proxy.connections[0]!.held.up === 48 + 512, 'the write to be held')
  old.close()
  await until(() => proxy.connections[0]!.clientGone, 'the client to be gone')

  const again = await ready()
  expect((await again.command(write10(0, 1), { write: block(1) })).status).toBe(0)
  expect((await again.command(write10(0, 1), { write: block(2) })).status).toBe(0)
  proxy.release('up')
  await until(() => proxy.connections.length === 0, 'the old bytes to be delivered or lost')
  const answer = await again.command(read10(0, 1), { read: 512 })
  expect([...memory.array.peek(0, 0, 512)].every((byte) => byte === answer.data[0])).toBe(true)
  return answer.data[0]!
}

describe('a late write', () => {
  it('is fenced by reinstatement', async () => {
    expect(await lateWrite(true)).toBe(2)
  })

  it('lands where there is no reinstatement: the test above can fail', async () => {
    expect(await lateWrite(false)).toBe(1)
  })
})
