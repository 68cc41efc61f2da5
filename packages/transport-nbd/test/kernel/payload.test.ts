import { Socket } from 'node:net'
import type { Io } from '@blockbraid/core'
import { systemHost } from '@blockbraid/core'
import { socketPair } from '@blockbraid/linux'
import { InputPool, InputWindow, OutboxPool, Wakeful } from '@blockbraid/wire'
import { expect, it } from 'vitest'
import { NodeLinks } from '../../src/kernel/node-links.ts'
import { RequestPool } from '../../src/transmission/request.ts'
import { Client } from '../support/client.ts'
import { TestDevice } from '../support/device.ts'
import { seeded } from '../support/random.ts'
import { CMD, request, simple } from '../support/wire.ts'

/** Keeps Ios for a while and looks at their payload when they end. */
class SlowDevice extends TestDevice {
  readonly torn: string[] = []
  views = 0
  readonly #late: Io[] = []
  readonly #random: () => number

  constructor(size: number, random: () => number) {
    super(size)
    this.#random = random
  }

  override submit(io: Io): void {
    this.views = Math.max(this.views, io.buffers.length)
    this.#late.push(io)
    if (this.#late.length > 5) this.#end(Math.floor(this.#random() * 5))
    else setImmediate(() => this.#end(0))
  }

  #end(at: number): void {
    const [io] = this.#late.splice(at, 1)
    if (io === undefined) return
    // The byte that every payload is filled with tells where it belongs.
    const wanted = (io.offset / 512) % 251
    for (const view of io.buffers) if (!Buffer.alloc(view.length, wanted).equals(view)) this.torn.push(`${io.offset}`)
    setImmediate(() => io.done(io, 0))
  }
}

it('keeps the payload of each write until it is done, however the stream is cut', async () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  const random = seeded(seed)
  const device = new SlowDevice(512, random)
  device.limits = { ...device.limits, size: 2 ** 30 }
  const inputs = new InputPool(4)
  const requests = new RequestPool(64)
  const outputs = new OutboxPool(4)
  const window = new InputWindow(inputs)
  const wakeful = new Wakeful(systemHost.clock, 50)
  const limits = { maxRequests: Number.POSITIVE_INFINITY, maxInflightBytes: Number.POSITIVE_INFINITY }
  const context = { host: systemHost, requests, outputs, wakeful, inputs, window, ...limits }
  const links = new NodeLinks({ kernel: { socketPair }, context, device, name: 'x' }, false)
  const { socket } = links.add()
  const client = new Client(new Socket({ fd: socket, readable: true, writable: true }))
  let expected = 0
  for (let round = 0; round < 400; round++) {
    const block = Math.floor(random() * 1000)
    const length = 512 * (1 + Math.floor(random() ** 4 * 2000))
    const bytes = request(CMD.WRITE, { cookie: round, offset: block * 512, payload: Buffer.alloc(length, block % 251) })
    for (let at = 0; at < bytes.length; ) {
      const cut = random() < 0.3 ? 1 + Math.floor(random() * 3000) : bytes.length
      client.send(bytes.subarray(at, at + cut))
      at += cut
      if (random() < 0.2) await new Promise((resolve) => setImmediate(resolve))
    }
    expected++
    if (round % 20 === 19) {
      while (expected > 0) {
        const reply = await client.read(16)
        expect(reply.subarray(0, 8)).toEqual(simple(0).subarray(0, 8))
        expected--
      }
    }
  }
  expect(device.torn, `seed ${seed}`).toEqual([])
  // One for each slab that a write lies in.
  expect(device.views).toBeLessThanOrEqual(3)
  client.socket.destroy()
  await client.closed
  await links.drained()
  window.close()
  expect([inputs.outstanding, requests.outstanding, outputs.outstanding]).toEqual([0, 0, 0])
})
