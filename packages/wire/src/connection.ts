import { connect, Socket } from 'node:net'
import type { Clock, SignalOptions } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { errorWords } from './error-words.ts'
import type { InputPool, InputSlab } from './input.ts'
import { Outbox } from './outbox.ts'
import type { OutboxPool } from './outbox-pool.ts'
import { Reader } from './reader.ts'
import { beginTurn, endTurn } from './turn.ts'
import type { DetachableWire, WireSink } from './wire.ts'

/** Where to connect, and from where. */
export interface Endpoint {
  /** Address or name. */
  readonly host: string
  /** TCP port. */
  readonly port: number
  /** Address of this host to connect from. */
  readonly localAddress?: string | undefined
}

/** What the connections of a server or a target share. */
export interface WireShared {
  /** What their turns end by. */
  readonly clock: Clock
  /** What they are read into. */
  readonly inputs: InputPool
  /** What is sent from. */
  readonly outputs: OutboxPool
}

/** What a {@link Connection} is made of: somewhere to connect to, an accepted descriptor, or a socket that is there. */
export type ConnectionSource =
  | Endpoint
  | {
      /** A connected socket, which is taken over. */
      readonly fd: number
    }
  | {
      /** A connected socket of node:net or node:tls. */
      readonly socket: Socket
      /** What that runs over, where it is TLS: what a reset ends. */
      readonly below?: Socket
    }

// Node gives a socket that is there memory of its own for each read: nobody counts who uses it.
const UNCOUNTED: InputSlab = { bytes: Buffer.alloc(0), pool: null, users: 0 }

/** A socket that is read into pooled memory; where it was there before, into memory of Node's. */
export class Connection implements DetachableWire {
  readonly outbox: Outbox
  sink: WireSink | null = null
  /** For what a wire does not know: TLS over it, addresses, keep-alive. */
  readonly socket: Socket
  /** What is ended: TLS ends with what it runs over, and Node crashes where both are ended at once. */
  readonly #below: Socket
  readonly #reader: Reader | null
  #open: boolean
  #error: Error | undefined

  constructor(source: ConnectionSource, { clock, inputs, outputs }: WireShared) {
    const reader = 'socket' in source ? null : new Reader(inputs)
    this.#reader = reader
    this.#open = !('host' in source)
    const socket = 'socket' in source ? source.socket : this.#makeSocket(source, reader!)
    this.socket = socket
    this.#below = ('socket' in source ? source.below : undefined) ?? socket
    socket.setNoDelay(true)
    this.outbox = new Outbox(socket, outputs, clock)
    if (reader === null) {
      socket.allowHalfOpen = true
      socket.on('data', this.#onData)
    } else if (this.#open) socket.resume()
    socket.on('end', this.#onEnd)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
  }

  /** Settles when what was given an endpoint is connected: rejects with CONNECT_FAILED. One try; a signal sets the time-out. */
  opened({ signal }: SignalOptions = {}): Promise<void> {
    const { socket } = this
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        socket.off('connect', onConnect)
        socket.off('close', onClose)
        signal?.removeEventListener('abort', onAbort)
      }
      const onConnect = (): void => {
        settle()
        this.#open = true
        socket.resume()
        resolve()
      }
      const onClose = (): void => {
        settle()
        const why = this.#error === undefined ? 'the connection was closed' : errorWords(this.#error)
        reject(new BlockError('CONNECT_FAILED', why, { cause: this.#error }))
      }
      const onAbort = (): void => {
        settle()
        this.destroy()
        reject(signal?.reason)
      }
      socket.on('connect', onConnect)
      socket.on('close', onClose)
      signal?.addEventListener('abort', onAbort)
      if (signal?.aborted) onAbort()
    })
  }

  retain(): void {
    this.#reader?.retain()
  }

  hold(): InputSlab {
    if (this.#reader !== null) return this.#reader.hold()
    UNCOUNTED.users++
    return UNCOUNTED
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  end(): void {
    this.outbox.flush()
    this.socket.destroySoon()
  }

  destroy(): void {
    this.sink = null
    this.outbox.drop()
    this.#below.destroy()
  }

  reset(): void {
    this.sink = null
    this.outbox.drop()
    try {
      this.#below.resetAndDestroy()
    } catch {
      // Not TCP.
      this.#below.destroy()
    }
  }

  detach(): Socket {
    const { socket } = this
    this.sink = null
    this.outbox.drop()
    socket.pause()
    socket.off('data', this.#onData)
    socket.off('end', this.#onEnd)
    socket.off('error', this.#onError)
    socket.off('close', this.#onClose)
    return socket
  }

  #makeSocket(source: Endpoint | { readonly fd: number }, reader: Reader): Socket {
    // Asked before the first read, more than once where a name has several addresses, and after each.
    let fresh: Buffer | undefined = reader.first
    const onread = {
      buffer: () => fresh as Uint8Array,
      callback: (count: number) => {
        const { start } = reader
        this.#take(reader.bytes, start, start + count)
        fresh = reader.next(count)
        return true
      },
    }
    if ('fd' in source)
      return new Socket({ fd: source.fd, readable: true, writable: true, allowHalfOpen: true, onread })
    const { host, port, localAddress } = source
    return connect({ host, port, allowHalfOpen: true, onread, ...(localAddress === undefined ? {} : { localAddress }) })
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#take(chunk, 0, chunk.length)
  }

  #take(chunk: Buffer, start: number, end: number): void {
    beginTurn()
    try {
      this.sink?.bytes(chunk, start, end)
    } finally {
      endTurn()
    }
  }

  readonly #onEnd = (): void => {
    this.sink?.finished()
  }

  readonly #onError = (error: Error): void => {
    this.#error = error
  }

  readonly #onClose = (): void => {
    this.#reader?.close()
    this.outbox.drop()
    const { sink } = this
    if (!this.#open || sink === null) return
    this.sink = null
    sink.closed(this.#error)
  }
}
