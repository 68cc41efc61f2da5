import type { ErrorCode } from '@blockbraid/core'
import { BlockError, Errno, errnoOf } from '@blockbraid/core'
import { DNR, describeStatus, judge } from './status.ts'

const CODES = new Map<number, ErrorCode>([
  [Errno.EACCES, 'DENIED'],
  [Errno.EOPNOTSUPP, 'NOT_SUPPORTED'],
  [Errno.ENODEV, 'NOT_FOUND'],
  [Errno.EBUSY, 'IN_USE'],
])

/** A command of ours that was answered with an error status. */
export class StatusError extends BlockError {
  /** As `Completion.status`. */
  readonly nvme: number
  /** Whether the controller says that it is no use to try again (DNR). */
  readonly final: boolean

  constructor(what: string, status: number, code?: ErrorCode, words = describeStatus(status)) {
    const errno = errnoOf(judge(status).status)
    super(code ?? CODES.get(errno) ?? 'IO_FAILED', `${what} failed: ${words}`, { errno })
    this.nvme = status
    this.final = (status & DNR) !== 0
  }
}
