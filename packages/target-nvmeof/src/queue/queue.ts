import { BlockError, NO_BUFFERS } from '@blockbraid/core'
import type { Outbox } from '@blockbraid/wire'
import { fillViews, get16le, get32le } from '@blockbraid/wire'
import type { Agreed } from '../pdu/agreed.ts'
import { agree } from '../pdu/agreed.ts'
import type { ConnectionRequest } from '../pdu/encode.ts'
import { icReq, termReq } from '../pdu/encode.ts'
import type { Fault } from '../pdu/fault.ts'
import { Fes, fault, termReqWords } from '../pdu/fault.ts'
import { HeaderLength, PduFlag } from '../pdu/opcode.ts'
import type { PduSink } from '../pdu/parser.ts'
import { PduParser } from '../pdu/parser.ts'
import { PduWriter } from '../pdu/writer.ts'
import type { Command } from './command.ts'
import { CommandState, Direction, Outcome } from './command.ts'
import { CommandTable } from './command-table.ts'
import { dataFault, readyFault, successFault } from './faults.ts'
import { Sender } from './sender.ts'
import { WaitingCommands } from './waiting.ts'

/** Who has a {@link Queue}. */
export interface QueueHost {
  /** The connection was agreed on: commands go. */
  agreed(agreed: Agreed): void
  /**
   * The controller broke the protocol or ended the connection: `cut` and `endAll` must follow. `told`: a termination request
   * has been put into the outbox, with nothing before it, so that the controller has a moment to close.
   */
  broken(error: BlockError, told: boolean): void
}

/** What a {@link Queue} is made of. */
export interface QueueOptions {
  /** Which of its association it is; 0: the admin queue. */
  readonly id: number
  /** Entries of the submission queue; one fewer is used. */
  readonly depth: number
  /** Bytes of data that may go with a command, that of fabrics apart. */
  readonly inCapsule: number
  readonly connection: ConnectionRequest
}

// Generic command status (NVMe Base 2.1 §4.2.3.1), never without a DNR of its own: another try may do.
const TRANSIENT_TRANSPORT_ERROR = 0x22

/**
 * A submission queue, a completion queue and the connection that they are (NVMe/TCP Transport 1.1 §2), without a socket and
 * a clock: bytes come by `push`, and go into the outbox.
 */
export class Queue implements PduSink {
  readonly id: number
  /** How many commands were answered. */
  answers = 0
  /** Whether a command was answered that was sent after the last `mark`. */
  worked = false
  /** Told of each command that has ended, orphans too, where anybody wants to know. */
  onEnd: (() => void) | null = null
  /** Why it has ended. */
  error: BlockError | undefined
  readonly #outbox: Outbox
  readonly #host: QueueHost
  readonly #connection: ConnectionRequest
  readonly #parser: PduParser
  readonly #writer: PduWriter
  readonly #sender: Sender
  readonly #table: CommandTable
  readonly #waiting = new WaitingCommands()
  #agreed = false
  #marks = 0
  // Of the C2HData that is being received.
  #current: Command | null = null
  #ends = false
  #kept = false
  /** Writes that were answered before all of their data had left. */
  #early: Command[] = []

  constructor(outbox: Outbox, host: QueueHost, options: QueueOptions) {
    this.id = options.id
    this.#outbox = outbox
    this.#host = host
    this.#connection = options.connection
    this.#parser = new PduParser(this, options.connection.align)
    this.#writer = new PduWriter(outbox)
    this.#sender = new Sender(this.#writer, options.inCapsule)
    this.#table = new CommandTable(options.id, options.depth - 1)
  }

  /** Begins the connection (§3.6.2.2). */
  start(): void {
    this.#outbox.attach(icReq(this.#connection))
  }

  /** Bytes of `chunk` from `start` to `end` have come. Returns whether they must stay, as views of them were kept. */
  push(chunk: Buffer, start: number, end: number): boolean {
    this.#kept = false
    this.#parser.push(chunk, start, end)
    if (this.#waiting.head !== null) this.#pump()
    return this.#kept
  }

  /** How many commands were taken and have not ended. */
  get busy(): number {
    return this.#table.busy
  }

  /** Commands that are sent from now on make it have `worked`. */
  mark(): void {
    this.worked = false
    this.#marks = (this.#marks + 1) & 0xffff
  }

  /** Whether `endEarly` has something to end as soon as it has left. */
  get hasEarly(): boolean {
    return this.#early.length > 0
  }

  /** A command to fill in and `send`; undefined when there are too many. */
  take(): Command | undefined {
    return this.#table.take()
  }

  /** Sends a command, or lets it wait for room: for ever where the queue has ended, until `refuseWaiting`. */
  send(command: Command): void {
    command.rewind()
    if (this.#agreed && this.#waiting.head === null && this.#table.hasRoom) return this.#transmit(command)
    command.state = CommandState.Waiting
    this.#waiting.push(command)
  }

  /** The commands of `owner` that wait or were sent, orphans too. */
  commandsOf(owner: object): Command[] {
    return this.#table.all.filter((command) => command.owner === owner && command.state !== CommandState.Idle)
  }

  /** Every command that waits or was sent, and has a caller. */
  open(): Command[] {
    return this.#table.all.filter(({ state }) => state === CommandState.Waiting || state === CommandState.Sent)
  }

  /** Every command that the controller has. */
  sent(): Command[] {
    return this.#table.all.filter(({ state }) => state >= CommandState.Sent)
  }

  /**
   * Ends commands for their caller now: `done` is called with Lost or NotSent. Those that were sent live on without a
   * caller. Returns false where payload of one has not left this process: then the queue must be cut.
   */
  detach(commands: readonly Command[]): boolean {
    if (commands.some(({ state }) => state === CommandState.Waiting)) {
      this.#waiting.remove(new Set(commands.filter(({ state }) => state === CommandState.Waiting)))
    }
    const { left } = this.#outbox
    const clean = !commands.some(
      ({ state, direction, sentUpTo }) =>
        state === CommandState.Sent && direction === Direction.Write && sentUpTo > left,
    )
    for (const command of commands) {
      if (command.state === CommandState.Sent) this.#orphan(command)
      else if (command.state === CommandState.Waiting) this.#finish(command, Outcome.NotSent)
    }
    return clean
  }

  /** Ends it: nothing is sent or taken any more. Its wire must be ended before `endAll`, or have nothing to send. */
  cut(error: BlockError): void {
    this.error ??= error
    this.#agreed = false
    this.#parser.stop()
    this.#current = null
  }

  /** After `cut`: every command ends. */
  endAll(): void {
    this.#early = []
    for (const command of [...this.#table.all]) {
      if (command.state === CommandState.Sent) this.#finish(command, Outcome.Lost)
      else if (command.state === CommandState.Orphan) this.#forget(command)
    }
    this.refuseWaiting()
  }

  /** Ends the commands that wait, as never sent. Those that `done` sends meanwhile wait on. */
  refuseWaiting(): void {
    for (let { count } = this.#waiting; count > 0; count--) {
      const command = this.#waiting.shift()
      if (command === null) return
      this.#finish(command, Outcome.NotSent)
    }
  }

  /** Ends writes that were answered early, all of whose data has left by now. */
  endEarly(): void {
    for (const command of this.#early.splice(0)) if (command.state !== CommandState.Idle) this.#answer(command)
  }

  #pump(): void {
    while (this.#agreed && this.#table.hasRoom) {
      const command = this.#waiting.shift()
      if (command === null) return
      this.#transmit(command)
    }
  }

  #transmit(command: Command): void {
    this.#table.enter(command)
    command.mark = this.#marks
    if (command.direction === Direction.Read && command.length > this.#parser.maxData) {
      this.#parser.maxData = command.length
    }
    this.#sender.command(command)
  }

  icResp(bytes: Buffer, at: number): void {
    const agreed = agree(bytes, at, this.#connection)
    if ('fes' in agreed) return this.#refuse(agreed, bytes, at, HeaderLength.Connection)
    this.#parser.use(agreed)
    this.#writer.use(agreed)
    this.#sender.maxH2cData = agreed.maxH2cData
    this.#agreed = true
    this.#host.agreed(agreed)
  }

  dataHeader(bytes: Buffer, at: number, length: number): void {
    const cid = get16le(bytes, at + 8)
    const command = this.#table.find(cid)
    const wrong = dataFault(command, cid, get32le(bytes, at + 12), length)
    if (command === undefined || wrong !== undefined) return this.#refuse(wrong as Fault, bytes, at)
    const flags = bytes[at + 1] as number
    this.#ends = (flags & PduFlag.Success) !== 0
    if (this.#ends && (flags & PduFlag.Last) === 0) {
      return this.#refuse(fault(Fes.InvalidField, 1, 'C2HData with SUCCESS and without LAST_PDU'), bytes, at)
    }
    this.#current = command
  }

  data(bytes: Buffer, start: number, end: number): void {
    const command = this.#current
    if (command === null) return
    if (command.state !== CommandState.Sent) command.received += end - start
    else if (fillViews(command, bytes, start, end)) this.#kept = true
  }

  dataEnd(right: boolean): void {
    const command = this.#current
    if (command === null) return
    this.#current = null
    if (!right) command.damaged = true
    if (this.#ends) this.#succeeded(command)
  }

  /** The last data has come, and stands for a completion. */
  #succeeded(command: Command): void {
    const wrong = successFault(command)
    if (wrong !== undefined) return this.#refuse(wrong)
    this.#answer(command)
  }

  response(bytes: Buffer, at: number): void {
    const cid = get16le(bytes, at + 20)
    const command = this.#table.find(cid)
    if (command === undefined) {
      return this.#refuse(fault(Fes.InvalidField, 20, `a completion for CID ${cid}, which no command has`), bytes, at)
    }
    if (this.#early.length > 0 && this.#early.includes(command)) {
      return this.#refuse(fault(Fes.InvalidField, 20, `a second completion for CID ${cid}`), bytes, at)
    }
    // Without the phase tag, which is none over fabrics.
    const status = get16le(bytes, at + 22) >>> 1
    if (status === 0) {
      const wrong = successFault(command)
      if (wrong !== undefined) return this.#refuse(wrong, bytes, at)
    }
    command.status = status
    command.result = get32le(bytes, at + 8)
    command.resultHigh = get32le(bytes, at + 12)
    this.#answer(command)
  }

  readyToTransfer(bytes: Buffer, at: number): void {
    const cid = get16le(bytes, at + 8)
    const offset = get32le(bytes, at + 12)
    const length = get32le(bytes, at + 16)
    const command = this.#table.find(cid)
    const wrong = readyFault(command, cid, offset, length, this.#outbox.left)
    if (command === undefined || wrong !== undefined) return this.#refuse(wrong as Fault, bytes, at)
    if (this.#early.length > 0 && this.#early.includes(command)) {
      return this.#refuse(fault(Fes.Sequence, 8, `R2T for CID ${cid}, which was completed`), bytes, at)
    }
    if (command.state === CommandState.Sent) {
      this.#sender.data(command, get16le(bytes, at + 10), offset, offset + length)
    }
  }

  termReq(fes: number, fei: number): void {
    const error = new BlockError('PROTOCOL', `the controller ended the connection: ${termReqWords(fes, fei)}`)
    this.error ??= error
    this.#host.broken(error, false)
  }

  broken(wrong: Fault, header: Buffer): void {
    if (this.error !== undefined) return
    this.#parser.stop()
    const error = new BlockError('PROTOCOL', `the controller broke the NVMe/TCP protocol: ${wrong.reason}`)
    this.error = error
    const outbox = this.#outbox
    // What the socket has not got is not sent, as its buffers go back. What it has ends with a whole PDU.
    outbox.drop()
    const tells = outbox.left === outbox.position
    if (tells) {
      outbox.attach(termReq(wrong.fes, wrong.fei, header))
      outbox.flush()
    }
    this.#host.broken(error, tells)
  }

  #refuse(wrong: Fault, bytes: Buffer = NO_HEADER, at = 0, length: number = HeaderLength.Data): void {
    this.broken(wrong, bytes.subarray(at, at + length))
  }

  #answer(command: Command): void {
    this.answers++
    if (command.mark === this.#marks) this.worked = true
    if (command.damaged && command.status === 0) command.status = TRANSIENT_TRANSPORT_ERROR
    if (command.state === CommandState.Orphan) return this.#forget(command)
    if (command.direction === Direction.Write && command.sentUpTo > this.#outbox.left) {
      this.#early.push(command)
      return
    }
    this.#finish(command, Outcome.Answered)
  }

  #finish(command: Command, outcome: Outcome): void {
    if (command.state >= CommandState.Sent) this.#table.leave(command)
    command.state = CommandState.Idle
    command.outcome = outcome
    command.done(command)
    this.#table.give(command)
    if (this.onEnd !== null) this.onEnd()
  }

  #orphan(command: Command): void {
    const { cid } = command
    command.outcome = Outcome.Lost
    command.state = CommandState.Orphan
    command.done(command)
    // `done` may have ended the queue.
    if (command.state !== CommandState.Orphan || command.cid !== cid) return
    command.io = null
    command.buffers = NO_BUFFERS
  }

  #forget(command: Command): void {
    this.#table.leave(command)
    this.#table.give(command)
    if (this.onEnd !== null) this.onEnd()
  }
}

const NO_HEADER = Buffer.alloc(0)
