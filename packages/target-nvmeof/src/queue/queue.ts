import { BlockError, NO_BUFFERS } from '@blockbraid/core'
import type { Lane, Outbox } from '@blockbraid/wire'
import type { Agreed } from '../pdu/agreed.ts'
import type { ConnectionRequest } from '../pdu/encode.ts'
import { icReq, termReq } from '../pdu/encode.ts'
import type { Fault } from '../pdu/fault.ts'
import { PduWriter } from '../pdu/writer.ts'
import type { Command } from './command.ts'
import { CommandState, Direction, Outcome } from './command.ts'
import { CommandTable } from './command-table.ts'
import { NamespaceLanes } from './namespace-lanes.ts'
import type { ReceiverHost } from './receiver.ts'
import { Receiver } from './receiver.ts'
import { Sender } from './sender.ts'

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
export class Queue implements ReceiverHost {
  readonly id: number
  /** How many commands were answered. */
  answers = 0
  /** Whether a command was answered that was sent after the last `mark`. */
  worked = false
  /** Told of each command that has ended, orphans too, where anybody wants to know. */
  onEnd: (() => void) | null = null
  /** Why it has ended. */
  error: BlockError | undefined
  /** Who may have its entries: what a namespace leaves unanswered must not take all. */
  readonly lanes = new NamespaceLanes()
  readonly #outbox: Outbox
  readonly #host: QueueHost
  readonly #connection: ConnectionRequest
  readonly #receiver: Receiver
  readonly #writer: PduWriter
  readonly #sender: Sender
  readonly #table: CommandTable
  #agreed = false
  #marks = 0
  /** Writes that were answered before all of their data had left. */
  #early: Command[] = []

  constructor(outbox: Outbox, host: QueueHost, options: QueueOptions) {
    this.id = options.id
    this.#outbox = outbox
    this.#host = host
    this.#connection = options.connection
    this.#writer = new PduWriter(outbox)
    this.#sender = new Sender(this.#writer, options.inCapsule)
    this.#table = new CommandTable(options.id, options.depth - 1)
    this.#receiver = new Receiver(this, this.#table, options.connection)
  }

  /** Begins the connection (§3.6.2.2). */
  start(): void {
    this.#outbox.attach(icReq(this.#connection))
  }

  /** Bytes of `chunk` from `start` to `end` have come. Returns whether they must stay, as views of them were kept. */
  push(chunk: Buffer, start: number, end: number): boolean {
    const keeps = this.#receiver.push(chunk, start, end)
    if (this.lanes.waiting > 0) this.#pump()
    return keeps
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

  /** A command to fill in and `send`. */
  take(): Command {
    return this.#table.take()
  }

  /** Sends a command, or lets it wait for room: for ever where the queue has ended, until `refuseWaiting`. */
  send(command: Command): void {
    command.rewind()
    const { lanes } = this
    const lane = command.lane ?? lanes.common
    command.lane = lane
    if (this.#agreed && lanes.waiting === 0 && lanes.mayGo(lane, this.#table.room, command.length))
      return this.#transmit(command, lane)
    command.state = CommandState.Waiting
    lanes.push(lane, command)
    this.#pump()
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
      this.lanes.remove(new Set(commands.filter(({ state }) => state === CommandState.Waiting)))
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
    this.#receiver.stop()
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
    for (let { waiting } = this.lanes; waiting > 0; waiting--) {
      const command = this.lanes.shift()
      if (command === null) return
      this.#finish(command, Outcome.NotSent)
    }
  }

  /** Ends writes that were answered early, all of whose data has left by now. */
  endEarly(): void {
    for (const command of this.#early.splice(0)) if (command.state !== CommandState.Idle) this.#end(command)
  }

  #pump(): void {
    while (this.#agreed) {
      const command = this.lanes.next(this.#table.room)
      if (command === null) return
      this.#transmit(command, command.lane as Lane<Command>)
    }
  }

  #transmit(command: Command, lane: Lane<Command>): void {
    this.#table.enter(command)
    this.lanes.began(lane, command.length)
    command.mark = this.#marks
    if (command.direction === Direction.Read) this.#receiver.expect(command.length)
    this.#sender.command(command)
  }

  /** The connection is agreed on. */
  accept(agreed: Agreed): void {
    this.#writer.use(agreed)
    this.#sender.maxH2cData = agreed.maxH2cData
    this.#agreed = true
    this.#host.agreed(agreed)
  }

  /** An R2T for `length` bytes at `offset` has come, and is right. */
  ready(command: Command, transferTag: number, offset: number, length: number): void {
    if (command.state === CommandState.Sent) this.#sender.data(command, transferTag, offset, offset + length)
  }

  /** Whether it was answered, and has not ended since. */
  isAnswered(command: Command): boolean {
    return this.#early.length > 0 && this.#early.includes(command)
  }

  /** Bytes that have left this process, as the outbox counts. */
  get left(): number {
    return this.#outbox.left
  }

  /** The controller has ended the connection. */
  over(words: string): void {
    const error = new BlockError('PROTOCOL', `the controller ended the connection: ${words}`)
    this.error ??= error
    this.#host.broken(error, false)
  }

  /** The controller broke the protocol. */
  refuse({ reason, fes, fei }: Fault, header: Buffer): void {
    if (this.error !== undefined) return
    this.#receiver.stop()
    const error = new BlockError('PROTOCOL', `the controller broke the NVMe/TCP protocol: ${reason}`)
    this.error = error
    const outbox = this.#outbox
    // What the socket has not got is not sent, as its buffers go back. What it has ends with a whole PDU.
    outbox.drop()
    const tells = outbox.left === outbox.position
    if (tells) {
      outbox.attach(termReq(fes, fei, header))
      outbox.flush()
    }
    this.#host.broken(error, tells)
  }

  /** A command was answered. */
  answer(command: Command): void {
    this.answers++
    if (command.mark === this.#marks) this.worked = true
    if (command.damaged && command.status === 0) command.status = TRANSIENT_TRANSPORT_ERROR
    this.#end(command)
  }

  #end(command: Command): void {
    if (command.state === CommandState.Orphan) return this.#forget(command)
    if (command.direction === Direction.Write && command.sentUpTo > this.#outbox.left) {
      this.#early.push(command)
      return
    }
    this.#finish(command, Outcome.Answered)
  }

  #finish(command: Command, outcome: Outcome): void {
    if (command.state >= CommandState.Sent) this.#leave(command)
    command.state = CommandState.Idle
    command.outcome = outcome
    command.done(command)
    this.#table.give(command)
    if (this.onEnd !== null) this.onEnd()
  }

  #orphan(command: Command): void {
    const { cid } = command
    this.lanes.orphaned(command.lane as Lane<Command>, command.length)
    command.outcome = Outcome.Lost
    command.state = CommandState.Orphan
    command.done(command)
    // `done` may have ended the queue.
    if (command.state !== CommandState.Orphan || command.cid !== cid) return
    command.io = null
    command.buffers = NO_BUFFERS
  }

  #forget(command: Command): void {
    this.#leave(command)
    this.#table.give(command)
    if (this.onEnd !== null) this.onEnd()
  }

  #leave(command: Command): void {
    this.#table.leave(command)
    const isOrphan = command.state === CommandState.Orphan
    this.lanes.ended(command.lane as Lane<Command>, isOrphan ? 0 : command.length)
  }
}
