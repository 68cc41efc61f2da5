import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import {
  acceptSocket,
  closeFd,
  LinuxError,
  listenTcp,
  listenUnix,
  localPort,
  socketPair,
  watchReadable,
} from '../src/index.ts'

const open: (() => void)[] = []

afterEach(() => {
  for (const close of open.splice(0).reverse()) close()
})

function listening(fd: number): number {
  open.push(() => closeFd(fd))
  return fd
}

function flags(fd: number): number {
  return Number.parseInt(/^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))![1]!, 8)
}

/** The connection that comes next. */
function accepted(fd: number): Promise<number> {
  return new Promise((resolve) => {
    const watcher = watchReadable(fd, () => {
      const found = acceptSocket(fd)
      if (found === undefined) return
      watcher.close()
      resolve(found)
    })
  })
}

async function echo(from: Socket, fd: number, text: string): Promise<string> {
  const socket = new Socket({ fd })
  from.end(text)
  let received = ''
  for await (const chunk of socket) received += chunk
  return received
}

it('accepts what connects over TCP, for net.Socket, without waiting', async () => {
  const fd = listening(listenTcp('127.0.0.1', 0, 16))
  expect(acceptSocket(fd)).toBe(undefined)
  const client = connect(localPort(fd), '127.0.0.1')
  const taken = await accepted(fd)
  // Close-on-exec and non-blocking, both.
  for (const each of [fd, taken]) expect(flags(each) & 0o2004000).toBe(0o2004000)
  expect(localPort(taken)).toBe(localPort(fd))
  expect(await echo(client, taken, 'over TCP')).toBe('over TCP')
})

it('takes IPv4 too at the IPv6 wildcard', async () => {
  const fd = listening(listenTcp('::', 0, 16))
  for (const host of ['127.0.0.1', '::1']) {
    const client = connect(localPort(fd), host)
    expect(await echo(client, await accepted(fd), host)).toBe(host)
  }
})

it('accepts what connects to a unix socket', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bb-listen-'))
  open.push(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 's')
  const fd = listening(listenUnix(path, 16))
  const client = connect(path)
  expect(await echo(client, await accepted(fd), 'over unix')).toBe('over unix')
  expect([localPort(fd), existsSync(path)]).toEqual([0, true])
  expect(() => listenUnix(path, 16)).toThrow(new LinuxError('listen', 98))
  expect(() => listenUnix(join(folder, 'none', 's'), 16)).toThrow(new LinuxError('listen', 2))
  expect(() => listenUnix(`/${'x'.repeat(107)}`, 16)).toThrow(new LinuxError('listen', 36))
})

it('says why it cannot listen', () => {
  const fd = listening(listenTcp('127.0.0.1', 0, 16))
  expect(() => listenTcp('127.0.0.1', localPort(fd), 16)).toThrow(new LinuxError('listen', 98))
  expect(() => listenTcp('192.0.2.1', 0, 16)).toThrow(new LinuxError('listen', 99))
  expect(() => listenTcp('localhost', 0, 16)).toThrow(new LinuxError('listen', 22))
  expect(() => listenTcp('::1', 65536, 16)).toThrow(/^port is 65536, must be/)
  expect(() => listenTcp(5 as never, 0, 16)).toThrow(/^host is 5, must be a numeric address/)
  expect(() => listenUnix('/tmp/x\0y', 16)).toThrow(TypeError)
  expect(() => listenUnix('/tmp/x', 0)).toThrow(/^backlog is 0, must be/)
})

it('names what is no listening socket', () => {
  const [a, b] = socketPair()
  expect(() => acceptSocket(a)).toThrow(expect.objectContaining({ code: 'EINVAL', syscall: 'accept' }))
  closeFd(a)
  closeFd(b)
  expect(() => acceptSocket(a)).toThrow(expect.objectContaining({ code: 'EBADF' }))
  expect(() => localPort(a)).toThrow(expect.objectContaining({ code: 'EBADF', syscall: 'getsockname' }))
  expect(() => acceptSocket(-1)).toThrow(TypeError)
})
