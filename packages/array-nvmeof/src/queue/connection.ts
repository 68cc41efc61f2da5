import type { Timer } from '@blockbraid/core'
import { NO_BUFFERS } from '@blockbraid/core'
import type { InputSlab, Wire, WireSink } from '@blockbraid/wire'
import { get16le, get32le } from '@blockbraid/wire'
import { FABRICS, FabricsType, SQE } from '../nvme/opcodes.ts'
import { DNR, Sc } from '../nvme/status.ts'
import { Output } from '../pdu/output.ts'
import type { PduSink } from '../pdu/parser.ts'
import { PduParser } from '../pdu/parser.ts'
import { COMMON_HEADER, Fes, headerLength, PduType } from '../pdu/types.ts'
import type { OpenR2T, Request } from '../request/request.ts'
import { giveRequest } from '../request/request.ts'
import { admitQueue, enter, readConnect } from './connect.ts'
import type { PduFault } from './data-in.ts'
import { dataFault, openR2T } from './data-in.ts'
import { answerHandshake, handshakeFault, IC_LENGTH, readHandshake } from './handshake.ts'
import type { ConnectionHost, TappedConnection } from './host.ts'
import { arrived, closeR2T, readCommand, solicit } from './intake.ts'
import type { QueueConnection } from './queue.ts'
import { ADMIN_IN_CAPSULE, Queue } from './queue.ts'
import { sendTerm } from './replies.ts'

/** Of the answer to Connect: the host has to prove itself (AUTHREQ, ATR). */
const AUTHENTICATION = 0x2_0000
// What the data that comes now belongs to.
const NOTHING = 0
const COMMAND = 1
const DATA = 2

/** One TCP connection: first its ICReq and its Connect, then a queue. */
export class Connection implements WireSink, PduSink, QueueConnection, TappedConnection {
  readonly out: Output
  readonly queue: Queue
  readonly #host: ConnectionHost
  readonly #wire: Wire
  readonly #parser: PduParser
  readonly #abort = new AbortController()
  #timer: Timer
  #state = NOTHING
  #arriving: Request | null = null
  #r2t: OpenR2T | null = null
  #connecting = false
  #over = false
  #dark = false
  /** Its end waits for the light. */
  #finishing = false

  constructor(host: ConnectionHost, wire: Wire) {
    this.#host = host
    this.#wire = wire
    this.out = new Output(wire.outbox)
    this.#parser = new PduParser(this)
    this.#parser.maxInCapsule = ADMIN_IN_CAPSULE
    this.#parser.maxH2CData = host.settings.maxH2CData
    this.#parser.alignment = host.settings.dataAlignment
    this.queue = new Queue(host, this)
    this.#timer = host.after(host.settings.connectTimeout, () => this.destroy())
    this.out.setTap(host.tapFor(this))
    wire.sink = this
  }

  get port(): number {
    return this.#host.port
  }

  get admin(): boolean {
    return this.queue.id === 0
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

  // PduSink

  pduHeader(bytes: Buffer, at: number, length: number): boolean {
    this.#state = NOTHING
    if (this.#host.hooks.incoming !== null && this.#faulted(bytes, at)) return !this.#over && !this.#finishing
    switch (bytes[at]) {
      case PduType.command:
        return this.#command(bytes, at, length)
      case PduType.h2cData:
        return this.#data(bytes, at, length)
      case PduType.icReq:
        return this.#initialize(bytes, at)
      default:
        this.#host.records.terminations++
        this.#note(`H2CTermReq with FES ${get16le(bytes, at + 8)} and FEI ${get32le(bytes, at + 10)}`)
        this.destroy()
        return false
    }
  }

  pduData(view: Buffer): void {
    const request = this.#arriving
    if (request === null) return
    if (request.views === NO_BUFFERS) request.views = [view]
    else request.views.push(view)
    request.received += view.length
    request.slabs.push(this.#wire.hold())
  }

  pduEnd(intact: boolean): void {
    const request = this.#arriving
    if (request === null) return
    const state = this.#state
    this.#arriving = null
    if (!intact && request.refused === 0) request.refused = Sc.transientTransport
    if (!intact) this.#note('data with a wrong digest')
    if (state === DATA) this.#dataEnd(request)
    else if (request.controller === null && request.received >= request.take) this.#beforeConnect(request)
    else arrived(this.queue, request)
  }

  broken(fes: number, info: number, reason: string, header: Buffer): void {
    this.#terminate({ fes, info, reason }, header)
  }

  #initialize(bytes: Buffer, at: number): boolean {
    const handshake = readHandshake(bytes, at)
    const fault = handshakeFault(handshake)
    if (fault !== undefined) return this.#terminate(fault, bytes.subarray(at, at + IC_LENGTH))
    this.#parser.initialized = true
    if (this.#host.mute) return true
    this.queue.maxR2ts = handshake.maxR2ts
    answerHandshake(handshake, this.#host.settings, this.out, this.#parser)
    return true
  }

  #command(bytes: Buffer, at: number, length: number): boolean {
    const { queue } = this
    const sqe = at + COMMON_HEADER
    const wrong = this.#capsuleFault(bytes[sqe]!, length)
    if (wrong !== '') {
      const fes = length > queue.inCapsule ? Fes.limitExceeded : Fes.sequence
      return this.#terminate({ fes, info: 0, reason: wrong }, bytes.subarray(at, sqe + SQE))
    }
    const cid = get16le(bytes, sqe + 2)
    const twice = queue.requests.get(cid) !== null
    queue.advance()
    if (queue.controller !== null) queue.controller.keepAlive.traffic = true
    const request = readCommand(queue, bytes, sqe, length)
    this.#host.records.count(queue.id === 0, request.opcode)
    if (twice) {
      this.#note(`CID ${cid} is in use`)
      request.refused = Sc.idConflict
      request.twice = true
    } else queue.requests.add(request)
    this.#arriving = request
    this.#state = COMMAND
    return true
  }

  /** What is wrong with a capsule that has `length` bytes of data; empty where nothing is. */
  #capsuleFault(opcode: number, length: number): string {
    const { queue } = this
    if (this.#connecting) return 'a command before Connect was answered'
    if (queue.requests.size >= queue.size) return `more than ${queue.size} commands, which is what its queue has`
    if (length <= queue.inCapsule || opcode === FABRICS) return ''
    return `${length} bytes in a capsule, more than ${queue.inCapsule}`
  }

  #data(bytes: Buffer, at: number, length: number): boolean {
    const request = this.queue.requests.get(get16le(bytes, at + 8))
    const r2t = openR2T(request)
    const fault = dataFault(request, r2t, bytes, at, length)
    if (fault !== undefined) return this.#terminate(fault, bytes.subarray(at, at + headerLength(PduType.h2cData)))
    r2t!.received += length
    this.#r2t = r2t!
    this.#arriving = request
    this.#state = DATA
    return true
  }

  #dataEnd(request: Request): void {
    const r2t = this.#r2t!
    if (r2t.received < r2t.length) return
    closeR2T(request)
    if (request.received === request.take) {
      if (request.controller === null) this.#beforeConnect(request)
      else this.queue.begin(request)
    } else solicit(this.queue, request)
  }

  #beforeConnect(request: Request): void {
    const { queue } = this
    const rule = this.#host.hooks.command?.(this.port, request, false)
    request.begun = true
    if (rule !== undefined && queue.follow(request, rule)) return
    if (request.refused !== 0) return queue.end(request, request.refused)
    if (isConnect(request)) this.#connect(request)
    else queue.end(request, Sc.sequenceError | DNR)
  }

  #connect(request: Request): void {
    const { queue } = this
    const facts = readConnect(request.entry, Buffer.concat(request.views))
    this.#connecting = true
    admitQueue(queue, facts, this.#abort.signal).then(
      (admission) => {
        this.#connecting = false
        const refused = 'result' in admission
        if (refused) this.#host.records.refused++
        // The end of the connection has taken the request.
        if (this.#over) {
          if (!refused && facts.qid === 0) void admission.remove('lost')
          return
        }
        if (refused) return queue.end(request, admission.status, admission.result)
        queue.requests.remove(request)
        enter(queue, admission, facts)
        queue.requests.add(request)
        this.#timer.cancel()
        this.#parser.maxInCapsule = Math.max(queue.inCapsule, ADMIN_IN_CAPSULE)
        queue.end(request, 0, admission.id | (queue.auth === undefined ? 0 : AUTHENTICATION))
      },
      () => this.destroy(),
    )
  }

  #terminate({ fes, info, reason }: PduFault, header: Buffer): false {
    this.#note(reason)
    this.#parser.stop()
    if (this.#over) return false
    sendTerm(this.out, fes, info, header)
    this.out.flush()
    // The host is to end the connection; where it does not, this side does.
    this.#timer.cancel()
    this.#timer = this.#host.after(this.#host.settings.connectTimeout, () => this.destroy())
    return false
  }

  #note(reason: string): void {
    const who = this.queue.controller?.hostNqn ?? 'a host that has not connected'
    this.#host.records.violation(`${who}: ${reason}`)
  }

  // Whether a rule has dealt with this PDU.
  #faulted(bytes: Buffer, at: number): boolean {
    const action = this.#host.hooks.incoming!(this, bytes, at)
    if (action === 'cut') this.destroy()
    else if (action === 'reset') this.reset()
    return action !== 'pass'
  }

  #end(): void {
    if (this.#over) return
    this.#over = true
    this.#timer.cancel()
    this.#abort.abort()
    const request = this.#arriving
    this.#arriving = null
    if (request?.twice === true) giveRequest(request)
    this.queue.lost()
    this.#host.closed(this)
  }
}

function isConnect(request: Request): boolean {
  return request.opcode === FABRICS && request.entry[4] === FabricsType.connect
}
