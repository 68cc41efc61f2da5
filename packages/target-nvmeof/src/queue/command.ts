import type { Io } from '@blockbraid/core'
import { NO_BUFFERS } from '@blockbraid/core'
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

/** A command on its way. Pooled. */
export class Command {
  /** Its place in the table of its queue: the low bits of its CID. */
  readonly index: number
  /** Command identifier, with a generation above the index: another one at each send. */
  cid = 0
  /** Identifier of the queue that it belongs to: what Abort names beside its CID (NVMe Base 2.1 §5.1.1). */
  queueId = 0
  state: CommandState = CommandState.Idle
  /** Submission queue entry; the queue fills in CID and SGL when it is sent. */
  readonly sqe: Buffer = Buffer.alloc(SQE_LENGTH)
  direction: Direction = Direction.None
  /** Bytes of data. */
  length: number
  /** Write: what to send. Read: views to fill; with `lends` the ones that the controller's data came in. */
  buffers: Uint8Array[] = NO_BUFFERS
  lends = false
  /** Whether it may change data: it must be fenced when its path fails. */
  changes = false
  /** Path or call that it belongs to. */
  owner: object | null = null
  io: Io | null = null
  done: CommandDone = nobody
  tries = 0

  outcome: Outcome = Outcome.Answered
  /** As `Completion.status`. */
  status = 0
  /** Dwords 0 and 1 of the completion. */
  result: number
  resultHigh: number
  /** Bytes of read data that came. */
  received: number
  /** Bytes of write data that were put into the outbox. */
  sent: number
  /** What must have left the process before the write buffers are free, as the outbox counts. */
  sentUpTo: number
  next: Command | null = null

  constructor(index: number) {
    this.index = index
    // Started as doubles: V8 then keeps one representation when they pass 2 ** 31.
    this.length = 0.5
    this.result = 0.5
    this.resultHigh = 0.5
    this.received = 0.5
    this.sent = 0.5
    this.sentUpTo = 0.5
    this.length = 0
    this.result = 0
    this.resultHigh = 0
    this.received = 0
    this.sent = 0
    this.sentUpTo = 0
  }
}
