import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '@blockbraid/core'
import { systemClock } from '@blockbraid/core'
import * as linux from '@blockbraid/linux'
import { LinuxError } from '@blockbraid/linux'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { DetachableWire, ListenAddress, ListenOptions, WireListener } from '../src/index.ts'
import { Connection, DescriptorWire, InputPool, InputWindow, listenForWires, OutboxPool } from '../src/index.ts'

vi.mock('@blockbraid/linux', async (original) => {
  const real = await original<typeof import('@blockbraid/linux')>()
  return {
    ...real,
    listenTcp: vi.fn(real.listenTcp),
    listenUnix: vi.fn(real.listenUnix),
    acceptSocket: vi.fn(real.acceptSocket),
  }
})

const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
  vi.resetAllMocks()
})

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'bb-wires-'))
  open.push(() => rmSync(path, { recursive: true }))
  return path
}

interface Bed {
  listener: WireListener
  wires: DetachableWire[]
  client(): Socket
}

/** Listens, and echoes what comes. */
async function listen(where: ListenAddress, options: Partial<ListenOptions> = {}): Promise<Bed> {
  const inputs = new InputPool(2)
  const wires: DetachableWire[] = []
  const listener = await listenForWires(where, {
    clock: systemClock,
    inputs,
    outputs: new OutboxPool(2),
    window: new InputWindow(inputs),
    maxConnections: 100,
    keepAlive: 60,
    accept(wire) {
      wires.push(wire)
      wire.sink = {
        bytes: (chunk, start, end) => wire.outbox.attach(Buffer.from(chunk.subarray(start, end))),
        finished: () => wire.end(),
        closed: () => {},
      }
    },
    ...options,
  })
  const client = (): Socket => {
    const socket = 'path' in where ? connect(where.path) : connect(listener.port, where.host)
    socket.on('error', () => {})
    open.push(() => socket.destroy())
    return socket
  }
  open.push(() => {
    for (const wire of wires) wire.destroy()
    return listener.close()
  })
  return { listener, wires, client }
}

async function echo(client: Socket, text: string): Promise<string> {
  client.end(text)
  let received = ''
  for await (const chunk of client) received += chunk
  return received
}

describe.each(['the addon', 'node:net'])('by %s', (by) => {
  const LOCAL = { host: '127.0.0.1', port: 0 }

  async function begin(where: ListenAddress, options?: Partial<ListenOptions>): Promise<Bed> {
    if (by === 'node:net') {
      const missing = (): never => {
        throw new LinuxError('load', 0, { code: 'ERR_NO_ADDON', reason: 'not compiled' })
      }
      vi.mocked(linux.listenTcp).mockImplementation(missing)
      vi.mocked(linux.listenUnix).mockImplementation(missing)
      vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    }
    const bed = await listen(where, options)
    return bed
  }

  it('serves over TCP, and over a unix socket', async () => {
    const tcp = await begin(LOCAL)
    const client = tcp.client()
    expect(await echo(client, 'over TCP')).toBe('over TCP')
    expect(tcp.wires[0]).toBeInstanceOf(by === 'node:net' ? Connection : DescriptorWire)
    const path = join(folder(), 's')
    const unix = await begin({ path })
    expect([unix.listener.port, await echo(unix.client(), 'over unix')]).toEqual([0, 'over unix'])
  })

  it('closes at once what is beyond its limit, and takes the next when one has gone', async () => {
    const bed = await begin(LOCAL, { maxConnections: 2 })
    const first = bed.client()
    const second = bed.client()
    await Promise.all([once(first, 'connect'), once(second, 'connect')])
    await expect.poll(() => bed.listener.connections).toBe(2)
    await once(bed.client().resume(), 'close')
    expect(await echo(first, 'still there')).toBe('still there')
    await expect.poll(() => bed.listener.connections).toBe(1)
    expect(await echo(bed.client(), 'room again')).toBe('room again')
  })

  it('closes when the last that it accepted has', async () => {
    const bed = await begin(LOCAL)
    const client = bed.client()
    await expect.poll(() => bed.listener.connections).toBe(1)
    let closed = false
    const closing = bed.listener.close().then(() => {
      closed = true
    })
    const { port } = bed.listener
    const [refused] = await once(connect(port, '127.0.0.1'), 'error')
    expect([refused.code, closed]).toEqual(['ECONNREFUSED', false])
    client.destroy()
    await closing
  })

  it('says in the words of node:net why it cannot listen', async () => {
    const { listener } = await begin(LOCAL)
    const { port } = listener
    await expect(begin({ host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'EADDRINUSE',
      syscall: 'listen',
      message: `listen EADDRINUSE: address already in use 127.0.0.1:${port}`,
    })
    await expect(begin({ host: '192.0.2.1', port: 0 })).rejects.toMatchObject({
      code: 'EADDRNOTAVAIL',
      message: 'listen EADDRNOTAVAIL: address not available 192.0.2.1',
    })
    await expect(begin({ host: 'none.invalid', port: 0 })).rejects.toMatchObject({
      code: expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/),
      syscall: 'getaddrinfo',
    })
  })

  it('gives the socket of a wire to something else, and counts it until that closes', async () => {
    const bed = await begin(LOCAL)
    const client = bed.client()
    await expect.poll(() => bed.wires.length).toBe(1)
    const socket = bed.wires[0]!.detach()
    socket.on('data', (chunk) => socket.end(`taken over: ${chunk}`))
    socket.resume()
    expect(await echo(client, 'hello')).toBe('taken over: hello')
    await expect.poll(() => bed.listener.connections).toBe(0)
  })
})

it('warns once where the addon is missing', async () => {
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  vi.resetModules()
  const fresh = await import('../src/index.ts')
  const inputs = new fresh.InputPool(1)
  const options = {
    clock: systemClock,
    inputs,
    outputs: new fresh.OutboxPool(1),
    window: new fresh.InputWindow(inputs),
    maxConnections: 1,
    keepAlive: 0,
    accept: () => {},
  }
  const { listenTcp } = await import('@blockbraid/linux')
  for (let count = 0; count < 2; count++) {
    vi.mocked(listenTcp).mockImplementation(() => {
      throw new LinuxError('load', 0, { code: 'ERR_NO_ADDON', reason: 'not compiled' })
    })
    await (await fresh.listenForWires({ host: '127.0.0.1', port: 0 }, options)).close()
  }
  expect(warned.mock.calls).toEqual([
    ['connections are slower: load: ERR_NO_ADDON, not compiled', { code: 'BLOCKBRAID_NO_ADDON' }],
  ])
})

it('leaves the file of a unix socket to its owner', async () => {
  const path = join(folder(), 's')
  const { listener } = await listen({ path })
  await listener.close()
  expect(existsSync(path)).toBe(true)
})

it('rests while there are no descriptors, and then takes those who waited', async () => {
  const timers: (() => void)[] = []
  const clock: Clock = {
    ...systemClock,
    after(_, callback) {
      timers.push(callback)
      return { cancel: () => {} }
    },
  }
  const bed = await listen({ host: '127.0.0.1', port: 0 }, { clock })
  let tries = 0
  const real = vi.mocked(linux.acceptSocket).getMockImplementation()!
  vi.mocked(linux.acceptSocket).mockImplementation(() => {
    tries++
    throw new LinuxError('accept', 24)
  })
  const client = bed.client()
  await expect.poll(() => timers.length).toBe(1)
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect([tries, bed.wires.length]).toEqual([1, 0])
  vi.mocked(linux.acceptSocket).mockImplementation(real)
  timers[0]!()
  expect(await echo(client, 'at last')).toBe('at last')
})
