import type { Socket } from 'node:net'
import type { Timer } from '@blockbraid/core'
import type { LoginContext } from '../login/target-login.ts'
import { TargetLogin } from '../login/target-login.ts'
import { put16, put32 } from '../pdu/bytes.ts'
import { BHS, PduOpcode, pduName } from '../pdu/opcodes.ts'
import type { OutputTap } from '../pdu/output.ts'
import { Output } from '../pdu/output.ts'
import type { PduSink } from '../pdu/parser.ts'
import { PduParser } from '../pdu/parser.ts'
import type { Session } from './session.ts'

/** Data of one PDU during a login (RFC 7143 §13.12: the default). */
const LOGIN_DATA = 8192

/** What a connection needs of its array. */
export interface ConnectionHost extends LoginContext {
  readonly portal: number
  /** A login that sends no answers at all. */
  readonly mute: boolean
  after(milliseconds: number, callback: () => void): Timer
  readonly loginTimeout: number
  /** The login has succeeded: makes its session, after it has ended older ones; rejects where it cannot be had. */
  admit(login: TargetLogin, connection: Connection): Promise<Session>
  violation(text: string): void
  closed(connection: Connection): void
  /** Sees what goes out, while there are rules for it. */
  tapFor(connection: Connection): OutputTap | undefined
}

/** One TCP connection: first the login, then its session. */
export class Connection implements PduSink {
  readonly out: Output
  readonly #host: ConnectionHost
  readonly #socket: Socket
  readonly #parser: PduParser
  readonly #login: TargetLogin
  readonly #bhs = Buffer.alloc(BHS)
  #data: Buffer[] = []
  #entering = false
  #closed = false
  #timer: Timer
  readonly #abort = new AbortController()
  session: Session | undefined

  constructor(host: ConnectionHost, socket: Socket) {
    this.#host = host
    this.#socket = socket
    this.out = new Output(socket)
    this.#parser = new PduParser(this, LOGIN_DATA)
    this.#login = new TargetLogin(host)
    this.#timer = host.after(host.loginTimeout, () => this.destroy())
    this.out.setTap(host.tapFor(this))
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#parser.push(chunk))
    socket.on('error', () => {})
    socket.on('close', () => this.#end())
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Fires when the connection ends. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  get portal(): number {
    return this.#host.portal
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#parser.stop()
    this.#socket.destroy()
    this.#end()
  }

  /** Ends the connection when what was written is out. */
  finish(): void {
    this.#parser.stop()
    this.out.flush()
    this.#socket.destroySoon()
  }

  /** Nothing comes in or goes out; what would, waits. */
  setDark(dark: boolean): void {
    if (this.#closed) return
    this.out.setHeld(dark)
    if (dark) this.#socket.pause()
    else this.#socket.resume()
  }

  // PduSink, for the login

  pduHeader(bytes: Buffer, at: number): boolean {
    const opcode = bytes[at]! & 0x3f
    if (this.#entering || opcode !== PduOpcode.login) {
      this.broken(`${pduName(opcode)} during the login`)
      return false
    }
    bytes.copy(this.#bhs, 0, at, at + BHS)
    this.#data = []
    return true
  }

  pduData(view: Buffer): void {
    this.#data.push(view)
  }

  pduEnd(): void {
    if (this.#host.mute) return
    const answer = this.#login.receive(this.#bhs, Buffer.concat(this.#data))
    if (answer.outcome !== 'done') {
      this.#send(answer.header, answer.data)
      if (answer.outcome === 'failed') this.finish()
      return
    }
    this.#entering = true
    this.#host.admit(this.#login, this).then(
      (session) => {
        if (this.#closed) return void session.lose()
        this.#timer.cancel()
        put16(answer.header, 14, session.identity.tsih)
        put32(answer.header, 28, session.window.expCmdSn)
        put32(answer.header, 32, session.window.maxCmdSn)
        this.#send(answer.header, answer.data)
        this.#enter(session)
      },
      () => this.destroy(),
    )
  }

  broken(reason: string): void {
    this.#host.violation(reason)
    this.destroy()
  }

  #enter(session: Session): void {
    const { agreed } = session
    this.session = session
    this.out.headerDigest = agreed.headerDigest
    this.out.dataDigest = agreed.dataDigest
    this.#parser.headerDigest = agreed.headerDigest
    this.#parser.dataDigest = agreed.dataDigest
    this.#parser.maxData = this.#host.keys.maxRecvDataSegmentLength
    this.#parser.sink = session
  }

  #send(header: Buffer, data: Buffer): void {
    const at = this.out.begin()
    this.out.bytes.set(header, at)
    this.out.endWith(at, [data], 0, data.length)
  }

  #end(): void {
    if (this.#closed) return
    this.#closed = true
    this.#timer.cancel()
    this.#abort.abort()
    this.#host.closed(this)
  }
}
