import type { Nexus } from './nexus.ts'
import type { Outcome } from './outcome.ts'
import type { Task } from './task.ts'

/** What a command answers: data with GOOD, or how it ends. */
export type CommandResult = Uint8Array | Outcome

/** One command of the table. */
export interface CommandEntry {
  /** Whether a pending unit attention comes instead. @defaultValue true */
  attentive?: boolean
  /** Whether it runs in every access state. @defaultValue false */
  anyAccess?: boolean
  /** Whether it runs whatever reservation another host holds. @defaultValue false */
  anyReservation?: boolean
  /** Whether it changes data. @defaultValue false */
  changes?: boolean
  /** Whether it is answered where no unit is. @defaultValue false */
  noUnit?: boolean
  /** Bytes of parameter data that the initiator must send. */
  need?: (cdb: Uint8Array, nexus: Nexus | null) => number
  run(task: Task, data: Buffer): CommandResult | Promise<CommandResult>
}
