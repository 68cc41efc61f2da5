import { get32 } from '@blockbraid/wire'
import type { Export } from '../export.ts'
import {
  ALLOCATION_CONTEXT,
  ALLOCATION_CONTEXT_ID,
  HandshakeFlag,
  MAX_STRING,
  Magic,
  Option,
  OptionReply,
  ReplyStyle,
  TransmissionFlag,
} from '../protocol.ts'
import type { Negotiated } from '../transmission/commands.ts'
import {
  contextReply,
  exportNameReply,
  infoReplies,
  optionReply,
  readContextRequest,
  readInfoRequest,
  serverReply,
} from './messages.ts'

/** Whether TLS can be had: not at all, if the client likes, or before anything else. */
export type TlsMode = 'none' | 'optional' | 'required'

/** The exports of a server, as the handshake sees them. */
export interface ExportDirectory {
  list(): Iterable<Export>
  /** An empty name means the only export, where there is just one. */
  find(name: string): Export | undefined
  readonly closing: boolean
}

/** Takes what a {@link Handshake} decides. */
export interface HandshakeSink {
  send(bytes: Buffer): void
  /** ABORT: the connection ends after what was sent. */
  abort(): void
  /** STARTTLS was accepted. */
  startTls(): void
  /** Transmission begins with the next byte. */
  enter(target: Export, negotiated: Negotiated): void
  /** The client broke the protocol. */
  broken(reason: string): void
}

const State = { ClientFlags: 0, Header: 1, Data: 2, Skip: 3, Done: 4 } as const

const HEADER_SIZE = 16
/** Bytes of option data that are looked at; more is skipped and answered with TOO_BIG. */
const MAX_DATA = 8192
/** Bytes of option data that are skipped; a client that announces more is dropped. */
const MAX_SKIP = 65536
const MAX_OPTIONS = 1024

/** Fixed newstyle negotiation of one connection. */
export class Handshake {
  readonly #sink: HandshakeSink
  readonly #exports: ExportDirectory
  readonly #tls: TlsMode
  readonly #simpleReplies: boolean
  #state: number
  #buffer = Buffer.alloc(4)
  #have = 0
  #skip = 0
  #option = 0
  #options = 0
  #fixed = false
  #noZeroes = false
  #secure = false
  #style: ReplyStyle = ReplyStyle.Simple
  /** The export whose `base:allocation` the client selected. */
  #allocationOf: Export | undefined
  #stopped = false

  constructor(sink: HandshakeSink, exports: ExportDirectory, tls: TlsMode, simpleReplies: boolean) {
    this.#sink = sink
    this.#exports = exports
    this.#tls = tls
    this.#simpleReplies = simpleReplies
    this.#state = State.ClientFlags
  }

  /** Takes bytes from `start` to `end` and returns where it stopped: at the end, unless the handshake ended among them. */
  parse(chunk: Buffer, start: number, end: number): number {
    let at = start
    while (at < end && this.#state !== State.Done && !this.#stopped) {
      if (this.#state === State.Skip) {
        const size = Math.min(this.#skip, end - at)
        at += size
        this.#skip -= size
        if (this.#skip === 0) {
          this.#reply(OptionReply.ErrTooBig)
          this.#expect(State.Header, HEADER_SIZE)
        }
        continue
      }
      const size = Math.min(this.#buffer.length - this.#have, end - at)
      chunk.copy(this.#buffer, this.#have, at, at + size)
      this.#have += size
      at += size
      if (this.#have === this.#buffer.length) this.#complete()
    }
    return at
  }

  /** Looks at nothing any more. */
  stop(): void {
    this.#stopped = true
  }

  /** TLS runs: nothing negotiated before it counts (STARTTLS, doc/proto.md). */
  secured(): void {
    this.#secure = true
    this.#style = ReplyStyle.Simple
    this.#allocationOf = undefined
    this.#expect(State.Header, HEADER_SIZE)
  }

  #expect(state: number, size: number): void {
    this.#state = state
    this.#have = 0
    this.#buffer = Buffer.alloc(size)
  }

  #complete(): void {
    const bytes = this.#buffer
    switch (this.#state) {
      case State.ClientFlags:
        this.#clientFlags(get32(bytes, 0))
        break
      case State.Header:
        this.#header(bytes)
        break
      default:
        this.#expect(State.Header, HEADER_SIZE)
        this.#handle(bytes)
    }
  }

  #broken(reason: string): void {
    this.#state = State.Done
    this.#sink.broken(reason)
  }

  #clientFlags(flags: number): void {
    if ((flags & ~(HandshakeFlag.FixedNewstyle | HandshakeFlag.NoZeroes)) !== 0) {
      this.#broken('unknown client flags')
      return
    }
    this.#fixed = (flags & HandshakeFlag.FixedNewstyle) !== 0
    this.#noZeroes = (flags & HandshakeFlag.NoZeroes) !== 0
    this.#expect(State.Header, HEADER_SIZE)
  }

  #header(bytes: Buffer): void {
    const length = get32(bytes, 12)
    this.#option = get32(bytes, 8)
    if (get32(bytes, 0) !== Magic.OptionHigh || get32(bytes, 4) !== Magic.OptionLow) {
      this.#broken('bad magic number in an option')
    } else if (++this.#options > MAX_OPTIONS) {
      this.#broken(`more than ${MAX_OPTIONS} options`)
    } else if (length > MAX_SKIP || (this.#option === Option.ExportName && length > MAX_STRING)) {
      this.#broken(`option with ${length} bytes`)
    } else if (length > MAX_DATA) {
      this.#state = State.Skip
      this.#skip = length
    } else if (length > 0) {
      this.#expect(State.Data, length)
    } else {
      this.#expect(State.Header, HEADER_SIZE)
      this.#handle(Buffer.alloc(0))
    }
  }

  #reply(type: number, before: readonly Buffer[] = []): void {
    this.#sink.send(Buffer.concat([...before, optionReply(this.#option, type)]))
  }

  #handle(data: Buffer): void {
    const option = this.#option
    if (option === Option.Abort) {
      this.#state = State.Done
      this.#reply(OptionReply.Ack)
      this.#sink.abort()
      return
    }
    if (option === Option.StartTls) {
      this.#startTls(data)
      return
    }
    if (this.#tls === 'required' && !this.#secure) {
      if (option === Option.ExportName) this.#broken('export name without TLS')
      else this.#reply(OptionReply.ErrTlsRequired)
      return
    }
    if (option === Option.ExportName) {
      this.#exportName(data)
      return
    }
    if (this.#exports.closing) {
      this.#reply(OptionReply.ErrShutdown)
      return
    }
    this.#haggle(data)
  }

  #haggle(data: Buffer): void {
    switch (this.#option) {
      case Option.List:
        if (data.length > 0) this.#reply(OptionReply.ErrInvalid)
        else
          this.#reply(
            OptionReply.Ack,
            [...this.#exports.list()].map((target) => serverReply(Option.List, target)),
          )
        break
      case Option.Info:
      case Option.Go:
        this.#info(data)
        break
      case Option.StructuredReply:
        if (this.#simpleReplies) this.#reply(OptionReply.ErrUnsupported)
        else if (data.length > 0) this.#reply(OptionReply.ErrInvalid)
        else if (this.#style === ReplyStyle.Extended) this.#reply(OptionReply.ErrExtendedHeadersRequired)
        else {
          this.#style = ReplyStyle.Structured
          this.#reply(OptionReply.Ack)
        }
        break
      case Option.ExtendedHeaders:
        if (this.#simpleReplies) this.#reply(OptionReply.ErrUnsupported)
        else if (data.length > 0) this.#reply(OptionReply.ErrInvalid)
        else {
          this.#style = ReplyStyle.Extended
          this.#reply(OptionReply.Ack)
        }
        break
      case Option.ListMetaContext:
      case Option.SetMetaContext:
        this.#metaContext(data)
        break
      default:
        this.#reply(OptionReply.ErrUnsupported)
    }
  }

  #startTls(data: Buffer): void {
    // A client that did not take up fixed newstyle cannot have TLS (doc/proto.md, "Server-side requirements").
    if (this.#tls === 'none' || !this.#fixed) this.#reply(OptionReply.ErrUnsupported)
    else if (data.length > 0 || this.#secure) this.#reply(OptionReply.ErrInvalid)
    else {
      this.#state = State.Done
      this.#reply(OptionReply.Ack)
      this.#sink.startTls()
    }
  }

  #flagsFor(target: Export, informOnly: boolean): number {
    let flags = target.flags
    if (this.#style !== ReplyStyle.Simple) flags |= TransmissionFlag.SendDf
    const selected = this.#allocationOf === target || (informOnly && target.hasExtents)
    if (this.#style === ReplyStyle.Extended && selected) flags |= TransmissionFlag.BlockStatusPayload
    return flags
  }

  #enter(target: Export, flags: number): void {
    this.#state = State.Done
    const allocation = this.#allocationOf === target && this.#style !== ReplyStyle.Simple
    this.#sink.enter(target, { style: this.#style, allocation, flags })
  }

  #exportName(data: Buffer): void {
    const target = this.#exports.find(data.toString('utf8'))
    // This option has no error reply: the session ends.
    if (target === undefined || this.#exports.closing) this.#broken('unknown export')
    else if (this.#style === ReplyStyle.Extended) this.#broken('EXPORT_NAME after EXTENDED_HEADERS')
    else {
      const flags = this.#flagsFor(target, false)
      this.#sink.send(exportNameReply(target, flags, this.#noZeroes))
      this.#enter(target, flags)
    }
  }

  #info(data: Buffer): void {
    const request = readInfoRequest(data)
    if (request === undefined) {
      this.#reply(OptionReply.ErrInvalid)
      return
    }
    const target = this.#exports.find(request.name)
    if (target === undefined) {
      this.#reply(OptionReply.ErrUnknown)
      return
    }
    const go = this.#option === Option.Go
    const flags = this.#flagsFor(target, !go)
    this.#reply(OptionReply.Ack, infoReplies(this.#option, target, flags, request.wanted))
    if (go) this.#enter(target, flags)
  }

  #metaContext(data: Buffer): void {
    const select = this.#option === Option.SetMetaContext
    // The old selection is dropped even where the new one fails.
    if (select) this.#allocationOf = undefined
    const request = readContextRequest(data)
    if (request === undefined || this.#style === ReplyStyle.Simple) {
      this.#reply(OptionReply.ErrInvalid)
      return
    }
    const target = this.#exports.find(request.name)
    if (target === undefined) {
      this.#reply(OptionReply.ErrUnknown)
      return
    }
    const { queries } = request
    const asked =
      queries.includes(ALLOCATION_CONTEXT) || (!select && (queries.length === 0 || queries.includes('base:')))
    if (!asked || !target.hasExtents) {
      this.#reply(OptionReply.Ack)
      return
    }
    if (select) this.#allocationOf = target
    const id = select ? ALLOCATION_CONTEXT_ID : 0
    this.#reply(OptionReply.Ack, [contextReply(this.#option, id, ALLOCATION_CONTEXT)])
  }
}
