import { once } from 'node:events'
import type { AddressInfo, Server, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { ChaosProxy } from '../src/index.ts'
import { createChaosProxy, virtualHost } from '../src/index.ts'
import { until } from './until.ts'

const open: AsyncDisposable[] = []
const clients: Socket[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  for (const one of open.splice(0).reverse()) await one[Symbol.asyncDispose]()
})

/** Time enough for what goes over loopback at once. */
async function idleTurns(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** A server that remembers what came in each connection, and sends it back. */
class Echo {
  readonly received: string[] = []
  readonly ended: boolean[] = []
  readonly sockets: Socket[] = []
  readonly server: Server = createServer((socket) => {
    const number = this.received.push('') - 1
    this.sockets.push(socket)
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      this.received[number] += chunk.toString('latin1')
      socket.write(chunk)
    })
    socket.on('end', () => {
      this.ended[number] = true
    })
  })

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    this.server.close()
    await once(this.server, 'close')
  }
}

class Client {
  readonly socket: Socket
  text = ''
  closed = false

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1' })
    clients.push(this.socket)
    this.socket.on('data', (chunk: Buffer) => (this.text += chunk.toString('latin1')))
    this.socket.on('error', () => {})
    this.socket.on('close', () => (this.closed = true))
  }

  say(text: string): this {
    this.socket.write(text, 'latin1')
    return this
  }

  async hears(text: string): Promise<void> {
    await until(() => this.text === text, `hearing ${JSON.stringify(text)}, not ${JSON.stringify(this.text)}`)
  }

  async ends(): Promise<void> {
    await until(() => this.closed, 'the end of the connection')
  }
}

async function bed(
  host?: Parameters<typeof createChaosProxy>[1],
): Promise<{ echo: Echo; proxy: ChaosProxy; client: () => Client }> {
  const echo = new Echo()
  open.push(echo)
  echo.server.listen(0, '127.0.0.1')
  await once(echo.server, 'listening')
  const proxy = await createChaosProxy({ to: { host: '127.0.0.1', port: echo.port } }, host)
  open.push(proxy)
  return { echo, proxy, client: () => new Client(proxy.port) }
}

describe('chaos proxy', () => {
  it('passes bytes on, both ways, and the ends of streams', async () => {
    const { echo, proxy, client } = await bed()
    const one = client().say('hello')
    await one.hears('hello')
    expect(proxy.connections).toMatchObject([{ number: 0, received: { up: 5, down: 5 }, held: { up: 0, down: 0 } }])
    one.socket.end()
    await one.ends()
    await until(() => echo.ended[0] === true && proxy.connections.length === 0, 'the end')
    expect(proxy.accepted).toBe(1)
  })

  it('passes a large stream on unharmed, whoever is slow', async () => {
    const { client } = await bed()
    const one = client()
    one.socket.pause()
    const text = Array.from({ length: 20_000 }, (_, n) => `${n} some text to make it long\n`).join('')
    one.say(text)
    one.socket.end()
    one.socket.resume()
    await until(() => one.text.length === text.length, 'everything')
    expect(one.text).toBe(text)
  })

  it('cuts', async () => {
    const { proxy, client } = await bed()
    const one = client().say('a')
    await one.hears('a')
    proxy.cut()
    await one.ends()
    await until(() => proxy.connections.length === 0, 'no connection')
    const two = client().say('b')
    await two.hears('b')
  })

  it('holds and releases in order, for connections that come later too', async () => {
    const { echo, proxy, client } = await bed()
    const one = client().say('a')
    await one.hears('a')
    proxy.hold('up')
    one.say('b').say('c')
    const two = client().say('d')
    await until(() => proxy.connections.length === 2 && proxy.connections[1]!.held.up === 1, 'a held byte')
    await until(() => proxy.connections[0]!.held.up === 2, 'held bytes')
    expect(echo.received.join()).toMatch(/^a,?$/)
    proxy.release('up')
    await one.hears('abc')
    await two.hears('d')
    proxy.hold('down')
    one.say('e')
    await until(() => echo.received[0] === 'abce', 'the byte at the target')
    expect(one.text).toBe('abc')
    proxy.release()
    await one.hears('abce')
  })

  it('delivers what it holds although the client is gone', async () => {
    const { echo, proxy, client } = await bed()
    const one = client().say('a')
    await one.hears('a')
    proxy.hold('up')
    one.say('late')
    await until(() => proxy.connections[0]!.held.up === 4, 'held bytes')
    one.socket.resetAndDestroy()
    await until(() => proxy.connections[0]!.clientGone, 'the client to be gone')
    expect(echo.received[0]).toBe('a')
    expect(echo.ended[0]).toBeUndefined()
    proxy.release('up')
    await until(() => echo.received[0] === 'alate' && echo.ended[0] === true, 'the late bytes, then the end')
    await until(() => proxy.connections.length === 0, 'no connection')
  })

  it('loses what it holds where the target is gone', async () => {
    const { echo, proxy, client } = await bed()
    const one = client().say('a')
    await one.hears('a')
    proxy.hold('up')
    one.say('late')
    await until(() => proxy.connections[0]!.held.up === 4, 'held bytes')
    echo.sockets[0]!.destroy()
    await one.ends()
    expect(proxy.connections).toHaveLength(1)
    proxy.release()
    await until(() => proxy.connections.length === 0, 'no connection')
    expect(echo.received[0]).toBe('a')
  })

  it('is a black hole, and cuts at its end what has lost bytes', async () => {
    const { echo, proxy, client } = await bed()
    const [one, idle, leaving] = [client().say('a'), client().say('i'), client().say('l')]
    await one.hears('a')
    await idle.hears('i')
    await leaving.hears('l')
    proxy.blackhole(true)
    one.say('lost')
    const during = client().say('x')
    await until(() => proxy.accepted === 4, 'the connections')
    leaving.socket.resetAndDestroy()
    await until(() => proxy.connections[0]!.received.up === 5, 'the bytes to be swallowed')
    await until(() => proxy.connections[2]!.clientGone, 'the client to be gone')
    // The end of a stream does not get through either.
    await idleTurns()
    expect(echo.received).toEqual(['a', 'i', 'l'])
    expect(echo.ended[2]).toBeUndefined()
    proxy.blackhole(false)
    await one.ends()
    await during.ends()
    await idle.say('j').hears('ij')
    expect(proxy.connections).toHaveLength(1)
    await client().say('z').hears('z')
  })

  it('corrupts one byte, in one connection', async () => {
    const { echo, proxy, client } = await bed()
    const one = client().say('ab')
    await one.hears('ab')
    proxy.corruptAt(2, 'up')
    one.say('cdef')
    await one.hears('abcddf')
    expect(echo.received[0]).toBe('abcddf')
    proxy.corruptAt(0, 'down')
    one.say('bb')
    await one.hears('abcddfcb')
    const two = client().say('bb')
    await two.hears('bb')
  })

  it.each([0, 1, 3, 4])('cuts behind byte %i, of which all before gets through', async (offset) => {
    const { echo, proxy, client } = await bed()
    proxy.cutAt(offset, 'up')
    const one = client().say('abcd')
    await one.ends()
    await until(() => echo.received[0]?.length === offset, 'the bytes before')
    const two = client().say('abcd')
    await two.hears('abcd')
  })

  it('calls back at a byte: the rest waits', async () => {
    const { echo, proxy, client } = await bed()
    proxy.atByte(2, 'up', () => proxy.hold('up'))
    const one = client().say('abcd')
    await until(() => proxy.connections[0]?.held.up === 2, 'two bytes held')
    await until(() => echo.received[0] === 'ab', 'two bytes passed on')
    proxy.release()
    await one.hears('abcd')
  })

  it('refuses new connections while old ones go on', async () => {
    const { proxy, client } = await bed()
    const one = client().say('a')
    await one.hears('a')
    const { port } = proxy
    await proxy.refuse(true)
    const refused = client()
    await refused.ends()
    expect(proxy.accepted).toBe(1)
    await one.say('b').hears('ab')
    await proxy.refuse(false)
    expect(proxy.port).toBe(port)
    await client().say('c').hears('c')
  })

  it('refuses what it cannot do', async () => {
    const { proxy } = await bed()
    expect(() => proxy.delay(-1)).toThrow('milliseconds is -1')
    expect(() => proxy.limit(Number.NaN)).toThrow('bytesPerSecond is NaN')
    expect(() => proxy.hold('left' as never)).toThrow('direction is "left"')
  })

  it('ends a connection to a target that is not there', async () => {
    const { echo, client } = await bed()
    echo.server.close()
    await client().ends()
    echo.server.listen(0)
    await once(echo.server, 'listening')
  })
})

describe('chaos proxy in virtual time', () => {
  it('delays by so many ms, in order', async () => {
    const host = virtualHost(1)
    const { echo, proxy, client } = await bed(host)
    proxy.delay(250, 'up')
    const one = client().say('a')
    await until(() => proxy.connections[0]?.held.up === 1, 'a held byte')
    await host.clock.advance(249)
    expect(proxy.connections[0]!.held.up).toBe(1)
    proxy.delay(0)
    one.say('b')
    await until(() => proxy.connections[0]!.held.up === 2, 'both held: order is kept')
    await host.clock.advance(1)
    await one.hears('ab')
    expect(echo.received[0]).toBe('ab')
  })

  it('limits the rate', async () => {
    const host = virtualHost(1)
    const { proxy, client } = await bed(host)
    proxy.limit(16 * 1024, 'up')
    const one = client().say('x'.repeat(48 * 1024))
    await until(() => proxy.connections[0]?.received.up === 48 * 1024, 'all bytes')
    // The first slice goes at once.
    expect(proxy.connections[0]!.held.up).toBe(32 * 1024)
    await host.clock.advance(1000)
    expect(proxy.connections[0]!.held.up).toBe(16 * 1024)
    await host.clock.advance(1000)
    await until(() => one.text.length === 48 * 1024, 'everything')
  })

  it('does things at a time, and again and again', async () => {
    const host = virtualHost(1)
    const { proxy } = await bed(host)
    const seen: string[] = []
    proxy.after(100, () => seen.push('once'))
    const stop = proxy.every(40, (it) => seen.push(`every ${it === proxy}`))
    const never = proxy.after(90, () => seen.push('never'))
    never()
    await host.clock.advance(100)
    expect(seen).toEqual(['every true', 'every true', 'once'])
    stop()
    await host.clock.advance(100)
    expect(seen).toHaveLength(3)
  })
})
