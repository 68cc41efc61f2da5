import type { ErrnoName } from './status.ts'
import { describeStatus, Errno, errnoOf } from './status.ts'

/**
 * Stable codes of {@link BlockError}; they do not change between major versions, messages do.
 * Each stands with the errno that an application would see.
 */
export const ErrorCodes = {
  /** An I/O ended with an errno; see `errno`. */
  IO_FAILED: 'EIO',
  /** The caller's AbortSignal fired. */
  ABORTED: 'ECANCELED',
  /** The device, pair or agent is closed or closing. */
  CLOSED: 'ESHUTDOWN',
  /** No usable path, for longer than allowed. */
  NO_PATH: 'EIO',
  /** A path could not be opened. */
  CONNECT_FAILED: 'ENOLINK',
  /** An answer did not come in time. */
  TIMED_OUT: 'ETIMEDOUT',
  /** The address leads to another volume than before; the path is not used. */
  IDENTITY_CHANGED: 'ENODEV',
  /** No volume, path, pair or export of that name. */
  NOT_FOUND: 'ENOENT',
  /** The name or the address is taken. */
  IN_USE: 'EBUSY',
  /** Paths of one volume disagree on block size or another fixed property. */
  MISMATCH: 'EINVAL',
  /** What was asked for is not supported by this device, target or host. */
  NOT_SUPPORTED: 'EOPNOTSUPP',
  /** Not allowed: credentials refused, privileges missing, or read-only. */
  DENIED: 'EACCES',
  /** The other side broke its protocol. */
  PROTOCOL: 'EREMOTEIO',
  /** A limit of this library was passed, such as a volume above 2 ** 53 bytes. */
  TOO_LARGE: 'EOVERFLOW',
} as const satisfies Record<string, ErrnoName>

/** One of the keys of {@link ErrorCodes}. */
export type ErrorCode = keyof typeof ErrorCodes

/** Details of a {@link BlockError}. `errno` defaults to the one that belongs to the code. */
export interface BlockErrorOptions {
  /** Linux errno, positive. */
  errno?: number
  /** What led to it. */
  cause?: unknown
}

/** The one error class of control calls and of the promise face. Wrong arguments are TypeErrors instead. */
export class BlockError extends Error {
  /** Stable code; what programs should compare. */
  readonly code: ErrorCode
  /** Linux errno, positive. */
  readonly errno: number

  constructor(code: ErrorCode, message: string, options: BlockErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'BlockError'
    this.code = code
    this.errno = options.errno ?? Errno[ErrorCodes[code]]
  }

  /** The error for an Io that ended with `status`. */
  static fromStatus(what: string, status: number): BlockError {
    return new BlockError('IO_FAILED', `${what} failed: ${describeStatus(status)}`, { errno: errnoOf(status) })
  }

  /** Recognises a BlockError by its shape, so that two copies of this package agree. */
  static is(error: unknown): error is BlockError {
    return error instanceof Error && error.name === 'BlockError' && 'code' in error && 'errno' in error
  }
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
