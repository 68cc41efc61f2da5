import type { Status } from '../nvme/status.ts'
import type { Request } from '../request/request.ts'
import type { Controller } from './controller.ts'

/** Dwords of a completion. */
export interface Dwords {
  readonly result: number
  readonly resultHigh?: number
}

/** How an admin command ends: its status, dwords of its success, or its data; null: not yet. */
export type AdminResult = Status | Dwords | Buffer | null

/** What serves an admin opcode. */
export interface AdminEntry {
  /** Bytes that the host must send. */
  readonly need?: number
  /** Whether discovery controllers serve it. */
  readonly discovery?: boolean
  /** `answer` ends a command that gave null. */
  run(controller: Controller, request: Request, data: Buffer, answer: (result: AdminResult) => void): AdminResult
}
