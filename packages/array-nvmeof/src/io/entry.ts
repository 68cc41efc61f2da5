import type { Attachment } from '../namespace/attachment.ts'
import type { Status } from '../nvme/status.ts'
import type { Request } from '../request/request.ts'

/** How a command ends: its status, or the data of its success. */
export type CommandResult = Status | Buffer

/** What serves an opcode of I/O queues, but for plain reads and writes. */
export interface IoEntry {
  /** Whether it changes data or needs the right to. */
  readonly changes?: boolean
  /** Whether it is executed whatever the reservation. */
  readonly anyReservation?: boolean
  /** Bytes that the host must send, at least; 0: it sends none. */
  need?(entry: Buffer, attachment: Attachment): number
  /** `data`: what the host has sent. */
  run(request: Request, attachment: Attachment, data: Buffer): CommandResult | Promise<CommandResult>
}
