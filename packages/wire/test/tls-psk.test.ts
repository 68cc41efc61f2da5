import { createServer, type Server, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { inspect } from 'node:util'
import { BlockError, systemClock } from '@blockbraid/core'
import { afterEach, describe, expect, it } from 'vitest'
import type { Connection } from '../src/connection.ts'
import { InputPool } from '../src/input.ts'
import { InputWindow } from '../src/input-window.ts'
import { listenForWires } from '../src/listener.ts'
import type { WireListener } from '../src/listening.ts'
import { OutboxPool } from '../src/outbox-pool.ts'
import { acceptTlsWire, openTlsWire } from '../src/tls-psk.ts'
import type { DetachableWire, Wire } from '../src/wire.ts'

const inputs = new InputPool(2)
const shared = { clock: systemClock, inputs, outputs: new OutboxPool(2) }
const key = Buffer.alloc(32, 7)
const psk = { identity: 'NVMe0R01 host subsystem', key }

let listener: WireListener | undefined
let plainServer: Server | undefined
const open: Wire[] = []
afterEach(async () => {
  for (const wire of open.splice(0)) wire.destroy()
  await listener?.close()
  listener = undefined
  plainServer?.close()
  plainServer = undefined
})

/** What came over a wire. */
class Sink {
  text = ''
  ended = false
  error: Error | undefined
  readonly over: Promise<void>
  readonly #wire: Wire
  #waiting: (() => void) | undefined
  #settle: () => void = () => {}

  constructor(wire: Wire) {
    this.#wire = wire
    open.push(wire)
    this.over = new Promise((resolve) => {
      this.#settle = resolve
    })
    wire.sink = this
  }

  bytes(chunk: Buffer, start: number, end: number): void {
    this.text += chunk.toString('latin1', start, end)
    this.#waiting?.()
  }

  finished(): void {
    this.ended = true
    this.#waiting?.()
  }

  closed(error: Error | undefined): void {
    this.error = error
    this.#settle()
  }

  say(text: string): void {
    this.#wire.outbox.attach(Buffer.from(text, 'latin1'))
    this.#wire.outbox.flush()
  }

  async until(done: () => boolean): Promise<void> {
    while (!done()) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve
      })
    }
  }
}

interface Serving {
  readonly port: number
  /** How each connection began. */
  readonly next: Promise<Sink>
  readonly wire: () => DetachableWire
}

async function serve(keyOf: (identity: string) => Uint8Array | undefined, signal?: AbortSignal): Promise<Serving> {
  let wire: DetachableWire | undefined
  const { promise, resolve, reject } = Promise.withResolvers<Sink>()
  promise.catch(() => {})
  listener = await listenForWires(
    { host: '127.0.0.1', port: 0 },
    {
      ...shared,
      window: new InputWindow(inputs),
      maxConnections: 10,
      keepAlive: 0,
      accept(accepted) {
        acceptTlsWire(accepted, keyOf, shared, signal === undefined ? {} : { signal }).then((made) => {
          wire = made
          resolve(new Sink(made))
        }, reject)
      },
    },
  )
  return { port: listener.port, next: promise, wire: () => wire! }
}

function connect(port: number, given = psk, signal?: AbortSignal): Promise<Wire> {
  return openTlsWire({ host: '127.0.0.1', port }, given, shared, signal === undefined ? {} : { signal })
}

async function failure(promise: Promise<unknown>): Promise<BlockError> {
  const error = await promise.then(
    () => new Error('it went through'),
    (caught: unknown) => caught,
  )
  expect(error).toBeInstanceOf(BlockError)
  return error as BlockError
}

describe('a wire over TLS by a pre-shared key', () => {
  it('carries bytes both ways, under the identity that the key goes by', async () => {
    const asked: string[] = []
    const serving = await serve((identity) => {
      asked.push(identity)
      return key
    })
    const client = new Sink(await connect(serving.port))
    const server = await serving.next
    const long = 'block'.repeat(60_000)
    client.say(long)
    await server.until(() => server.text.length === long.length)
    server.say('answer')
    await client.until(() => client.text.length === 6)
    expect([asked, server.text === long, client.text]).toEqual([[psk.identity], true, 'answer'])
  })

  it('ends in order', async () => {
    const serving = await serve(() => key)
    const wire = await connect(serving.port)
    const client = new Sink(wire)
    const server = await serving.next
    client.say('last')
    wire.end()
    await server.until(() => server.ended)
    expect(server.text).toBe('last')
  })

  it.each(['client', 'server'] as const)('is reset by the %s', async (who) => {
    const serving = await serve(() => key)
    const wire = await connect(serving.port)
    const [client, server] = [new Sink(wire), await serving.next]
    // What comes while the last of the handshake is sent looks like an end in order.
    client.say('x')
    await server.until(() => server.text === 'x')
    const own = who === 'client' ? wire : serving.wire()
    // In a turn of its own: from inside of a read the other end sees an end in order.
    await setImmediate()
    own.reset()
    own.destroy()
    const other = who === 'client' ? server : client
    await other.over
    expect((other.error as NodeJS.ErrnoException).code).toBe('ECONNRESET')
  })

  it.each<[string, (wire: Wire) => void]>([
    ['reset', (wire) => wire.reset()],
    ['destroy', (wire) => wire.destroy()],
    ['end', (wire) => wire.end()],
    ['reset, destroy', (wire) => [wire.reset(), wire.destroy()]],
    ['end, reset', (wire) => [wire.end(), wire.reset()]],
    ['end, destroy, reset', (wire) => [wire.end(), wire.destroy(), wire.reset()]],
  ])('is let go by %s, at once, with bytes under way', async (_, act) => {
    for (const bytes of [0, 3_000_000]) {
      const serving = await serve(() => key)
      const wire = await connect(serving.port)
      await serving.next
      const { socket } = wire as Connection
      const closed = new Promise((resolve) => socket.once('close', resolve))
      if (bytes > 0) new Sink(wire).say('x'.repeat(bytes))
      act(wire)
      serving.wire().destroy()
      await closed
      await listener!.close()
    }
  })

  it('is refused with another key, at both ends', async () => {
    const serving = await serve(() => Buffer.alloc(32, 8))
    const error = await failure(connect(serving.port))
    expect([error.code, error.message]).toEqual(['DENIED', expect.stringContaining('both ends need the same key')])
    expect((await failure(serving.next)).code).toBe('DENIED')
    expect(inspect(error, { depth: 9 })).not.toMatch(/07 07 07|0707/)
  })

  it('is refused under an identity that nobody knows', async () => {
    const serving = await serve(() => undefined)
    expect((await failure(connect(serving.port))).code).toBe('DENIED')
    expect((await failure(serving.next)).code).toBe('DENIED')
  })

  it.each([
    [{ identity: 'a'.repeat(257), key }, 'psk.identity has 257 bytes; Node takes 1 to 256'],
    [{ identity: '', key }, 'psk.identity has 0 bytes'],
    [{ identity: 'a', key: Buffer.alloc(48) }, 'psk.key has 48 bytes; it must have 32'],
  ])('is not tried with what Node does not take: %#', async (given, message) => {
    await expect(connect(1, given)).rejects.toThrow(message)
  })

  it('takes the longest identity', async () => {
    const asked: number[] = []
    const serving = await serve((identity) => {
      asked.push(identity.length)
      return key
    })
    new Sink(await connect(serving.port, { identity: 'a'.repeat(256), key }))
    await serving.next
    expect(asked).toEqual([256])
  })
})

describe('an end that speaks no TLS, or other TLS', () => {
  function plain(accept: (socket: Socket) => void): Promise<number> {
    return new Promise((resolve) => {
      plainServer = createServer(accept).listen(0, '127.0.0.1', () => {
        resolve((plainServer!.address() as { port: number }).port)
      })
    })
  }

  it('is refused where it answers in clear', async () => {
    const port = await plain((socket) => socket.on('error', () => {}).write('no TLS here, but text'))
    expect((await failure(connect(port))).code).toBe('DENIED')
  })

  it('is refused where it closes', async () => {
    const port = await plain((socket) => socket.on('error', () => {}).destroy())
    expect((await failure(connect(port))).code).toBe('DENIED')
  })

  it('is not waited for when that is called off', async () => {
    const port = await plain((socket) => socket.on('error', () => {}))
    const controller = new AbortController()
    const wire = connect(port, psk, controller.signal)
    setTimeout(() => controller.abort(new Error('enough')), 20)
    await expect(wire).rejects.toThrow('enough')
  })

  it('says that nobody listens', async () => {
    const port = await plain(() => {})
    await new Promise((resolve) => plainServer!.close(resolve))
    const error = await failure(connect(port))
    expect([error.code, error.message]).toEqual(['CONNECT_FAILED', expect.stringMatching(/refused/)])
  })

  it('is no host of ours: what it sends in clear is not taken', async () => {
    const serving = await serve(() => key)
    const { connect: connectPlain } = await import('node:net')
    const socket = connectPlain(serving.port, '127.0.0.1').on('error', () => {})
    socket.write(Buffer.alloc(128))
    expect((await failure(serving.next)).code).toBe('DENIED')
    socket.destroy()
  })

  it('is let go when that is called off', async () => {
    const controller = new AbortController()
    const serving = await serve(() => key, controller.signal)
    const { connect: connectPlain } = await import('node:net')
    const socket = connectPlain(serving.port, '127.0.0.1').on('error', () => {})
    await new Promise((resolve) => socket.once('connect', resolve))
    setTimeout(() => controller.abort(new Error('enough')), 20)
    await expect(serving.next).rejects.toThrow('enough')
    await new Promise((resolve) => socket.once('close', resolve))
  })
})
