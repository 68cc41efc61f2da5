import type { Socket } from 'node:net'
import { connect } from 'node:net'
import type { Clock, SignalOptions } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { Outbox } from './outbox.ts'

/** Where to connect, and from where. */
export interface Endpoint {
  readonly host: string
  readonly port: number
  readonly localAddress?: string | undefined
}

/** Takes what comes over a {@link Connection}. */
export interface ConnectionSink {
  /** Bytes of `chunk` from `start` to `end`, which stay as they are only where `retain` is called. */
  bytes(chunk: Buffer, start: number, end: number): void
  /** The connection has ended, once; not after `destroy`. */
  ended(error: BlockError): void
}

/** What a session needs of a connection. */
export interface Wire {
  readonly outbox: Outbox
  sink: ConnectionSink | null
  /** The bytes at hand are kept as views: later ones go elsewhere. */
  retain(): void
  /** Ends it at once; nothing that was not sent yet will be. */
  destroy(): void
}

// Views of received data keep a whole slab alive: a larger one holds more memory for a single view.
const SLAB = 512 * 1024
const SMALLEST_READ = 64 * 1024
// A login, and what is asked in discovery, needs no more: many are open at once there, and most of them say nothing.
const FIRST_SLAB = 8 * 1024

/** A TCP connection that reads into slabs of its own, so that data can be handed on as views. */
export class Connection implements Wire {
  readonly outbox: Outbox
  sink: ConnectionSink | null = null
  readonly #socket: Socket
  #slab: Buffer = Buffer.allocUnsafeSlow(FIRST_SLAB)
  #window = 0
  #fresh = true
  #retained = false
  #open = false
  #error: Error | undefined

  constructor(endpoint: Endpoint, clock: Clock) {
    const { host, port, localAddress } = endpoint
    this.#socket = connect({
      host,
      port,
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress }),
      onread: { buffer: this.#nextBuffer, callback: this.#onRead },
    })
    this.outbox = new Outbox(this.#socket, clock)
    this.#socket.on('error', (error) => {
      this.#error = error
    })
    this.#socket.on('close', () => this.#onClose())
  }

  /** Settles when it is connected. One try; the caller sets the time-out by a signal. */
  opened({ signal }: SignalOptions = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#socket.off('connect', onConnect)
        this.#socket.off('close', onClose)
        signal?.removeEventListener('abort', onAbort)
      }
      const onConnect = (): void => {
        settle()
        this.#open = true
        resolve()
      }
      const onClose = (): void => {
        settle()
        const why = this.#error === undefined ? 'the connection was closed' : describe(this.#error)
        reject(new BlockError('CONNECT_FAILED', why, { cause: this.#error }))
      }
      const onAbort = (): void => {
        settle()
        this.destroy()
        reject(signal?.reason)
      }
      this.#socket.on('connect', onConnect)
      this.#socket.on('close', onClose)
      signal?.addEventListener('abort', onAbort)
      if (signal?.aborted) onAbort()
    })
  }

  retain(): void {
    this.#retained = true
  }

  destroy(): void {
    this.sink = null
    this.#socket.destroy()
  }

  // Without a new view the next bytes overwrite the last ones. Before the first bytes it may be asked more than
  // once: for each address of a name that is tried.
  readonly #nextBuffer = (): Uint8Array => {
    if (!this.#fresh) return undefined as unknown as Uint8Array
    return this.#slab.subarray(this.#window)
  }

  readonly #onRead = (count: number): boolean => {
    const start = this.#window
    this.#fresh = false
    this.sink?.bytes(this.#slab, start, start + count)
    const isFull = this.#slab.length === FIRST_SLAB && count === FIRST_SLAB
    if (this.#retained || isFull) {
      this.#retained = false
      this.#fresh = true
      this.#window = start + count
      if (this.#slab.length - this.#window < SMALLEST_READ) {
        this.#slab = Buffer.allocUnsafeSlow(SLAB)
        this.#window = 0
      }
    }
    return true
  }

  #onClose(): void {
    const { sink } = this
    if (!this.#open || sink === null) return
    this.sink = null
    const why = this.#error === undefined ? 'the target closed the connection' : describe(this.#error)
    sink.ended(new BlockError('CONNECT_FAILED', why, { cause: this.#error }))
  }
}

const CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused: nothing listens there',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed while data was sent',
  ETIMEDOUT: 'the host does not answer',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'no route to its network',
  EHOSTDOWN: 'the host is down',
  ENETDOWN: 'the network is down',
  EADDRNOTAVAIL: 'the local address is not one of this host',
  ENOTFOUND: 'its name is not known',
  EAI_AGAIN: 'its name cannot be looked up now',
  EACCES: 'this host does not let the connection out',
  EPERM: 'this host does not let the connection out',
  EMFILE: 'this process has too many files open',
}

/** In words, with what the system calls it. */
function describe(error: Error & { code?: string }): string {
  const words = error.code === undefined ? undefined : CAUSES[error.code]
  return words === undefined ? error.message : `${words} (${error.code})`
}
