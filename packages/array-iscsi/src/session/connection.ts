import type { Timer } from '@blockbraid/core'
import type { InputSlab, Wire, WireSink } from '@blockbraid/wire'
import { put16, put32 } from '@blockbraid/wire'
import type { LoginContext } from '../login/target-login.ts'
import { TargetLogin } from '../login/target-login.ts'
import { BHS, PduOpcode, pduName } from '../pdu/opcodes.ts'
import type { OutputTap } from '../pdu/output.ts'
import { Output } from '../pdu/output.ts'
import type { PduSink } from '../pdu/parser.ts'
import { PduParser } from '../pdu/parser.ts'
import type { SessionConnection } from './host.ts'
import { SessionReceiver } from './receiver.ts'
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
export class Connection implements WireSink, PduSink, SessionConnection {
  readonly out: Output
  readonly #host: ConnectionHost
  readonly #wire: Wire
  readonly #parser: PduParser
  readonly #login: TargetLogin
  readonly #bhs = Buffer.alloc(BHS)
  #data: Buffer[] = []
  #entering = false
  #over = false
  #dark = false
  /** Its end waits for the light. */
  #finishing = false
  #timer: Timer
  readonly #abort = new AbortController()
  session: Session | undefined

  constructor(host: ConnectionHost, wire: Wire) {
    this.#host = host
    this.#wire = wire
    this.out = new Output(wire.outbox)
    this.#parser = new PduParser(this, LOGIN_DATA)
    this.#login = new TargetLogin(host)
    this.#timer = host.after(host.loginTimeout, () => this.destroy())
    this.out.setTap(host.tapFor(this))
    wire.sink = this
  }

  /** Whether it is over. */
  get over(): boolean {
    return this.#over
  }

  /** Fires when the connection ends. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  get answeringLun(): number {
    return this.session?.answeringLun ?? -1
  }

  get portal(): number {
    return this.#host.portal
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#parser.stop()
    this.#wire.destroy()
    this.#end()
  }

  /** Ends the connection by RST. */
  reset(): void {
    this.#parser.stop()
    this.out.flush()
    this.#wire.reset()
    this.#end()
  }

  /** Ends the connection when what was written is out. */
  finish(): void {
    this.#parser.stop()
    this.#finishing = true
    if (!this.#dark) this.#wire.end()
  }

  hold(): InputSlab {
    return this.#wire.hold()
  }

  /** Nothing comes in or goes out; what would, waits. */
  setDark(dark: boolean): void {
    if (this.#over || this.#dark === dark) return
    this.#dark = dark
    this.out.setHeld(dark)
    if (dark) return this.#wire.pause()
    if (this.#finishing) this.#wire.end()
    else this.#wire.resume()
  }

  // WireSink

  bytes(chunk: Buffer, start: number, end: number): void {
    this.#parser.push(chunk, start, end)
  }

  finished(): void {
    this.finish()
  }

  closed(): void {
    this.#end()
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
    this.#data.push(Buffer.from(view))
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
        if (this.#over) return void session.lose()
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
    this.#parser.sink = new SessionReceiver(session)
  }

  #send(header: Buffer, data: Buffer): void {
    const at = this.out.begin()
    this.out.bytes.set(header, at)
    this.out.endWith(at, [data], 0, data.length)
  }

  #end(): void {
    if (this.#over) return
    this.#over = true
    this.#timer.cancel()
    this.#abort.abort()
    this.#host.closed(this)
  }
}
