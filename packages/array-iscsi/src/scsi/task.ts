import { Io, NO_BUFFERS } from '@blockbraid/core'
import type { Session } from '../session/session.ts'
import type { Nexus } from './nexus.ts'
import type { Outcome } from './outcome.ts'
import { GOOD } from './outcome.ts'

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
  session: Session | null = null
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
