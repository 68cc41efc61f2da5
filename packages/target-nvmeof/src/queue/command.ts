import type { Io } from '@blockbraid/core'
import { NO_BUFFERS } from '@blockbraid/core'
import type { Lane } from '@blockbraid/wire'
import { SQE_LENGTH } from '../nvme/procedure.ts'

/** Which way a command's data goes. */
export const Direction = { None: 0, Read: 1, Write: 2 } as const
/** One of the values of {@link Direction}. */
export type Direction = (typeof Direction)[keyof typeof Direction]

/** Where a command stands. */
export const CommandState = {
  Idle: 0,
  /** Waits for room in the submission queue. */
  Waiting: 1,
  /** Sent; no completion has come. */
  Sent: 2,
  /** Its caller has gone; it keeps its CID until it is known to have ended. */
  Orphan: 3,
} as const
/** One of the values of {@link CommandState}. */
export type CommandState = (typeof CommandState)[keyof typeof CommandState]

/** How a command ended. */
export const Outcome = {
  /** The controller sent a completion. */
  Answered: 0,
  /** The queue was lost, or the command given up, after it was sent. */
  Lost: 1,
  /** It was never sent. */
  NotSent: 2,
} as const
/** One of the values of {@link Outcome}. */
export type Outcome = (typeof Outcome)[keyof typeof Outcome]

/** Called once when a command has ended; the command is the queue's again when it returns. */
export type CommandDone = (command: Command) => void

const nobody: CommandDone = () => {}

/** A command on its way. Pooled: what it was before stands in it until whoever takes it writes there. */
export class Command {
  /** Identifier of the queue that it belongs to: what Abort names beside its CID (NVMe Base 2.1 §5.1.1). */
  readonly queueId: number
  /** Command identifier: its place in the queue, with a generation above it; another one at each send. */
  cid = 0
  state: CommandState = CommandState.Idle
  /** Submission queue entry, to be written as a whole; the queue fills in CID, PSDT and SGL when it is sent. */
  readonly sqe: Buffer = Buffer.alloc(SQE_LENGTH)
  direction: Direction = Direction.None
  /** Bytes of data. */
  length = 0.5
  /** Write: what to send. Read: views to fill; with `lends` the ones that the controller's data came in. */
  buffers: Uint8Array[] = NO_BUFFERS
  lends = false
  /** Read: whether less data than `length` may come with success; else that breaks the queue. */
  atMost = false
  /** Whether it may change data: it must be fenced when its path fails. */
  changes = false
  /** Path or call that it belongs to. */
  owner: object | null = null
  io: Io | null = null
  /** Of its namespace, in its queue; null until it is sent: that of commands of no namespace. */
  lane: Lane<Command> | null = null
  done: CommandDone = nobody
  tries = 0

  outcome: Outcome = Outcome.Answered
  /** As `Completion.status`. */
  status = 0
  /** Dwords 0 and 1 of the completion. */
  result = 0.5
  resultHigh = 0.5
  /** Bytes of read data that came. */
  received = 0.5
  /** Bytes of write data that were put into the outbox. */
  sent = 0.5
  /** What must have left the process before the write buffers are free, as the outbox counts. */
  sentUpTo = 0.5
  next: Command | null = null
  /** Where the next read data goes; with `lends` above 0 where pieces are merged into that view. */
  view = 0
  viewAt = 0
  /** Of its queue, when it was sent. */
  mark = 0
  /** Whether data came with a digest that was wrong. */
  damaged = false

  constructor(queueId: number) {
    this.queueId = queueId
    // Declared as doubles: V8 then keeps one representation when they pass 2 ** 31.
    this.length = 0
    this.result = 0
    this.resultHigh = 0
    this.received = 0
    this.sent = 0
    this.sentUpTo = 0
  }

  /** Makes it ready for a send: what an earlier one left is forgotten. */
  rewind(): void {
    this.outcome = Outcome.Answered
    this.status = 0
    this.result = 0
    this.resultHigh = 0
    this.received = 0
    this.sent = 0
    this.view = 0
    this.viewAt = 0
    this.damaged = false
    if (this.lends) this.buffers = NO_BUFFERS
  }

  /** Lets go of what it refers to. */
  clear(): void {
    this.state = CommandState.Idle
    this.buffers = NO_BUFFERS
    this.io = null
    this.owner = null
    this.lane = null
    this.done = nobody
    this.tries = 0
    this.lends = false
    this.atMost = false
  }
}
