import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { IoSource } from '@blockbraid/core'
import { expect, it, vi } from 'vitest'
import { createNbdServer } from '../src/index.ts'
import { Barrier } from '../src/kernel/barrier.ts'
import { Client } from './support/client.ts'
import { RecordingDevice, TestDevice } from './support/device.ts'
import { bench, Link } from './support/link.ts'
import { CLIENT_FLAGS, CMD, go, request, simple } from './support/wire.ts'

const write = (cookie: number): Buffer =>
  request(CMD.WRITE, { cookie, offset: 512 * cookie, payload: Buffer.alloc(512, cookie) })

async function enter(on: ReturnType<typeof bench>): Promise<Link> {
  const link = new Link(on)
  link.send(CLIENT_FLAGS, go('a'))
  await Link.settle()
  link.socket.written.length = 0
  return link
}

it('every Io of a connection carries its source, which tells when it came, and another one each', async () => {
  const device = new RecordingDevice()
  const on = bench({ a: device })
  const first = await enter(on)
  on.host.advance(5)
  const second = await enter(on)
  first.send(write(1), request(CMD.READ, { length: 512 }), request(CMD.FLUSH))
  await Link.settle()
  second.send(request(CMD.ZEROES, { length: 512 }), request(CMD.TRIM, { length: 512 }))
  await Link.settle()
  const [one, , , two] = device.sources
  expect(device.sources).toEqual([one, one, one, two, two])
  expect(device.sources.map((source) => source === one)).toEqual([true, true, true, false, false])
  expect(two!.since - one!.since).toBe(5000)
  // A request that is used again keeps nothing of the client before.
  const pooled = on.requests.take()
  expect(pooled.io.source).toBeNull()
  on.requests.give(pooled)
})

it('a connection that is cut is abandoned once, with what it has in flight', async () => {
  const device = new RecordingDevice()
  const link = await enter(bench({ a: device }))
  device.hold = true
  link.send(write(1))
  await Link.settle()
  expect(device.abandoned).toEqual([])
  link.socket.destroy()
  await Link.settle()
  expect(device.abandoned).toEqual([device.sources[0]])
  device.release()
  await Link.settle()
  expect(device.abandoned.length).toBe(1)
})

it('a client that ends its side without DISC is abandoned at once, and still gets its answers', async () => {
  const device = new RecordingDevice()
  const link = await enter(bench({ a: device }))
  device.hold = true
  link.send(write(1))
  await Link.settle()
  await Link.settle()
  link.end()
  await Link.settle()
  expect(device.abandoned).toEqual([device.sources[0]])
  expect(link.socket.destroyed).toBe(false)
  device.release()
  await Link.settle()
  expect(link.output).toEqual(simple(0, 1))
  expect(link.socket.destroyed).toBe(true)
  expect(device.abandoned.length).toBe(1)
})

it('a client that says DISC and ends its side is abandoned when all is answered, not before', async () => {
  const device = new RecordingDevice()
  const link = await enter(bench({ a: device }))
  device.hold = true
  link.send(write(1), request(CMD.DISC))
  await Link.settle()
  link.end()
  await Link.settle()
  expect(device.abandoned).toEqual([])
  device.release()
  await Link.settle()
  expect(link.output).toEqual(simple(0, 1))
  expect(device.abandoned).toEqual([device.sources[0]])
})

it('DISC counts too where it waits behind requests for which there was no room yet', async () => {
  const device = new RecordingDevice()
  const link = await enter(bench({ a: device }, { maxRequests: 2 }))
  device.hold = true
  link.send(Buffer.concat([write(1), write(2), write(3), write(4), request(CMD.DISC)]))
  await Link.settle()
  link.end()
  await Link.settle()
  expect(device.abandoned).toEqual([])
  device.hold = false
  device.release()
  await Link.settle(12)
  expect(link.output).toEqual(Buffer.concat([1, 2, 3, 4].map((cookie) => simple(0, cookie))))
  expect(device.abandoned.length).toBe(1)
})

it('what waited when its client went without DISC changes nothing any more: it may have been sent again elsewhere', async () => {
  const device = new RecordingDevice()
  const on = bench({ a: device }, { maxRequests: 2 })
  const link = await enter(on)
  device.hold = true
  const read = request(CMD.READ, { cookie: 4, length: 512 })
  // A payload that looks like DISC is none.
  const goodbye = request(CMD.WRITE, { cookie: 5, payload: Buffer.concat(Array(512 / 4).fill(Buffer.of(0, 2, 0, 2))) })
  link.send(
    Buffer.concat([write(1), write(2), write(3), read, goodbye, request(CMD.ZEROES, { cookie: 6, length: 512 })]),
  )
  await Link.settle()
  link.end()
  await Link.settle()
  expect(device.abandoned.length).toBe(1)
  device.hold = false
  device.release()
  await Link.settle(12)
  expect(device.log).toEqual(['1:512+512', '1:1024+512', '0:0+512'])
  const answers = [simple(0, 1), simple(0, 2), simple(108, 3), simple(108, 5), simple(108, 6)]
  for (const answer of answers) expect(link.output.includes(answer)).toBe(true)
  expect(link.output.includes(simple(0, 4, device.memory.subarray(0, 512)))).toBe(true)
  expect(on.requests.outstanding).toBe(0)
})

it('a client that goes while it is not read, for its requests are too many, is noticed all the same', async () => {
  const device = new RecordingDevice()
  const on = bench({ a: device }, { maxRequests: 2 })
  const link = await enter(on)
  device.hold = true
  link.send(write(1), write(2), write(3))
  await Link.settle()
  expect(link.socket.isPaused()).toBe(true)
  for (let cookie = 4; cookie < 40; cookie++) link.send(write(cookie))
  link.end()
  await Link.settle()
  expect(device.abandoned).toEqual([])
  on.host.advance(100)
  await Link.settle()
  expect(device.abandoned).toEqual([device.sources[0]])
  device.hold = false
  device.release()
  await Link.settle(30)
  expect(device.log.length).toBe(2)
  expect(link.output.length).toBe(39 * simple(0).length)
  expect([link.socket.destroyed, on.requests.outstanding, on.host.pending()]).toEqual([true, 0, 0])
})

it('a client on a real socket that is killed behind a full window is noticed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bb-nbd-'))
  const socket = join(folder, 'nbd.sock')
  await using server = await createNbdServer({ socket, maxRequests: 2 })
  const device = new RecordingDevice(2 ** 20)
  server.add(device, { name: 'a' })
  const client = await Client.enter({ path: socket }, 'a')
  device.hold = true
  // More than the server reads into its own buffer when it has stopped reading, less than the kernel takes.
  client.send(...Array<Buffer>(4).fill(request(CMD.WRITE, { payload: Buffer.alloc(65536) })))
  await vi.waitFor(() => expect(device.held.length).toBe(2))
  await new Promise<void>((resolve) => client.socket.end(resolve))
  client.socket.destroy()
  await vi.waitFor(() => expect(device.abandoned).toEqual([device.sources[0]]), { timeout: 10_000 })
  device.hold = false
  device.release()
  await rm(folder, { recursive: true })
})

it('a client that lives and is not read is read no further than 4 MiB', async () => {
  const device = new RecordingDevice()
  const on = bench({ a: device }, { maxRequests: 1 })
  const link = await enter(on)
  device.hold = true
  link.send(write(1), write(2))
  await Link.settle()
  for (let chunk = 0; chunk < 100; chunk++) {
    link.send(Buffer.alloc(65536))
    on.host.advance(100)
    await Link.settle(2)
  }
  expect(link.socket.readableLength).toBe(37 * 65536)
  expect(device.abandoned).toEqual([])
  link.socket.destroy()
  await Link.settle()
  expect(on.host.pending()).toBe(0)
})

it('a kernel connection passes it on to the device', () => {
  const device = new RecordingDevice()
  const gate = new Barrier(false).gate(device)
  const source = new IoSource(7)
  gate.abandon(source)
  expect(device.abandoned).toEqual([source])
  new Barrier(false).gate(new TestDevice()).abandon(new IoSource(7))
})
