import { once } from 'node:events'
import { connect, Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import {
  acceptSocket,
  closeFd,
  LinuxError,
  listenTcp,
  localPort,
  SocketStream,
  StreamEvent,
  socketPair,
  watchReadable,
} from '../src/index.ts'

const { Readable, Stopped, Writable } = StreamEvent
const EAGAIN = 11
const EPIPE = 32
const open: (() => void)[] = []

afterEach(() => {
  for (const close of open.splice(0).reverse()) close()
})

function stream(fd: number, onEvents: (events: number) => void = () => {}): SocketStream {
  const made = new SocketStream(fd, onEvents)
  open.push(() => made.close())
  return made
}

/** A stream and the descriptor at its other end. */
function pair(onEvents?: (events: number) => void, bufferSize?: number): [SocketStream, number] {
  const [a, b] = socketPair(bufferSize)
  open.push(() => closeFd(b))
  return [stream(a, onEvents), b]
}

/** A connection over TCP: its accepted end, and the client's. */
async function tcp(): Promise<[number, Socket]> {
  const listening = listenTcp('127.0.0.1', 0, 4)
  const client = connect(localPort(listening), '127.0.0.1')
  open.push(() => client.destroy())
  const fd = await new Promise<number>((resolve) => {
    const watcher = watchReadable(listening, () => {
      watcher.close()
      resolve(acceptSocket(listening) as number)
    })
  })
  closeFd(listening)
  return [fd, client]
}

async function all(fd: number): Promise<string> {
  let received = ''
  for await (const chunk of new Socket({ fd })) received += chunk
  return received
}

it('calls back while there is what it polls for, and reads where it is told to', async () => {
  const [a, b] = socketPair()
  const other = stream(b)
  const seen: (number | string)[] = []
  const bytes = Buffer.alloc(8, '.')
  await new Promise<void>((resolve) => {
    const one = stream(a, (events) => {
      seen.push(events)
      if (seen.length === 3) seen.push(one.receive(bytes, 2, 6), bytes.toString(), one.receive(bytes, 0, 8))
      if (seen.length > 3) resolve()
    })
    other.send(Buffer.from('xabcy'), 1, 4)
    one.poll(Readable)
  })
  expect(seen).toEqual([Readable, Readable, Readable, 3, '..abc...', -EAGAIN])
})

it('is not called before it polls, nor when it polls for nothing', async () => {
  let calls = 0
  const [one, b] = pair(() => calls++)
  stream(b).send(Buffer.from('x'), 0, 1)
  open.shift()
  await new Promise((resolve) => setTimeout(resolve, 5))
  one.poll(Readable)
  one.poll(0)
  await new Promise((resolve) => setTimeout(resolve, 5))
  expect(calls).toBe(0)
})

it('says that nothing more comes, and sends FIN behind what was sent', async () => {
  const [a, b] = socketPair()
  const one = stream(a)
  expect(one.send(Buffer.from('--last--'), 2, 6)).toBe(4)
  expect(one.shutdown()).toBe(0)
  const other = stream(b)
  const bytes = Buffer.alloc(10)
  expect([other.receive(bytes, 0, 10), other.receive(bytes, 0, 10)]).toEqual([4, 0])
  expect(one.send(bytes, 0, 1)).toBe(-EPIPE)
})

it('sends several views in order', async () => {
  const [a, b] = socketPair()
  const one = stream(a)
  const views = [Buffer.from('not'), Buffer.from('one'), Buffer.from(''), Buffer.from(' two'), Buffer.from('no')]
  expect(one.sendViews(views, 1, 4)).toBe(7)
  one.close()
  expect(await all(b)).toBe('one two')
})

it('takes what there is room for, and says when there is room again', async () => {
  const [a, b] = socketPair(4096)
  const events: number[] = []
  const one = stream(a, (which) => {
    events.push(which)
    one.poll(0)
  })
  const much = Buffer.alloc(2 ** 20)
  let last = one.send(much, 0, much.length)
  while (last > 0) last = one.send(much, 0, much.length)
  expect([last, one.sendViews([much], 0, 1)]).toEqual([-EAGAIN, -EAGAIN])
  one.poll(Readable | Writable)
  await new Promise((resolve) => setTimeout(resolve, 5))
  expect(events).toEqual([])
  const other = stream(b)
  while (other.receive(much, 0, much.length) > 0);
  await expect.poll(() => events).toEqual([Writable])
})

it('looks at no more views than one system call takes', () => {
  const [one] = pair()
  expect(one.sendViews(new Array(2000).fill(Buffer.alloc(1)), 0, 2000)).toBe(1024)
})

it('gives its descriptor back, for a stream of Node', async () => {
  const [a, b] = socketPair()
  let calls = 0
  const one = stream(a, () => calls++)
  one.poll(Readable)
  const socket = new Socket({ fd: one.release() })
  expect(() => one.release()).toThrow(new LinuxError('poll', 9))
  const other = stream(b)
  other.send(Buffer.from('for Node'), 0, 8)
  const [chunk] = await once(socket, 'data')
  expect([String(chunk), calls]).toEqual(['for Node', 0])
  socket.destroy()
})

describe('over TCP', () => {
  it('tells of a reset once, and a read says what it is', async () => {
    const [fd, client] = await tcp()
    const results: number[] = []
    const one = stream(fd, (events) => {
      results.push(events, one.receive(Buffer.alloc(1), 0, 1))
    })
    one.poll(Readable)
    await once(client, 'connect')
    client.resetAndDestroy()
    await expect.poll(() => results).toEqual([Readable | Stopped, -104])
  })

  it('ends by RST where it is told to', async () => {
    const [fd, client] = await tcp()
    const failed = once(client, 'error')
    stream(fd).close(true)
    expect((await failed)[0]).toMatchObject({ code: 'ECONNRESET' })
  })

  it('ends in order otherwise', async () => {
    const [fd, client] = await tcp()
    client.resume()
    const ended = once(client, 'end')
    new SocketStream(fd, () => {}, { keepAlive: 60 }).close()
    await ended
  })
})

it('does nothing once it is closed, not with the number of its descriptor either', () => {
  const [one] = pair()
  one.close()
  one.close()
  const [a, b] = socketPair()
  const bytes = Buffer.alloc(4)
  expect([one.poll(1), one.receive(bytes, 0, 4), one.send(bytes, 0, 4), one.sendViews([bytes], 0, 1)]).toEqual(
    new Array(4).fill(-9),
  )
  expect(one.shutdown()).toBe(-9)
  closeFd(a)
  closeFd(b)
})

it('names what it cannot take over, and leaves it to the caller', () => {
  expect(() => new SocketStream(1_000_000, () => {})).toThrow(new LinuxError('poll', 9))
  const [a, b] = socketPair()
  const first = new SocketStream(a, () => {})
  first.poll(Readable)
  expect(() => new SocketStream(a, () => {})).toThrow(expect.objectContaining({ code: 'EEXIST' }))
  first.close()
  expect(() => new SocketStream(b, 'x' as never)).toThrow(/^onEvents is 'x', must be a function/)
  expect(() => new SocketStream(b, () => {}, { keepAlive: -1 })).toThrow(/^keepAlive is -1, must be/)
  closeFd(b)
})

it('refuses ranges that are not there', () => {
  const [one] = pair()
  expect(() => one.send(Buffer.alloc(4), 3, 2)).toThrow(TypeError)
  expect(() => one.receive(Buffer.alloc(4), 0, 5)).toThrow(TypeError)
  expect(() => one.sendViews([Buffer.alloc(4)], 0, 2)).toThrow(TypeError)
  expect(() => one.sendViews(['x' as never], 0, 1)).toThrow(TypeError)
})
