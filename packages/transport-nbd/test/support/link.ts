import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { BlockDevice } from '@blockbraid/core'
import { InputPool, OutboxPool, Connection as SocketWire, Wakeful } from '@blockbraid/wire'
import type { ConnectionContext } from '../../src/connection.ts'
import { Connection } from '../../src/connection.ts'
import { Export } from '../../src/export.ts'
import { RequestPool } from '../../src/transmission/request.ts'
import { manualHost } from './clock.ts'

/** Stands for a socket: chunks go in exactly as given, what the server writes is collected. */
class FakeSocket extends Duplex {
  readonly written: Buffer[] = []
  writes = 0
  /** While true, writes are not finished. */
  stuck = false
  #waiting: (() => void) | undefined

  constructor() {
    super({ allowHalfOpen: true })
  }

  setNoDelay(): void {}
  setKeepAlive(): void {}

  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => this.destroy())
  }

  unstick(): void {
    this.stuck = false
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.()
  }

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: string, callback: () => void): void {
    this.#take([bytes], callback)
  }

  override _writev(parts: { chunk: Buffer }[], callback: () => void): void {
    this.#take(
      parts.map((part) => part.chunk),
      callback,
    )
  }

  #take(parts: Buffer[], callback: () => void): void {
    if (this.destroyed) throw new Error('write after destroy')
    this.writes++
    // Copied: the server may use its memory again after the callback.
    for (const part of parts) this.written.push(Buffer.from(part))
    if (this.stuck) this.#waiting = callback
    else setImmediate(callback)
  }
}

/** What connections of a test share, with the pools in view. */
export interface Bench {
  context: ConnectionContext
  requests: RequestPool
  slabs: OutboxPool
  exports: Map<string, Export>
  /** Why connections ended, in order. */
  reasons: string[]
  host: ReturnType<typeof manualHost>
}

/** A server without sockets around `devices`. */
export function bench(devices: Record<string, BlockDevice>, limits: Partial<ConnectionContext> = {}): Bench {
  const requests = new RequestPool(64)
  const slabs = new OutboxPool(4)
  const host = manualHost()
  const reasons: string[] = []
  const exports = new Map(
    Object.entries(devices).map(([name, device]) => [name, new Export(device, name, `about ${name}`, false)]),
  )
  const context: ConnectionContext = {
    host,
    requests,
    inputs: new InputPool(4),
    outputs: slabs,
    wakeful: new Wakeful(host.clock, 50),
    maxRequests: 128,
    maxInflightBytes: 2 ** 26,
    handshakeTimeout: 10_000,
    simpleReplies: false,
    tls: { mode: 'none', options: {} },
    exports: {
      list: () => exports.values(),
      find: (name) => exports.get(name) ?? (name === '' && exports.size === 1 ? [...exports.values()][0] : undefined),
      closing: false,
    },
    closed: (_connection, reason) => {
      reasons.push(reason)
    },
    ...limits,
  }
  return { context, requests, slabs, exports, reasons, host }
}

/** One connection of a {@link Bench}. */
export class Link {
  readonly socket = new FakeSocket()
  readonly connection: Connection

  constructor(on: Bench) {
    const { host, inputs, outputs } = on.context
    const socket = this.socket as unknown as Socket
    const wire = new SocketWire({ socket }, { clock: host.clock, inputs, outputs })
    this.connection = new Connection(on.context, wire)
  }

  send(...chunks: Buffer[]): void {
    for (const bytes of chunks) if (bytes.length > 0 && !this.socket.destroyed) this.socket.push(bytes)
  }

  /** Ends the client's side. */
  end(): void {
    this.socket.push(null)
    // As net.Socket does: one that is paused ends too where nothing is left in its buffer.
    this.socket.read(0)
  }

  /** Everything the server wrote so far. */
  get output(): Buffer {
    return Buffer.concat(this.socket.written)
  }

  /** Lets the event loop turn until nothing more can be on its way. */
  static async settle(turns = 6): Promise<void> {
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
  }
}
