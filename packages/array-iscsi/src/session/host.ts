import type { InputSlab } from '@blockbraid/wire'
import type { CommandRule } from '../faults/types.ts'
import type { Output } from '../pdu/output.ts'
import type { CommandHost, Task, TaskSession } from '../scsi/task.ts'

/** What a session is, from its login. */
export interface SessionIdentity {
  readonly initiatorName: string
  readonly isid: string
  readonly tsih: number
  readonly cid: number
  readonly discovery: boolean
  readonly portal: number
  readonly portalGroup: number
}

/** The connection of a session. */
export interface SessionConnection {
  readonly out: Output
  /** Keeps the bytes at hand until the slab is let go of. */
  hold(): InputSlab
  /** Ends it at once. */
  destroy(): void
  /** Ends it by RST. */
  reset(): void
  /** Ends it when all that was sent is out. */
  finish(): void
}

/** What a rule says of a PDU that has come in. */
export type IncomingAction = 'pass' | 'drop' | 'cut' | 'reset'

/** Rules that are in force now, as sessions ask for them. */
export interface SessionHooks {
  /** Null while no rule is for PDUs that come in. */
  readonly incoming: ((portal: number, bytes: Uint8Array, at: number) => IncomingAction) | null
  /** Null while no rule is for commands; gives the one that takes care of a command. */
  readonly command: ((portal: number, task: Task) => CommandRule | undefined) | null
}

/** What sessions need of their array. */
export interface SessionHost extends CommandHost {
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
  readonly hooks: SessionHooks
  /** What a task management function is answered with, or -1: as it is. */
  taskManagementVerdict(portal: number, action: number): number
  /** Addresses for SendTargets: pairs of TargetName and TargetAddress. */
  targets(wanted: string): readonly (readonly [string, string])[]
  /** Every live session. */
  sessions(): Iterable<TaskSession>
  /** Counts a command. */
  count(opcode: number): void
  /** Counts task management functions that end tasks. */
  countAborts(tasks: number): void
  /** Logs a command whose turn has come. */
  record(identity: SessionIdentity, task: Task): void
  /** The initiator broke a rule of the protocol. */
  violation(text: string): void
  /** A command outside of the window was ignored. */
  ignored(): void
  /** Data of a task that is no more was thrown away. */
  stray(bytes: number): void
  /** A NOP-In that the array sent was answered. */
  pong(): void
  /** An initiator has logged out. */
  loggedOut(): void
}
