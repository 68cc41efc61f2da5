import type { Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { connectNbd, listNbdExports, parseNbdUri } from '../src/index.ts'

const servers: { server: Server; sockets: Set<Socket> }[] = []
afterEach(async () => {
  for (const { server, sockets } of servers.splice(0)) {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
})

/** A server that runs `serve` on every connection; gives its URI. */
function listen(serve: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    serve(socket)
  })
  servers.push({ server, sockets })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(`nbd://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/disk`)
    })
  })
}

const greeting = Buffer.from('4e42444d4147494349484156454f50540003', 'hex')

function reply(option: number, type: number, data = ''): Buffer {
  const bytes = Buffer.from(data, 'latin1')
  const header = Buffer.alloc(20)
  header.writeBigUInt64BE(0x3e889045565a9n, 0)
  header.writeUInt32BE(option, 8)
  header.writeUInt32BE(type, 12)
  header.writeUInt32BE(bytes.length, 16)
  return Buffer.concat([header, bytes])
}

/** Answers options with what `answers` gives for their number. */
function negotiate(
  socket: Socket,
  answers: (option: number) => Buffer,
  afterwards: (socket: Socket) => void = () => {},
): void {
  socket.write(greeting)
  let data = Buffer.alloc(0)
  let greeted = false
  let transmission = false
  socket.on('data', (chunk) => {
    if (transmission) return
    data = Buffer.concat([data, chunk])
    if (!greeted && data.length >= 4) {
      greeted = true
      data = data.subarray(4)
    }
    while (greeted && data.length >= 16 && data.length >= 16 + data.readUInt32BE(12)) {
      const option = data.readUInt32BE(8)
      data = data.subarray(16 + data.readUInt32BE(12))
      socket.write(answers(option))
      if (option === 7) {
        transmission = true
        afterwards(socket)
      }
    }
  })
}

const unsupported = 0x80000001
const size = '\0\0\0\0\0\0\0\0\x10\0\0\x01'
const plain = (option: number): Buffer =>
  option === 7 ? Buffer.concat([reply(7, 3, size), reply(7, 1)]) : reply(option, unsupported)

describe('connectNbd', () => {
  it('falls back to simple replies, and ends requests when the server goes away', async () => {
    const uri = await listen((socket) => negotiate(socket, plain, () => setTimeout(() => socket.destroy(), 20)))
    const client = await connectNbd(uri)
    expect(client.export).toMatchObject({ name: 'disk', size: 4096, replies: 'simple' })
    expect(client.extents).toBeUndefined()
    await expect(client.blockStatus(0, 512)).rejects.toMatchObject({ code: 'NOT_SUPPORTED' })
    await expect(client.read(0, 512)).rejects.toMatchObject({ code: 'IO_FAILED', errno: 67 })
    expect(await client.ended).toMatchObject({ code: 'CONNECT_FAILED' })
  })

  it('ends everything when the server breaks the protocol', async () => {
    const uri = await listen((socket) =>
      negotiate(socket, plain, () => socket.once('data', () => socket.write('garbage, garbage!'))),
    )
    const client = await connectNbd(uri)
    const reads = [client.read(0, 512), client.read(512, 512)]
    for (const read of reads) await expect(read).rejects.toMatchObject({ errno: 121 })
    expect(await client.ended).toMatchObject({ code: 'PROTOCOL' })
  })

  it('takes no second reply with the cookie of an earlier request', async () => {
    const uri = await listen((socket) =>
      negotiate(socket, plain, () => {
        let first: Buffer | undefined
        socket.on('data', (request) => {
          first ??= request
          const header = Buffer.from('6744669800000000', 'hex')
          socket.write(Buffer.concat([header, first.subarray(8, 16), Buffer.alloc(512)]))
        })
      }),
    )
    const client = await connectNbd(uri)
    expect(await client.read(0, 512)).toHaveLength(512)
    await expect(client.read(512, 512)).rejects.toMatchObject({ errno: 121 })
    expect(await client.ended).toMatchObject({ code: 'PROTOCOL' })
  })

  it('refuses bytes that come in the clear after the server agreed to TLS', async () => {
    const uri = await listen((socket) =>
      negotiate(socket, (option) => Buffer.concat([reply(option, 1), Buffer.alloc(20)])),
    )
    await expect(connectNbd(uri.replace('nbd:', 'nbds:'))).rejects.toMatchObject({ code: 'PROTOCOL' })
  })

  it('gives up on destroy, and on a close whose signal fires', async () => {
    const uri = await listen((socket) => negotiate(socket, plain))
    const first = await connectNbd(uri)
    const read = first.read(0, 512)
    first.destroy()
    await expect(read).rejects.toMatchObject({ errno: 108 })
    const second = await connectNbd(uri)
    const write = second.write(0, Buffer.alloc(512))
    const closing = second.close({ signal: AbortSignal.abort() })
    await expect(write).rejects.toMatchObject({ errno: 108 })
    await closing
    expect(await second.ended).toBeUndefined()
  })

  it.each([
    ['a server of another kind', (socket: Socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), 'PROTOCOL'],
    [
      'an oldstyle server',
      (socket: Socket) => socket.write(Buffer.concat([greeting.subarray(0, 16), Buffer.alloc(2)])),
      'NOT_SUPPORTED',
    ],
    ['a server that hangs up', (socket: Socket) => socket.end(), 'CONNECT_FAILED'],
    ['a silent server', () => {}, 'TIMED_OUT'],
    [
      'an unknown export',
      (socket: Socket) => negotiate(socket, (option) => reply(option, option === 7 ? 0x80000006 : unsupported)),
      'NOT_FOUND',
    ],
    [
      'a server that demands TLS',
      (socket: Socket) => negotiate(socket, (option) => reply(option, option === 7 ? 0x80000005 : unsupported)),
      'DENIED',
    ],
    [
      'a server that is going down',
      (socket: Socket) => negotiate(socket, (option) => reply(option, option === 7 ? 0x80000007 : unsupported)),
      'CLOSED',
    ],
    ['a reply to another option', (socket: Socket) => negotiate(socket, () => reply(99, 1)), 'PROTOCOL'],
    [
      'a reply without end',
      (socket: Socket) => negotiate(socket, (option) => reply(option, unsupported, 'x'.repeat(70_000))),
      'PROTOCOL',
    ],
    [
      'an export without a size',
      (socket: Socket) => negotiate(socket, (option) => reply(option, option === 7 ? 1 : unsupported)),
      'PROTOCOL',
    ],
    [
      'an export of 2 ** 60 bytes',
      (socket: Socket) =>
        negotiate(socket, (option) =>
          option === 7
            ? Buffer.concat([reply(7, 3, '\0\0\x10\0\0\0\0\0\0\0\0\x01'), reply(7, 1)])
            : reply(option, unsupported),
        ),
      'TOO_LARGE',
    ],
  ])('refuses %s', async (_what, serve, code) => {
    const uri = await listen(serve)
    await expect(connectNbd(uri, { timeout: code === 'TIMED_OUT' ? 100 : 10_000 })).rejects.toMatchObject({ code })
  })

  it('says when nobody listens', async () => {
    await expect(connectNbd('nbd+unix:///?socket=/nonexistent/socket')).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
    })
    const signal = AbortSignal.abort()
    await expect(connectNbd('nbd+unix:///?socket=/x', { signal })).rejects.toMatchObject({ code: 'ABORTED' })
  })
})

describe('listNbdExports', () => {
  it('lists names and descriptions', async () => {
    const entries = [reply(3, 2, '\0\0\0\x03one'), reply(3, 2, '\0\0\0\x03twothe second'), reply(3, 1)]
    const uri = await listen((socket) => negotiate(socket, () => Buffer.concat(entries)))
    expect(await listNbdExports(uri)).toEqual([
      { name: 'one', description: '' },
      { name: 'two', description: 'the second' },
    ])
  })

  it('says when the server does not tell', async () => {
    const uri = await listen((socket) => negotiate(socket, (option) => reply(option, 0x80000002, 'a secret')))
    await expect(listNbdExports(uri)).rejects.toMatchObject({
      code: 'DENIED',
      message: expect.stringContaining('a secret'),
    })
  })
})

describe('parseNbdUri', () => {
  it.each([
    ['nbd://localhost/disk', { name: 'disk', tls: false, host: 'localhost', port: 10_809 }],
    ['nbd://127.0.0.1:80/', { name: '', tls: false, host: '127.0.0.1', port: 80 }],
    ['nbds://[::1]:1234/a%20b', { name: 'a b', tls: true, host: '::1', port: 1234 }],
    ['nbd+unix:///?socket=/tmp/s', { name: '', tls: false, socket: '/tmp/s' }],
    ['nbd+unix://?socket=/tmp/s', { name: '', tls: false, socket: '/tmp/s' }],
    ['nbds+unix:///vol/1?socket=%2Ftmp%2Fa%20b', { name: 'vol/1', tls: true, socket: '/tmp/a b' }],
  ])('reads %s', (uri, wanted) => expect(parseNbdUri(uri)).toEqual(wanted))

  it.each(['http://host/', 'nbd:host', 'nbd+unix:///name', 'nbd+unix://host/name?socket=/s', 'nbd://host:port/'])(
    'refuses %s',
    (uri) => {
      expect(() => parseNbdUri(uri)).toThrow(TypeError)
    },
  )
})
