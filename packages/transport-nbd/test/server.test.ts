import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { BlockError } from '@blockbraid/core'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { NbdServer } from '../src/index.ts'
import nbd, { createNbdServer } from '../src/index.ts'
import { Client } from './support/client.ts'
import { TestDevice } from './support/device.ts'
import { CLIENT_FLAGS, CMD, go, hex, OPT, option, request, simple, u32 } from './support/wire.ts'

let folder: string
let count = 0
const path = (): string => join(folder, `${++count}.sock`)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-nbd-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function code(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  return BlockError.is(error) ? error.code : String(error)
}

describe('listening', () => {
  it('makes a socket file of mode 0600 and removes it', async () => {
    const socket = path()
    await using server = await createNbdServer({ socket })
    expect((await stat(socket)).mode & 0o777).toBe(0o600)
    await server.close()
    await expect(stat(socket)).rejects.toThrow('ENOENT')
    await using open = await createNbdServer({ socket, socketMode: 0o660 })
    expect((await stat(socket)).mode & 0o777).toBe(0o660)
    await open.close()
  })

  it('replaces the file of a dead server, never a live one or what is no socket', async () => {
    const socket = path()
    await using first = await createNbdServer({ socket })
    expect(await code(createNbdServer({ socket }))).toBe('IN_USE')
    await (await Client.open({ path: socket })).socket.destroy()
    await first.close()

    // A server that dies leaves its file: made by listening on one name and removing the listener's memory of it.
    const dead = createServer()
    const kept = path()
    await new Promise<void>((resolve) => dead.listen(kept, resolve))
    const { link, rename } = await import('node:fs/promises')
    await link(kept, `${kept}.copy`)
    await new Promise((resolve) => dead.close(resolve))
    await rename(`${kept}.copy`, kept)
    await using second = await createNbdServer({ socket: kept })
    expect((await Client.open({ path: kept })).socket.destroyed).toBe(false)
    await second.close()

    const file = path()
    await writeFile(file, 'precious')
    expect(await code(createNbdServer({ socket: file }))).toBe('IN_USE')
    expect((await stat(file)).size).toBe(8)
  })

  it('tells where a relative socket is, for clients in other folders', async () => {
    const file = relative(process.cwd(), join(folder, 'relative'))
    await using server = await createNbdServer({ socket: file })
    expect(server.add(new TestDevice(), { name: 'a' }).uri).toBe(`nbd+unix:///a?socket=${join(folder, 'relative')}`)
  })

  it('tells the port that the system chose, and refuses one in use', async () => {
    await using server = await createNbdServer({ port: 0 })
    expect(server.port).toBeGreaterThan(0)
    const added = server.add(new TestDevice(), { name: 'my disk/1' })
    expect(added.uri).toBe(`nbd://127.0.0.1:${server.port}/my%20disk%2F1`)
    expect(await code(createNbdServer({ port: server.port }))).toBe('IN_USE')
    expect(await code(createNbdServer({ socket: '/no/such/folder/x' }))).toBe('NOT_FOUND')
    const client = await Client.enter({ host: '127.0.0.1', port: server.port }, 'my disk/1')
    client.send(request(CMD.FLUSH))
    expect(await client.read(16)).toEqual(simple(0))
  })

  it('names the wrong field', () => {
    const cases: [object, string][] = [
      [{}, 'socket is undefined'],
      [{ socket: '' }, 'socket is ""'],
      [{ socket: `/${'x'.repeat(107)}` }, 'path of 1 to 107 bytes'],
      [{ socket: '/x', port: 1 }, 'left out'],
      [{ port: 65536 }, 'port is 65536'],
      [{ port: 0, maxRequests: 0 }, 'maxRequests is 0'],
      [{ port: 0, readOnly: 'yes' }, 'readOnly is "yes"'],
      [{ port: 0, tls: { cert: '', key: 'x' } }, 'tls.cert'],
    ]
    for (const [options, message] of cases) expect(() => nbd(options)).toThrow(message)
    expect(() => nbd({ host: '' })).toThrow(TypeError)
  })

  it('sends away more clients than it may have', async () => {
    const socket = path()
    await using server = await createNbdServer({ socket, maxConnections: 2 })
    const first = await Client.open({ path: socket })
    await Client.open({ path: socket })
    await expect(Client.open({ path: socket })).rejects.toThrow('closed after 0')
    expect(server.stats().connections).toBe(2)
    first.socket.destroy()
    await vi.waitFor(() => expect(server.stats().connections).toBe(1))
    await Client.open({ path: socket })
  })
})

describe('exports', () => {
  it('have names of their own, sizes that grow, and counters', async () => {
    const socket = path()
    await using server = await createNbdServer({ socket, readOnly: true })
    const device = new TestDevice()
    const added = server.add(device, { name: 'a' })
    expect(() => server.add(device, { name: 'a' })).toThrow(/exists/)
    expect(() => server.add(device, { name: 'x'.repeat(4097) })).toThrow(TypeError)
    expect(() => added.resize(1000)).toThrow(TypeError)
    const client = await Client.enter({ path: socket }, 'a')
    client.send(request(CMD.READ, { length: 512 }), request(CMD.WRITE, { cookie: 2, payload: Buffer.alloc(512) }))
    // The refusal needs no device and comes first.
    expect(await client.read(16 + 16 + 512)).toEqual(
      Buffer.concat([simple(1, 2), simple(0, 1, device.memory.subarray(0, 512))]),
    )
    expect(added.stats()).toEqual({
      name: 'a',
      connections: 1,
      inflight: 0,
      requests: 2,
      errors: 1,
      readBytes: 512,
      writtenBytes: 0,
    })
    added.resize(131072)
    const later = await Client.open({ path: socket })
    later.send(CLIENT_FLAGS, go('a'))
    expect((await later.read(30)).subarray(22)).toEqual(hex('0000000000020000'))
    await added.remove()
    await client.closed
    server.add(device, { name: 'a' })
  })
})

describe('hostile clients', () => {
  async function stillServes(server: NbdServer, socket: string): Promise<void> {
    const client = await Client.enter({ path: socket }, 'a')
    client.send(request(CMD.FLUSH), request(CMD.DISC))
    await client.read(16)
    await client.closed
    await vi.waitFor(() => {
      const { connections, requests, slabs } = server.stats()
      expect({ connections, requests, slabs }).toEqual({ connections: 0, requests: 0, slabs: 0 })
    })
  }

  it('that announce 4 GiB get an error or are dropped', async () => {
    const socket = path()
    await using server = await createNbdServer({ socket })
    server.add(new TestDevice(), { name: 'a' })
    const reader = await Client.enter({ path: socket }, 'a')
    reader.send(request(CMD.READ, { length: 0xffffffff }))
    expect(await reader.read(16)).toEqual(simple(22))
    reader.socket.destroy()
    const writer = await Client.enter({ path: socket }, 'a')
    writer.send(request(CMD.WRITE, { length: 0xffffffff }), Buffer.alloc(100_000))
    await writer.closed
    const greedy = await Client.open({ path: socket })
    greedy.send(CLIENT_FLAGS, Buffer.from('IHAVEOPT'), u32(OPT.GO), u32(0xffffffff))
    await greedy.closed
    await stillServes(server, socket)
  })

  it('that send garbage, or die in the middle of a write, cost nothing', async () => {
    const socket = path()
    const device = new TestDevice()
    await using server = await createNbdServer({ socket })
    server.add(device, { name: 'a' })
    const garbage = await Client.open({ path: socket })
    garbage.send(Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'))
    await garbage.closed
    const dying = await Client.enter({ path: socket }, 'a')
    dying.send(request(CMD.WRITE, { length: 65536 }), Buffer.alloc(30000))
    dying.socket.destroy()
    await stillServes(server, socket)
    expect(device.log).toEqual(['2:0+0'])
  })

  it('500 at once are served', async () => {
    const socket = path()
    const device = new TestDevice()
    await using server = await createNbdServer({ socket })
    server.add(device, { name: 'a' })
    const clients = await Promise.all(Array.from({ length: 500 }, () => Client.enter({ path: socket }, 'a')))
    expect(server.stats().connections).toBe(500)
    const expected = simple(0, 1, device.memory.subarray(4096, 8192))
    await Promise.all(
      clients.map(async (client) => {
        client.send(request(CMD.READ, { offset: 4096, length: 4096 }))
        expect(await client.read(16 + 4096)).toEqual(expected)
      }),
    )
    for (const client of clients) client.socket.destroy()
    await stillServes(server, socket)
  })

  it('that do not read are not read, and cost what they were allowed', async () => {
    const socket = path()
    const device = new TestDevice(2 ** 20)
    await using server = await createNbdServer({ socket, maxInflightBytes: 4 * 2 ** 20 })
    server.add(device, { name: 'a' })
    const client = await Client.enter({ path: socket }, 'a')
    client.socket.pause()
    client.send(Buffer.concat(Array(64).fill(request(CMD.READ, { length: 2 ** 20 }))))
    await vi.waitFor(() => expect(device.log.length).toBeGreaterThanOrEqual(4))
    const other = await Client.enter({ path: socket }, 'a')
    other.send(request(CMD.FLUSH))
    await other.read(16)
    // Four fill the limit; what the kernel's buffers took makes room for one more.
    expect(device.log.length).toBeLessThanOrEqual(6)
    client.socket.resume()
    const all = await client.read(64 * (16 + 2 ** 20))
    expect(all.subarray(all.length - 2 ** 20).equals(device.memory)).toBe(true)
    client.socket.destroy()
    other.socket.destroy()
    await stillServes(server, socket)
  })
})

describe('the transport', () => {
  it('shares one server, which listens while something is attached', async () => {
    const socket = path()
    const transport = nbd({ socket })
    const device = new TestDevice()
    const [one, two] = await Promise.all([
      transport.attach(device, { name: 'one', description: 'first' }),
      transport.attach(device, { name: 'two' }),
    ])
    expect(one.node).toBe(`nbd+unix:///one?socket=${socket}`)
    expect(await code(transport.attach(device, { name: 'one' }))).toBe('IN_USE')
    const client = await Client.open({ path: socket })
    client.send(CLIENT_FLAGS, option(OPT.LIST))
    expect((await client.read(32)).subarray(20).toString('latin1')).toBe('\0\0\0\x03onefirst')
    await one.detach()
    await one.detach()
    expect((await stat(socket)).isSocket()).toBe(true)
    await two.detach()
    await expect(stat(socket)).rejects.toThrow('ENOENT')
    await client.closed
    const again = await transport.attach(device, { name: 'one' })
    await again.resize(131072)
    await expect(again.resize(-1)).rejects.toThrow(TypeError)
    expect(again.stats().requests).toBe(0)
    await transport.close()
    await transport.close()
    await again.detach()
    await expect(stat(socket)).rejects.toThrow('ENOENT')
    expect(await code(transport.attach(device, { name: 'x' }))).toBe('CLOSED')
  })

  it('leaves no listener behind an attach that fails', async () => {
    const socket = path()
    const transport = nbd({ socket })
    await expect(transport.attach(new TestDevice(), { name: 'a\0b' })).rejects.toThrow(TypeError)
    await expect(stat(socket)).rejects.toThrow('ENOENT')
    const stopped = AbortSignal.abort()
    expect(await code(transport.attach(new TestDevice(), { name: 'a', signal: stopped }))).toBe('ABORTED')
  })

  it('ends at once when the signal of close fires during a detach that waits', async () => {
    const socket = path()
    const transport = nbd({ socket })
    const device = new TestDevice()
    const attachment = await transport.attach(device, { name: 'a' })
    const client = await Client.enter({ path: socket }, 'a')
    device.hold = true
    client.send(request(CMD.READ, { length: 512 }))
    await vi.waitFor(() => expect(device.held.length).toBe(1))
    const detached = attachment.detach()
    const stop = new AbortController()
    const closed = transport.close({ signal: stop.signal })
    stop.abort()
    await Promise.all([detached, closed, client.closed])
    device.release()
  })
})
