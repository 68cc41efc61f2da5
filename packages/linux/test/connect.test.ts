import type { AddressInfo } from 'node:net'
import { createServer, Socket } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { closeFd, connectTcp, LinuxError, SocketStream, StreamEvent, socketError } from '../src/index.ts'

async function port(accept: (socket: Socket) => void, listening = true): Promise<number> {
  const server = createServer(accept)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()))
  if (listening) onTestFinished(close)
  else await close()
  return port
}

/** What became of it. */
function outcome(fd: number): Promise<number> {
  return new Promise((resolve) => {
    const stream = new SocketStream(fd, () => {
      stream.release()
      resolve(socketError(fd))
    })
    stream.poll(StreamEvent.Writable)
  })
}

it('connects from an address of this host, for net.Socket', async () => {
  const from = new Promise<string | undefined>((resolve) => {
    void port((socket) => {
      resolve(socket.remoteAddress)
      socket.end('welcome')
    }).then(async (there) => {
      const fd = connectTcp('127.0.0.1', there, '127.0.0.9')
      expect(await outcome(fd)).toBe(0)
      let said = ''
      for await (const chunk of new Socket({ fd })) said += chunk
      expect(said).toBe('welcome')
    })
  })
  expect(await from).toBe('127.0.0.9')
})

it('where nobody listens: the errno, at once or later', async () => {
  const there = await port(() => {}, false)
  let errno: number
  try {
    const fd = connectTcp('127.0.0.1', there)
    errno = await outcome(fd)
    closeFd(fd)
  } catch (error) {
    errno = (error as LinuxError).errno
  }
  expect(errno).toBe(111)
})

it('wrong addresses are refused', () => {
  expect(() => connectTcp('127.0.0.1', 3260, '192.0.2.1')).toThrow(new LinuxError('connect', 99))
  expect(() => connectTcp('localhost', 3260)).toThrow(new LinuxError('connect', 22))
  expect(() => connectTcp('127.0.0.1', 0)).toThrow(/^port is 0, must be/)
  expect(() => connectTcp(5 as never, 1)).toThrow(/^host is 5, must be a numeric address/)
  expect(() => socketError(1 << 30)).toThrow(LinuxError)
})
