import { Socket } from 'node:net'
import { socketPair } from '@blockbraid/linux'
import { DescriptorWire, InputWindow } from '@blockbraid/wire'
import { expect, it, onTestFinished } from 'vitest'
import { Connection } from '../src/connection.ts'
import { ServerMemory } from '../src/transmission/memory.ts'
import { Client } from './support/client.ts'
import { TestDevice } from './support/device.ts'
import { bench } from './support/link.ts'
import { CLIENT_FLAGS, CMD, go, request } from './support/wire.ts'

/** A client over a socket pair, which is read into `window`. */
async function begin(on: ReturnType<typeof bench>, window: InputWindow): Promise<Client> {
  const [ours, theirs] = socketPair()
  const { host, outputs } = on.context
  const connection = new Connection(on.context, new DescriptorWire(ours, { clock: host.clock, window, outputs }))
  onTestFinished(() => connection.destroy('over'))
  const client = new Client(new Socket({ fd: theirs }))
  onTestFinished(() => void client.socket.destroy())
  client.send(CLIENT_FLAGS, go('a'))
  await client.read(18 + 32 + 34 + 20)
  return client
}

it('payload stays where it was read, until many slabs are held: then it is copied, so that small views hold no large memory', async () => {
  const device = new TestDevice()
  const on = bench({ a: device })
  const { inputs } = on.context
  on.context = { ...on.context, memory: new ServerMemory(on.host.clock, 2 ** 28, 1024) }
  const window = new InputWindow(inputs)
  const client = await begin(on, window)
  device.hold = true
  const payload = Buffer.alloc(4096, 7)
  const write = async (count: number): Promise<Uint8Array> => {
    client.send(request(CMD.WRITE, { payload }))
    await expect.poll(() => device.held.length).toBe(count)
    return device.held[count - 1]!.buffers[0]!
  }
  const slab = window.open()
  expect((await write(1)).buffer).toBe(slab.buffer)
  const taken = Array.from({ length: 64 }, () => inputs.take())
  const copied = await write(2)
  expect(copied.buffer.byteLength).toBe(4096)
  expect(payload.equals(copied)).toBe(true)
  for (const each of taken) inputs.give(each)
  expect((await write(3)).buffer).toBe(slab.buffer)
  device.release()
  await client.read(3 * 16)
  window.close()
  expect([inputs.outstanding, on.requests.outstanding]).toEqual([0, 0])
})
