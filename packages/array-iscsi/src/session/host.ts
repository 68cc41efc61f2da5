import type { Task } from '../scsi/task.ts'
import type { Unit } from '../scsi/unit.ts'
import type { Session } from './session.ts'

/** What a rule says of a PDU that has come in. */
export type IncomingAction = 'pass' | 'drop' | 'cut'

/** What sessions need of their array. */
export interface SessionHost {
  readonly targetName: string
  /** Commands that a session may have unanswered. */
  readonly windowWidth: number
  /** Whether ended commands make room for new ones, as a session begins. */
  readonly windowOpen: boolean
  /** Whether the last data of a read carries the status. */
  readonly collapse: boolean
  /** Whether a refused write is answered before its unsolicited data is there. */
  readonly earlyStatus: boolean
  /** Whether every command keeps a copy of its CDB. */
  readonly keepsCdb: boolean
  /** TPGS field of INQUIRY: 0 none, 1 implicit, 2 explicit, 3 both. */
  readonly tpgs: number
  readonly hooks: {
    /** Null while no rule is for PDUs that come in. */
    readonly incoming: ((session: Session, bytes: Uint8Array, at: number) => IncomingAction) | null
    /** Null while no rule is for commands; says whether a rule takes care of the command. */
    readonly command: ((task: Task) => boolean) | null
  }
  /** What a task management function is answered with, or -1: as it is. */
  taskManagementVerdict(session: Session, action: number): number
  /** LUNs that a session is told of. */
  luns(session: Session): readonly number[]
  /** Addresses for SendTargets: pairs of TargetName and TargetAddress. */
  targets(wanted: string): readonly (readonly [string, string])[]
  /** Every live session with the same view of a unit. */
  sessions(): Iterable<Session>
  abortNexuses(unit: Unit, names: ReadonlySet<string>): Promise<void>
  /** Counts a command. */
  count(opcode: number): void
  /** Counts task management functions that end tasks. */
  countAborts(tasks: number): void
  /** Logs a command whose turn has come. */
  record(session: Session, task: Task): void
  /** The initiator broke a rule of the protocol. */
  violation(text: string): void
  /** A command outside of the window was ignored. */
  ignored(): void
  /** Data of a task that is no more was thrown away. */
  stray(bytes: number): void
  /** A NOP-In that the array sent was answered. */
  pong(session: Session): void
  /** Calls back in a later turn of the event loop. */
  later(callback: () => void): void
  /** Ends the connection of a session at once. */
  drop(session: Session): void
  /** Ends the connection of a session when all that was sent is out. */
  finish(session: Session): void
}
