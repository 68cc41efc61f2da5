import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import type { SignalOptions } from '@blockbraid/core'
import { closeFd, listenTcp, localPort, socketPair } from '@blockbraid/linux'
import { createRandom, randomInt } from '@blockbraid/testkit'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Endpoint, InputSlab, OpenShared, Wire } from '../src/index.ts'
import { Connection, DescriptorWire, InputPool, InputWindow, letGo, OutboxPool, openWire } from '../src/index.ts'
import { listen, log, shared } from './support.ts'

function say(wire: Wire, text: string): void {
  const at = wire.outbox.reserve(text.length)
  wire.outbox.bytes.write(text, at, 'latin1')
}

const kinds = [
  'by node:net, and one around the accepted socket',
  'two of descriptors',
  'without a stream of Node',
] as const
type Kind = (typeof kinds)[number]

/** Two ends, and what each hears; the first one is read into pooled memory. */
async function pair(kind: Kind, memory: OpenShared = shared) {
  const ends = kind === 'two of descriptors' ? descriptors(memory) : await overTcp(kind, memory)
  onTestFinished(() => {
    for (const end of ends) end.destroy()
  })
  const logs = ends.map((end) => {
    const one = log()
    end.sink = one
    return one
  })
  return { one: ends[0], other: ends[1], heard: logs[0]!.said, said: logs[1]!.said }
}

function descriptors(memory: OpenShared): [Connection, Connection] {
  const [one, other] = socketPair()
  return [new Connection({ fd: one }, memory), new Connection({ fd: other }, memory)]
}

async function overTcp(kind: Kind, memory: OpenShared): Promise<[Wire, Connection]> {
  let accepted: (socket: Socket) => void = () => {}
  const socket = new Promise<Socket>((resolve) => {
    accepted = resolve
  })
  const there = await listen((made) => accepted(made))
  let one: Wire
  if (kind === 'without a stream of Node') {
    one = await openWire(there, memory)
    expect(one).toBeInstanceOf(DescriptorWire)
  } else {
    const connection = new Connection(there, memory)
    await connection.opened()
    one = connection
  }
  return [one, new Connection({ socket: await socket }, memory)]
}

function freshMemory(): OpenShared {
  const inputs = new InputPool(4)
  return { ...shared, inputs, window: new InputWindow(inputs), outputs: new OutboxPool(4) }
}

describe.each(kinds)('%s', (kind) => {
  test('what one end says the other one hears, both ways, and an end in order comes behind it', async () => {
    const { one, other, heard, said } = await pair(kind)
    say(one, 'hello')
    say(other, 'well met')
    await expect.poll(() => [heard, said]).toEqual([['well met'], ['hello']])
    say(one, 'bye')
    one.end()
    await expect.poll(() => said).toEqual(['hello', 'bye', 'finished'])
    await expect.poll(() => heard).toEqual(['well met', 'closed in order'])
    other.end()
    await expect.poll(() => said).toEqual(['hello', 'bye', 'finished', 'closed in order'])
  })

  test('after the FIN of the other end, what is put in still leaves', async () => {
    const { one, other, heard, said } = await pair(kind)
    other.socket.end()
    await expect.poll(() => heard).toEqual(['finished'])
    say(one, 'answer')
    await expect.poll(() => said).toEqual(['answer'])
    one.end()
    await expect.poll(() => [heard.at(-1), said.at(-1)]).toEqual(['closed in order', 'closed in order'])
  })

  test('while it is paused nothing is read, and what the other end says waits there; afterwards all of it comes', async () => {
    const { one, other } = await pair(kind)
    let read = 0
    let sum = 0
    one.sink = {
      ...log(),
      bytes(chunk, start, end) {
        read += end - start
        for (let at = start; at < end; at++) sum = (sum * 31 + chunk[at]!) >>> 0
      },
    }
    one.pause()
    const all = Buffer.alloc(24 << 20, 'what waits')
    for (let at = 0; at < all.length; at += 1 << 20) other.outbox.attach(all.subarray(at, at + (1 << 20)))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(read).toBe(0)
    expect(other.outbox.position - other.outbox.left).toBeGreaterThan(0)
    let news = 0
    other.outbox.onLeft = () => news++
    one.resume()
    await expect.poll(() => read, { timeout: 10_000 }).toBe(all.length)
    expect(other.outbox.left).toBe(all.length)
    expect(news).toBeGreaterThan(0)
    let right = 0
    for (const byte of all) right = (right * 31 + byte) >>> 0
    expect(sum).toBe(right)
  })

  test('at once: nothing is heard afterwards, and the other end hears that it is over', async () => {
    const { one, other, heard, said } = await pair(kind)
    one.destroy()
    await expect.poll(() => said).toEqual(['finished'])
    other.end()
    await expect.poll(() => said).toEqual(['finished', 'closed in order'])
    expect(heard).toEqual([])
  })

  test('what is retained stays as it is, whatever comes after it', async () => {
    const { one, other } = await pair(kind, freshMemory())
    const views: Buffer[] = []
    let got = 0
    one.sink = {
      ...log(),
      bytes(chunk, start, end) {
        one.retain()
        views.push(chunk.subarray(start, end))
        got += end - start
      },
    }
    const random = createRandom(17)
    const parts = Array.from({ length: 300 }, (_, n) => Buffer.alloc(1 + randomInt(random, 20_000), n))
    for (const [n, part] of parts.entries()) {
      other.outbox.attach(part)
      if (n % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    const all = Buffer.concat(parts)
    await expect.poll(() => got).toBe(all.length)
    expect(Buffer.concat(views).equals(all)).toBe(true)
  })

  test('what is held stays until it is let go of, and then its memory is used again', async () => {
    const memory = freshMemory()
    const { one, other } = await pair(kind, memory)
    const held: { slab: InputSlab; view: Buffer }[] = []
    const seen: Buffer[] = []
    let got = 0
    one.sink = {
      ...log(),
      bytes(chunk, start, end) {
        held.push({ slab: one.hold(), view: chunk.subarray(start, end) })
        got += end - start
        while (held.length > 20) free()
      },
    }
    const free = (): void => {
      const { slab, view } = held.shift()!
      seen.push(Buffer.from(view))
      letGo(slab)
    }
    const parts = Array.from({ length: 2000 }, (_, n) => Buffer.alloc(5000, n))
    for (const [n, part] of parts.entries()) {
      other.outbox.attach(part)
      if (n % 4 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await expect.poll(() => got).toBe(parts.length * 5000)
    while (held.length > 0) free()
    expect(Buffer.concat(seen).equals(Buffer.concat(parts))).toBe(true)
    expect(memory.inputs.outstanding).toBeLessThanOrEqual(1)
    one.destroy()
    memory.window.close()
    await expect.poll(() => [memory.inputs.outstanding, memory.outputs.outstanding]).toEqual([0, 0])
  })

  const reads = kind === 'without a stream of Node' ? test.skip : test
  reads(
    'after much has come it is read into a small buffer again, as soon as there are only small pieces',
    async () => {
      const memory = freshMemory()
      const { one, other } = await pair(kind, memory)
      const lengths: number[] = []
      let got = 0
      one.sink = {
        ...log(),
        bytes(chunk, start, end) {
          lengths.push(chunk.length)
          got += end - start
        },
      }
      other.outbox.attach(Buffer.alloc(1 << 20))
      await expect.poll(() => got).toBe(1 << 20)
      expect(lengths.at(-1)).toBe(1 << 20)
      for (let n = 1; n <= 10; n++) {
        say(other, 'x')
        await expect.poll(() => got).toBe((1 << 20) + n)
      }
      expect(lengths.at(-1)).toBe(4096)
      expect(memory.inputs.outstanding).toBe(0)
    },
  )
})

test.each([kinds[0], kinds[2]])('%s: an end by RST is an error at the other end, and no FIN', async (kind) => {
  const { one, heard, said } = await pair(kind)
  one.reset()
  await expect.poll(() => said).toEqual(['closed ECONNRESET'])
  expect(heard).toEqual([])
})

const ways: [string, (endpoint: Endpoint, options?: SignalOptions) => Promise<Wire>][] = [
  [
    'by node:net',
    async (endpoint, options) => {
      const connection = new Connection(endpoint, shared)
      await connection.opened(options)
      return connection
    },
  ],
  ['without a stream of Node', (endpoint, options) => openWire(endpoint, shared, options)],
]
test.each(ways)('%s: where nobody listens, an error in words; and a signal ends the try', async (_way, open) => {
  const server = await listen(() => {})
  const port = await freePort()
  const refused = {
    code: 'CONNECT_FAILED',
    message: 'the connection was refused: nothing listens there (ECONNREFUSED)',
  }
  await expect(open({ host: '127.0.0.1', port })).rejects.toMatchObject(refused)
  const stop = new AbortController()
  const tried = open(server, { signal: stop.signal })
  const reason = new Error('called off')
  stop.abort(reason)
  await expect(tried).rejects.toBe(reason)
})

test.each(ways)('%s: a signal ends a try that has no answer', async (_way, open) => {
  // Of those that nobody accepts the system keeps a few; what comes after them has no answer.
  const fd = listenTcp('127.0.0.1', 0, 1)
  onTestFinished(() => closeFd(fd))
  const endpoint = { host: '127.0.0.1', port: localPort(fd) }
  const stop = new AbortController()
  const reason = new Error('called off')
  const tries = Array.from({ length: 6 }, () =>
    open(endpoint, { signal: stop.signal }).then(
      (wire) => wire.destroy(),
      (error: unknown) => error,
    ),
  )
  await new Promise((resolve) => setTimeout(resolve, 50))
  stop.abort(reason)
  expect((await Promise.all(tries)).filter((one) => one === reason).length).toBeGreaterThan(1)
})

test('around a socket of a server that knows nothing of half-open ones: what is put in after its FIN still leaves', async () => {
  const there = await listen((socket) => {
    const wire = new Connection({ socket }, shared)
    wire.sink = {
      ...log(),
      finished() {
        setTimeout(() => {
          say(wire, 'answer')
          wire.end()
        }, 5)
      },
    }
  })
  const client = connect(there)
  client.end('question')
  let said = ''
  for await (const chunk of client) said += chunk
  expect(said).toBe('answer')
})

/** A port where nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

test('a name with several addresses: the bytes of the one that answers are the ones that are read', async () => {
  const { lookup } = await import('node:dns')
  const { port } = await listen((socket) => void socket.write('0123456789'))
  const dns = (await import('node:dns')).default
  dns.lookup = ((_name: string, options: { all?: boolean }, callback: (...args: unknown[]) => void) => {
    if (options.all === true)
      callback(null, [
        { address: '::1', family: 6 },
        { address: '127.0.0.1', family: 4 },
      ])
    else callback(null, '127.0.0.1', 4)
  }) as unknown as typeof lookup
  onTestFinished(() => {
    dns.lookup = lookup
  })
  const connection = new Connection({ host: 'array.test', port }, shared)
  let read = ''
  connection.sink = {
    bytes: (chunk, start, end) => (read += chunk.toString('latin1', start, end)),
    finished() {},
    closed() {},
  }
  await connection.opened()
  await expect.poll(() => read).toBe('0123456789')
  connection.destroy()
})
