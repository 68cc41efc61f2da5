import { Io, NO_BUFFERS } from '@blockbraid/core'
import type { InputSlab } from '@blockbraid/wire'
import { letGo } from '@blockbraid/wire'
import type { Nexus } from './nexus.ts'
import type { Outcome } from './outcome.ts'
import { GOOD } from './outcome.ts'
import type { Unit } from './unit.ts'

/** What commands need of their array. */
export interface CommandHost {
  readonly targetName: string
  /** TPGS field of INQUIRY: 0 none, 1 implicit, 2 explicit, 3 both. */
  readonly tpgs: number
  /** IMPLICIT TRANSITION TIME, seconds. */
  readonly transitionTime: number
  /** What a session is told of that has these LUNs. */
  luns(mapped: Iterable<number>): readonly number[]
  /** Aborts every task of a unit that came through one of these nexuses; settles when they have ended. */
  abortNexuses(unit: Unit, names: ReadonlySet<string>): Promise<void>
  /** Calls back in a later turn of the event loop. */
  later(callback: () => void): void
}

/** The session of a task, as its command and tasks of others see it. */
export interface TaskSession {
  readonly host: CommandHost
  readonly nexuses: ReadonlyMap<number, Nexus>
  readonly tasks: ReadonlyMap<number, Task>
  /** Whether anything can be answered. */
  readonly live: boolean
  /** Its turn in the task set has come. */
  execute(task: Task): void
  /** A task ends with a status and without data. */
  end(task: Task, outcome: Outcome): void
  /** A task ends with GOOD and data. */
  endWithData(task: Task, views: readonly Uint8Array[], length: number): void
  /** Aborts a task; settles when the device has nothing of it any more. */
  abort(task: Task): Promise<void>
  /** Ends the connection at once: no answer would be right. */
  drop(): void
}

/** A request for data that the initiator has not answered to its end. */
export interface OpenR2T {
  tag: number
  offset: number
  length: number
  received: number
  dataSn: number
}

const NO_R2TS: OpenR2T[] = []
const NO_CDB = Buffer.alloc(16)

/** One SCSI command from its PDU to its response; pooled. */
export class Task {
  readonly io = new Io()
  session: TaskSession | null = null
  nexus: Nexus | null = null
  tag = 0
  lunHigh = 0
  lunLow = 0
  immediate = false
  reads = false
  writes = false
  /** Expected data transfer length, as the initiator says. */
  expected = 0
  cmdSn = 0
  opcode = 0
  /** It waits for all commands before it, and those behind it wait for it (SAM-5 §8.6.3). */
  ordered = false
  /** A copy of the CDB, for all but the plain reads and writes. */
  cdb: Buffer = NO_CDB
  /** Bytes of data that the command itself asks to be sent to the target. */
  need = 0
  /** Of those, what the initiator will send. */
  take = 0
  received = 0
  views: Uint8Array[] = NO_BUFFERS
  /** Memory that `views` are in. */
  readonly slabs: InputSlab[] = []
  /** Unsolicited data is still coming. */
  unsolicited = false
  /** Number of the next unsolicited Data-Out. */
  unsolicitedSn = 0
  /** First byte that no R2T has asked for. */
  solicited = 0
  r2ts: OpenR2T[] = NO_R2TS
  r2tSn = 0
  dataSn = 0
  /** It is this command's turn: it was looked at in the order of CmdSN. */
  begun = false
  /** The device has its Io, or a handler works on it. */
  running = false
  /** No response goes out. */
  aborted = false
  /** How it ends when all unsolicited data has come; GOOD: not known yet. */
  refused: Outcome = GOOD
  /** Called when an aborted task has ended. */
  onEnd: (() => void)[] = []

  execute(): void {
    this.session!.execute(this)
  }

  /** Makes it as new. */
  clear(): void {
    this.session = null
    this.nexus = null
    this.io.buffers = NO_BUFFERS
    this.cdb = NO_CDB
    this.need = 0
    this.take = 0
    this.received = 0
    this.views = NO_BUFFERS
    while (this.slabs.length > 0) letGo(this.slabs.pop()!)
    this.unsolicited = false
    this.unsolicitedSn = 0
    this.solicited = 0
    this.r2ts = NO_R2TS
    this.r2tSn = 0
    this.dataSn = 0
    this.begun = false
    this.running = false
    this.aborted = false
    this.refused = GOOD
    if (this.onEnd.length > 0) this.onEnd = []
  }
}

const pool: Task[] = []

/** An empty task. */
export function takeTask(): Task {
  return pool.pop() ?? new Task()
}

/** Gives a task back that nobody refers to any more. */
export function giveTask(task: Task): void {
  task.clear()
  if (pool.length < 1024) pool.push(task)
}
