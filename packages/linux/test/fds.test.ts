import { readFileSync, readSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { expect, it } from 'vitest'
import { closeFd, ioctl, LinuxError, peerPid, socketPair } from '../src/index.ts'

const FIONREAD = 0x541b
const TCGETS = 0x5401

it('connects two sockets that net.Socket takes', async () => {
  const [a, b] = socketPair()
  const socket = new Socket({ fd: a })
  const other = new Socket({ fd: b })
  socket.end('over the pair')
  let received = ''
  for await (const chunk of other) received += chunk
  expect(received).toBe('over the pair')
  other.destroy()
})

it('is close-on-exec, and blocking for who uses the numbers', () => {
  const [a, b] = socketPair()
  const flags = Number.parseInt(/^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${a}`, 'utf8'))![1]!, 8)
  expect(flags & 0o2000000).toBe(0o2000000)
  expect(flags & 0o4000).toBe(0)
  writeSync(a, 'x')
  expect(readSync(b, Buffer.alloc(4))).toBe(1)
  closeFd(a)
  closeFd(b)
})

it('makes room for as much as was asked for', async () => {
  const [a, b] = socketPair(1 << 20)
  const socket = new Socket({ fd: a })
  // Within the first turn: nobody reads at b.
  expect(socket.write(Buffer.alloc(150_000))).toBe(true)
  const waiting = Buffer.alloc(4)
  await ioctl(b, FIONREAD, waiting)
  expect(waiting.readInt32LE(0)).toBe(150_000)
  socket.destroy()
  closeFd(b)
})

it('closes', () => {
  const [a, b] = socketPair()
  closeFd(a)
  expect(() => closeFd(a)).toThrow(new LinuxError('close', 9))
  expect(readSync(b, Buffer.alloc(1))).toBe(0)
  closeFd(b)
})

it('fills the bytes of an ioctl', async () => {
  const [a, b] = socketPair()
  writeSync(a, 'hello')
  const bytes = Uint8Array.of(1, 1, 1, 1, 1, 1)
  expect(await ioctl(b, FIONREAD, bytes)).toBe(0)
  expect([...bytes]).toEqual([5, 0, 0, 0, 1, 1])
  // Fewer than the kernel writes: the rest is lost, and nothing else is overwritten.
  const short = new Uint8Array(8).subarray(0, 2)
  expect(await ioctl(b, FIONREAD, short)).toBe(0)
  expect([...new Uint8Array(short.buffer)]).toEqual([5, 0, 0, 0, 0, 0, 0, 0])
  closeFd(a)
  closeFd(b)
})

it('does not touch bytes that went elsewhere during the call', async () => {
  const [a, b] = socketPair()
  writeSync(a, 'hello')
  const bytes = new Uint8Array(64)
  const result = ioctl(b, FIONREAD, bytes)
  const moved = structuredClone(bytes, { transfer: [bytes.buffer] })
  expect(await result).toBe(0)
  expect(moved[0]).toBe(0)
  closeFd(a)
  closeFd(b)
})

it('means the file that the number meant at the call', async () => {
  const [a, b] = socketPair()
  writeSync(a, 'hello')
  const bytes = Buffer.alloc(4)
  const result = ioctl(b, FIONREAD, bytes)
  closeFd(b)
  expect(await result).toBe(0)
  expect(bytes[0]).toBe(5)
  closeFd(a)
})

it('rejects with the errno', async () => {
  const [a, b] = socketPair()
  await expect(ioctl(a, TCGETS, Buffer.alloc(64))).rejects.toMatchObject({ code: 'ENOTTY', syscall: 'ioctl' })
  await expect(ioctl(1_000_000, TCGETS)).rejects.toMatchObject({ code: 'EBADF' })
  closeFd(a)
  closeFd(b)
})

it('names wrong arguments', async () => {
  expect(() => socketPair(-1)).toThrow(/^bufferSize is -1, must be/)
  expect(() => closeFd(0.5)).toThrow(/^fd is 0.5, must be/)
  await expect(ioctl(0, -1)).rejects.toThrow(/^request is -1, must be/)
  await expect(ioctl(0, 1, 2 ** 32)).rejects.toThrow(/^argument is 4294967296, must be/)
  await expect(ioctl(0, 1, 'x' as never)).rejects.toThrow(/^argument is 'x', must be a Uint8Array or a number/)
  await expect(ioctl(0, 1, new Uint16Array(4) as never)).rejects.toThrow(TypeError)
})

it('says which process is at the other end of a socket', () => {
  const [a, b] = socketPair()
  expect([peerPid(a), peerPid(b)]).toEqual([process.pid, process.pid])
  closeFd(a)
  closeFd(b)
  expect(() => peerPid(a)).toThrow(expect.objectContaining({ code: 'EBADF' }))
  expect(() => peerPid(-1)).toThrow(TypeError)
})
