import { link, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BlockDevice, Io } from '@blockbraid/core'
import { userDevice } from '@blockbraid/core'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { NbdServer } from '../src/index.ts'
import { createNbdServer } from '../src/index.ts'
import { checkOptions } from '../src/options.ts'
import { exportUri } from '../src/uri.ts'
import { Client } from './support/client.ts'
import { TestDevice } from './support/device.ts'
import { bench, Link } from './support/link.ts'
import { CLIENT_FLAGS, CMD, extended, go, meta, OPT, option, request, simple } from './support/wire.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-nbd-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function stale(path: string) {
  const dead = createServer()
  await new Promise<void>((r) => dead.listen(path, r))
  await link(path, `${path}.c`)
  await new Promise((r) => dead.close(r))
  await rename(`${path}.c`, path)
}

it('half-close behind a full window: every request is still answered', async () => {
  const socket = join(folder, 'half.sock')
  await using server = await createNbdServer({ socket, maxRequests: 4 })
  const device = new TestDevice()
  server.add(device, { name: 'a' })
  const client = await Client.enter({ path: socket }, 'a')
  device.hold = true
  const n = 20
  client.socket.write(
    Buffer.concat(
      Array.from({ length: n }, (_, cookie) =>
        request(CMD.WRITE, { cookie, offset: 512 * cookie, payload: Buffer.alloc(512, 1 + cookie) }),
      ),
    ),
  )
  client.socket.end()
  await vi.waitFor(() => expect(device.held.length).toBe(4))
  await new Promise((r) => setTimeout(r, 50))
  device.hold = false
  device.release()
  await client.read(16 * n)
})

it('a drain from the handshake does not open a stalled session', async () => {
  const socket = join(folder, 'drain.sock')
  await using server = await createNbdServer({ socket, maxRequests: 4 })
  const device = new TestDevice()
  server.add(device, { name: 'a', description: 'd'.repeat(4000) })
  device.hold = true
  const raw = connect(socket)
  raw.on('error', () => {})
  await new Promise<void>((r) => raw.once('readable', r))
  // one chunk: options whose replies fill the kernel's buffer, GO, and more requests than the window
  const first = Buffer.concat([
    CLIENT_FLAGS,
    ...Array(75).fill(option(OPT.LIST)),
    go('a'),
    ...Array(8).fill(request(CMD.READ, { length: 512 })),
  ])
  raw.write(first)
  await vi.waitFor(() => expect(device.held.length).toBe(4))
  // now the client reads: the handshake's drain fires while the session is stalled
  raw.resume()
  await new Promise((r) => setTimeout(r, 300))
  const flood = Buffer.concat(Array(2048).fill(request(CMD.FLUSH)))
  let sent = 0
  for (let i = 0; i < 1200; i++) {
    if (!raw.write(flood)) {
      const ok = await Promise.race([
        new Promise((r) => raw.once('drain', () => r(true))),
        new Promise((r) => setTimeout(() => r(false), 300)),
      ])
      if (!ok) break
    }
    sent += flood.length
  }
  raw.destroy()
  device.hold = false
  device.release()
  expect(sent).toBeLessThan(4e6)
})

it('a name that no URI can hold leaves no export behind', async () => {
  const socket = join(folder, 'name.sock')
  await using server = await createNbdServer({ socket })
  const device = new TestDevice()
  expect(() => server.add(device, { name: 'a\ud800' })).toThrow('name is')
  expect(server.stats().exports).toEqual([])
})

it('two servers that find the same stale socket: one wins', async () => {
  const socket = join(folder, 'stale.sock')
  for (let round = 0; round < 5; round++) {
    await rm(socket, { force: true })
    await stale(socket)
    const results = await Promise.allSettled([createNbdServer({ socket }), createNbdServer({ socket })])
    const won = results.filter((result): result is PromiseFulfilledResult<NbdServer> => result.status === 'fulfilled')
    for (const { value } of won) await value.close()
    expect(won.length).toBeLessThan(2)
  }
})

it('memory held by a write is about its length', async () => {
  const device = new TestDevice(2 ** 23)
  const on = bench({ a: device })
  const l = new Link(on)
  l.send(CLIENT_FLAGS, go('a'))
  await Link.settle()
  device.hold = true
  const length = 2049 * 512
  l.send(request(CMD.WRITE, { length }))
  for (let i = 0; i < 512; i++) {
    l.send(Buffer.alloc(1))
    await Link.settle(1)
    l.send(Buffer.from(new Uint8Array(2048)))
    await Link.settle(1)
  }
  await Link.settle()
  const { buffers } = device.held[0]!
  const backing = new Set(buffers.map((b) => b.buffer))
  let held = 0
  for (const b of backing) held += b.byteLength
  expect(held).toBeLessThan(2 * length)
})

it('block status counts against maxInflightBytes', async () => {
  const device = new TestDevice(65536 * 512)
  device.extents = async (_o, length) =>
    Array.from({ length: length / 512 }, (_, i) => ({ length: 512, hole: i % 2 === 1, zero: i % 2 === 1 }))
  const on = bench({ a: device }, { maxInflightBytes: 2 ** 20 })
  const l = new Link(on)
  l.send(CLIENT_FLAGS, option(OPT.EXTENDED), meta(OPT.SET_META, 'a', ['base:allocation']), go('a'))
  await Link.settle()
  l.socket.stuck = true
  l.send(
    Buffer.concat(Array.from({ length: 128 }, (_, cookie) => extended(CMD.STATUS, { cookie, length: 65536 * 512 }))),
  )
  await Link.settle(200)
  expect(l.socket.writableLength).toBeLessThan(8 * 2 ** 20)
})

it('LIST flood without reading', async () => {
  const devices: Record<string, TestDevice> = {}
  for (let i = 0; i < 100; i++) devices[`volume-${i}-${'n'.repeat(40)}`] = new TestDevice(512)
  const on = bench(devices)
  const l = new Link(on)
  l.socket.stuck = true
  l.send(CLIENT_FLAGS)
  await Link.settle()
  l.send(Buffer.concat(Array(1024).fill(option(OPT.LIST))))
  await Link.settle()
  expect(l.socket.writableLength).toBeLessThan(2 ** 20)
})

it('IPv6 zone in a URI', async () => {
  const uri = exportUri(checkOptions({ host: 'fe80::1%eth0', port: 1 }), 1, 'x')
  expect(uri).toBe('nbd://[fe80::1%25eth0]:1/x')
})

it('closing a server leaves the socket file of its successor alone', async () => {
  const socket = join(folder, 'n.sock')
  const a = await createNbdServer({ socket })
  await rm(socket)
  await using b = await createNbdServer({ socket })
  b.add(new TestDevice(), { name: 'a' })
  await a.close()
  expect(
    await stat(socket).then(
      () => 'there',
      () => 'gone',
    ),
  ).toBe('there')
})

it('EOPNOTSUPP reaches the client only for FAST_ZERO', async () => {
  const device = new TestDevice()
  const l = new Link(bench({ a: device }))
  l.send(CLIENT_FLAGS, go('a'))
  await Link.settle()
  l.socket.written.length = 0
  device.failWith = 95
  l.send(request(CMD.TRIM, { length: 512 }))
  await Link.settle()
  expect(l.output).toEqual(simple(22))
})

it('ABORT with bytes behind it still gets its ACK', async () => {
  const l = new Link(bench({ a: new TestDevice() }))
  l.send(Buffer.concat([CLIENT_FLAGS, option(OPT.ABORT), Buffer.from('x')]))
  await Link.settle()
  expect(l.output.length).toBe(18 + 20)
})
it('refuses to write zeroes over a PiB for one request, where they would be written one by one', async () => {
  let writes = 0
  const size = 2 ** 50
  const inner = new TestDevice(2 ** 20, { writeZeroes: false, maxTransfer: 65536 })
  const device: BlockDevice = {
    limits: { ...inner.limits, size },
    submit(io: Io) {
      writes++
      setImmediate(() => io.done(io, 0))
    },
    async close() {},
  }
  const on = bench({ a: userDevice(device) })
  const l = new Link(on)
  l.send(CLIENT_FLAGS, option(OPT.EXTENDED), go('a'))
  await Link.settle()
  l.send(extended(CMD.ZEROES, { length: size }))
  await Link.settle()
  l.connection.destroy('client gone')
  await on.exports.get('a')!.remove()
  expect(writes).toBe(0)
})
it('refuses client certificates where TLS is left to the client', () => {
  const tls = { cert: 'c', key: 'k', ca: 'a', requireClientCert: true, required: false }
  expect(() => checkOptions({ port: 0, tls })).toThrow('tls')
})
it('refuses to ask for client certificates without an authority of its own: any public one would do then', () => {
  const tls = { cert: 'c', key: 'k', requireClientCert: true }
  expect(() => checkOptions({ port: 0, tls })).toThrow(
    "nbd: tls.ca is undefined; it must be the authority that signs clients' certificates where requireClientCert is true",
  )
})
