import type { Socket } from 'node:net'
import type { TlsOptions } from 'node:tls'
import { createServer } from 'node:tls'
import type { Timer } from '@blockbraid/core'
import type { Export } from './export.ts'
import type { ExportDirectory, HandshakeSink, TlsMode } from './handshake/handshake.ts'
import { Handshake } from './handshake/handshake.ts'
import { greeting } from './handshake/messages.ts'
import type { Negotiated } from './transmission/commands.ts'
import type { SessionContext } from './transmission/session.ts'
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

/** One client: first the handshake, perhaps TLS, then a session. */
export class Connection implements HandshakeSink {
  readonly #context: ConnectionContext
  readonly #handshake: Handshake
  #socket: Socket
  #session: Session | undefined
  #timer: Timer | undefined
  #closed = false
  #aborted = false
  #reason = ''

  constructor(context: ConnectionContext, socket: Socket) {
    this.#context = context
    this.#socket = socket
    this.#handshake = new Handshake(this, context.exports, context.tls.mode, context.simpleReplies)
    this.#timer = context.host.clock.after(context.handshakeTimeout, () => this.destroy('handshake took too long'))
    socket.setNoDelay(true)
    // A client that vanished without a word is noticed within minutes.
    socket.setKeepAlive(true, 60_000)
    this.#listen(socket)
    socket.write(greeting())
  }

  /** Ends the connection at once. */
  destroy(reason: string): void {
    this.#end(reason)
    this.#socket.destroy()
  }

  // HandshakeSink

  send(bytes: Buffer): void {
    if (this.#closed) return
    const socket = this.#socket
    // An option may only follow the last reply to the one before it: this client does not read.
    if (socket.writableLength > MAX_UNSENT) {
      this.destroy('replies not fetched')
      return
    }
    if (socket.write(bytes) || this.#closed || socket.isPaused()) return
    // A client that asks and does not read is not read either.
    socket.pause()
    socket.once('drain', () => {
      // A session that has begun since may be paused for reasons of its own.
      if (this.#session === undefined) this.#socket.resume()
      else this.#session.drained()
    })
  }

  abort(): void {
    this.#aborted = true
    this.#socket.resume()
    this.#socket.destroySoon()
  }

  startTls(): void {
    const plain = this.#socket
    // What comes next is a TLS handshake and must wait for the TLSSocket.
    plain.pause()
    plain.removeAllListeners('data')
    plain.write('', () => {
      if (!this.#closed) this.#secure(plain)
    })
  }

  enter(target: Export, negotiated: Negotiated): void {
    if (this.#closed) return
    this.#timer?.cancel()
    this.#timer = undefined
    this.#session = new Session(this.#context, this.#socket, target, negotiated, (reason) => this.destroy(reason))
    if (target.detaching) this.#session.shutdown()
  }

  broken(reason: string): void {
    this.destroy(reason)
  }

  #listen(socket: Socket): void {
    socket.on('data', this.#onData)
    socket.on('end', () => this.#onEnd())
    socket.on('error', (error) => this.#end(error.message))
    socket.on('close', () => this.#end(''))
  }

  #secure(plain: Socket): void {
    // A server of its own, which never listens: only node:tls's server checks clients' certificates.
    const upgrade = createServer(this.#context.tls.options)
    upgrade.on('secureConnection', (secure) => {
      this.#socket = secure
      this.#handshake.secured()
      this.#listen(secure)
    })
    upgrade.on('tlsClientError', (error) => this.destroy(`TLS: ${error.message}`))
    upgrade.emit('connection', plain)
  }

  // One function for all phases, so that a phase can end in the middle of a chunk.
  readonly #onData = (chunk: Buffer): void => {
    if (this.#session !== undefined) {
      this.#session.data(chunk)
      return
    }
    if (this.#closed || this.#aborted) return
    const used = this.#handshake.parse(chunk)
    if (used === chunk.length || this.#closed || this.#aborted) return
    // Cast: parse may have called enter.
    const session = this.#session as Session | undefined
    if (session !== undefined) session.data(chunk.subarray(used))
    // Plain text behind STARTTLS must never be taken for something that came through TLS.
    else this.destroy('data behind the end of the handshake')
  }

  #onEnd(): void {
    if (this.#session !== undefined) this.#session.end()
    else this.destroy('closed during the handshake')
  }

  #end(reason: string): void {
    if (this.#closed) return
    this.#closed = true
    this.#reason = reason
    this.#timer?.cancel()
    this.#handshake.stop()
    this.#session?.closed()
    this.#context.closed(this, this.#reason)
  }
}
