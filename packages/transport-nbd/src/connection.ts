import type { Socket } from 'node:net'
import type { TlsOptions } from 'node:tls'
import { createServer } from 'node:tls'
import type { Timer } from '@blockbraid/core'
import type { DetachableWire, WireSink } from '@blockbraid/wire'
import { Connection as SocketWire } from '@blockbraid/wire'
import type { Export } from './export.ts'
import type { ExportDirectory, HandshakeSink, TlsMode } from './handshake/handshake.ts'
import { Handshake } from './handshake/handshake.ts'
import { greeting } from './handshake/messages.ts'
import type { Negotiated } from './transmission/commands.ts'
import type { SessionContext } from './transmission/context.ts'
import { Session } from './transmission/session.ts'

/** TLS as the connections of one server use it. */
export interface ConnectionTls {
  readonly mode: TlsMode
  readonly options: TlsOptions
}

/** What a {@link Connection} needs of its server. */
export interface ConnectionContext extends SessionContext {
  readonly exports: ExportDirectory
  readonly tls: ConnectionTls
  readonly handshakeTimeout: number
  readonly simpleReplies: boolean
  /** The connection is over; `reason` is empty where that is nobody's fault. */
  closed(connection: Connection, reason: string): void
}

/** Bytes of replies to options that may wait for the client before the last reply, which may be of any length. */
const MAX_UNSENT = 256 * 1024
/** Bytes of them with which the client is not read. */
const HIGH = 16 * 1024

/** One client: first the handshake, perhaps TLS, then a session. */
export class Connection implements HandshakeSink, WireSink {
  readonly #context: ConnectionContext
  #wire: DetachableWire
  /** While TLS begins over it, and beneath it. */
  #plain: Socket | undefined
  #handshake: Handshake | undefined
  #session: Session | undefined
  #timer: Timer | undefined
  #closed = false
  #aborted = false

  constructor(context: ConnectionContext, wire: DetachableWire) {
    this.#context = context
    this.#wire = wire
    this.#handshake = new Handshake(this, context.exports, context.tls.mode, context.simpleReplies)
    this.#timer = context.host.clock.after(context.handshakeTimeout, () => this.destroy('handshake took too long'))
    wire.sink = this
    this.send(greeting())
  }

  /** Ends the connection at once. */
  destroy(reason: string): void {
    this.#end(reason)
    this.#plain?.destroy()
    this.#wire.destroy()
  }

  // HandshakeSink

  send(bytes: Buffer): void {
    if (this.#closed) return
    const wire = this.#wire
    // An option may only follow the last reply to the one before it: this client does not read.
    if (this.#unsent > MAX_UNSENT) {
      this.destroy('replies not fetched')
      return
    }
    wire.outbox.attach(bytes)
    wire.outbox.flush()
    if (this.#unsent <= HIGH) return
    // A client that asks and does not read is not read either. A session that begins meanwhile sees to it that it is again.
    wire.pause()
    wire.outbox.onLeft = () => {
      if (this.#unsent === 0) wire.resume()
    }
  }

  abort(): void {
    this.#aborted = true
    this.#wire.resume()
    this.#wire.end()
  }

  startTls(): void {
    const { outbox } = this.#wire
    // What comes next is a TLS handshake and must wait for the TLSSocket.
    this.#wire.pause()
    const secure = (): void => {
      if (this.#closed || this.#unsent > 0) return
      outbox.onLeft = null
      this.#secure(this.#wire.detach())
    }
    outbox.onLeft = secure
    // Not from inside of what was read.
    this.#context.host.clock.defer(secure)
  }

  enter(target: Export, negotiated: Negotiated): void {
    if (this.#closed) return
    this.#timer?.cancel()
    this.#timer = undefined
    this.#session = new Session(this.#context, this.#wire, target, negotiated, (reason) => this.destroy(reason))
    if (target.detaching) this.#session.shutdown()
  }

  broken(reason: string): void {
    this.destroy(reason)
  }

  // WireSink. One function for all phases, so that a phase can end in the middle of a chunk.

  bytes(chunk: Buffer, start: number, end: number): void {
    if (this.#session !== undefined) {
      this.#session.bytes(chunk, start, end)
      return
    }
    const handshake = this.#handshake
    if (handshake === undefined || this.#aborted) return
    const at = handshake.parse(chunk, start, end)
    if (at === end || this.#closed || this.#aborted) return
    // Cast: parse may have called enter.
    const session = this.#session as Session | undefined
    if (session !== undefined) session.bytes(chunk, at, end)
    // Plain text behind STARTTLS must never be taken for something that came through TLS.
    else this.destroy('data behind the end of the handshake')
  }

  finished(): void {
    if (this.#session !== undefined) this.#session.end()
    else this.destroy('closed during the handshake')
  }

  closed(error: Error | undefined): void {
    this.#end(error?.message ?? '')
  }

  /** Bytes of replies that the client has not taken. */
  get #unsent(): number {
    const { outbox } = this.#wire
    return outbox.position - outbox.left
  }

  #secure(plain: Socket): void {
    const { host, inputs, outputs, tls } = this.#context
    this.#plain = plain
    plain.on('error', (error) => this.#end(error.message))
    plain.on('close', () => this.#end(''))
    // A server of its own, which never listens: only node:tls's server checks clients' certificates.
    const upgrade = createServer(tls.options)
    upgrade.on('secureConnection', (socket) => {
      this.#wire = new SocketWire({ socket }, { clock: host.clock, inputs, outputs })
      this.#wire.sink = this
      this.#handshake?.secured()
    })
    upgrade.on('tlsClientError', (error) => this.destroy(`TLS: ${error.message}`))
    upgrade.emit('connection', plain)
  }

  #end(reason: string): void {
    if (this.#closed) return
    this.#closed = true
    this.#timer?.cancel()
    this.#handshake?.stop()
    this.#session?.closed()
    this.#context.closed(this, reason)
  }
}
