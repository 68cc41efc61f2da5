import type { Io } from '@blockbraid/core'
import { NO_BUFFERS } from '@blockbraid/core'
import { Lane } from '@blockbraid/wire'

/** Which way a command's data goes. */
export const Direction = { None: 0, Read: 1, Write: 2 } as const
/** One of the values of {@link Direction}. */
export type Direction = (typeof Direction)[keyof typeof Direction]

/** Where a task stands. */
export const TaskState = {
  Idle: 0,
  /** Waits for the command window. */
  Waiting: 1,
  /** Sent; no status has come. */
  Sent: 2,
  /** Its caller has gone; it keeps its tag until it is known to have ended. */
  Orphan: 3,
} as const
/** One of the values of {@link TaskState}. */
export type TaskState = (typeof TaskState)[keyof typeof TaskState]

/** How a task ended. */
export const Outcome = {
  /** The target sent a SCSI status. */
  Answered: 0,
  /** The session was lost, or the task given up, after it was sent. */
  Lost: 1,
  /** It was never sent. */
  NotSent: 2,
  /** The target answered against the standard, or said that it failed to deliver (RFC 7143 §11.4.3). */
  Failed: 3,
} as const
/** One of the values of {@link Outcome}. */
export type Outcome = (typeof Outcome)[keyof typeof Outcome]

/** Called once when a task has ended; the task is the session's again when it returns. */
export type TaskDone = (task: Task) => void

const NO_SENSE: Uint8Array = new Uint8Array(0)
const nobody: TaskDone = () => {}

/** The commands of one logical unit in a session. */
export class LunLane extends Lane<Task> {
  readonly high: number
  readonly low: number

  constructor(high: number, low: number) {
    super()
    this.high = high
    this.low = low
  }
}

/** A SCSI command on its way. Pooled. */
export class Task {
  /** Its place in the table, the low 16 bits of its tag. */
  readonly index: number
  /** Initiator task tag; another one at each send. */
  tag = 0.5
  state: TaskState = TaskState.Idle
  lunHigh = 0.5
  lunLow = 0.5
  readonly cdb: Buffer = Buffer.alloc(16)
  direction: Direction = Direction.None
  /** Expected data transfer length, bytes. */
  length = 0.5
  /** Write: what to send. Read: views to fill; with `lends` the ones that the target's data came in. */
  buffers: Uint8Array[] = NO_BUFFERS
  lends = false
  /** Whether it may change data: it must be fenced when its path fails. */
  changes = false
  /** Whether it waits for all commands before it. */
  ordered = false
  /** Path or call that it belongs to. */
  owner: object | null = null
  io: Io | null = null
  /** Of its logical unit, since it was last sent. */
  lane: LunLane | null = null
  done: TaskDone = nobody
  tries = 0

  outcome: Outcome = Outcome.Answered
  /** SAM-5 status byte. */
  status = 0
  sense: Uint8Array = NO_SENSE
  /** Bytes of read data that came. */
  received = 0.5
  /** Bytes that did not move, as the target said. */
  residual = 0.5
  cmdSn = 0.5
  /** Bytes of write data that were put into the outbox. */
  sent = 0
  /** What must have left the process before the write buffers are free, as the outbox counts. */
  sentUpTo = 0.5
  next: Task | null = null

  /** Where the next read data goes; with `lends` above 0 where pieces are merged into that view. */
  view = 0
  viewAt = 0

  constructor(index: number) {
    this.index = index
    // Declared as doubles: V8 then keeps one representation when they pass 2 ** 31.
    this.tag = index
    this.lunHigh = 0
    this.lunLow = 0
    this.length = 0
    this.received = 0
    this.residual = 0
    this.cmdSn = 0
    this.sentUpTo = 0
  }

  /** Makes it ready for a send: what an earlier one left is forgotten. */
  rewind(): void {
    this.outcome = Outcome.Answered
    this.status = 0
    this.sense = NO_SENSE
    this.received = 0
    this.residual = 0
    this.view = 0
    this.viewAt = 0
    if (this.lends) this.buffers = NO_BUFFERS
  }

  /** Lets go of what it refers to. */
  clear(): void {
    this.state = TaskState.Idle
    this.buffers = NO_BUFFERS
    this.sense = NO_SENSE
    this.io = null
    this.owner = null
    this.done = nobody
    this.tries = 0
    this.lends = false
    this.ordered = false
  }
}

const MAX_TASKS = 0x8000

/** Every task of a session, found by tag. */
export class TaskTable {
  readonly all: Task[] = []
  /** How many were taken and not given back. */
  busy = 0
  #idle: Task | null = null

  /** An idle task, or undefined when there are as many as tags. */
  take(): Task | undefined {
    const task = this.#idle
    if (task !== null) {
      this.busy++
      this.#idle = task.next
      task.next = null
      return task
    }
    if (this.all.length === MAX_TASKS) return undefined
    this.busy++
    const made = new Task(this.all.length)
    this.all.push(made)
    return made
  }

  /** Gives a task back. */
  give(task: Task): void {
    this.busy--
    task.clear()
    task.next = this.#idle
    this.#idle = task
  }

  /** The sent task with this tag, or undefined. */
  find(tag: number): Task | undefined {
    const task = this.all[tag & 0xffff]
    return task !== undefined && task.tag === tag && task.state >= TaskState.Sent ? task : undefined
  }
}
