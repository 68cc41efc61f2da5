/** Outcome of an {@link Io}: 0, or an errno of Linux, or'ed with {@link PATH_ERROR} and {@link NOT_EXECUTED}. */
export type IoStatus = number

/** The Io succeeded. */
export const OK: IoStatus = 0

/** Or'ed into a status: the path failed and the data did not; another path may succeed. */
export const PATH_ERROR = 0x1_0000

/**
 * Or'ed into a status beside {@link PATH_ERROR}: the command never ran and never will, so that a
 * write may move to another path without a fence (SAM-5 §5.3: standby, transitioning, task set full).
 */
export const NOT_EXECUTED = 0x2_0000

const ERRNO_MASK = 0xffff

/** The errno values that a device may end an Io with, as Linux numbers them on every architecture we serve. */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENOSPC: 28,
  EROFS: 30,
  EBADE: 52,
  ENODATA: 61,
  ENOLINK: 67,
  EOVERFLOW: 75,
  EOPNOTSUPP: 95,
  ESHUTDOWN: 108,
  ETIMEDOUT: 110,
  EREMOTEIO: 121,
  ECANCELED: 125,
} as const

/** Name of an errno, such as `EIO`. */
export type ErrnoName = keyof typeof Errno

const names = new Map<number, string>(Object.entries(Errno).map(([name, value]) => [value, name]))

/** The errno of a status, without its flags; 0 means success. */
export function errnoOf(status: IoStatus): number {
  return status & ERRNO_MASK
}

/** Whether another path may succeed where this status came from. */
export function isPathError(status: IoStatus): boolean {
  return (status & PATH_ERROR) !== 0
}

/** A status in words, such as `EIO`, `EIO (path error)` or `errno 200`. */
export function describeStatus(status: IoStatus): string {
  if (status === OK) return 'OK'
  const errno = errnoOf(status)
  const name = names.get(errno) ?? `errno ${errno}`
  if (!isPathError(status)) return name
  return (status & NOT_EXECUTED) === 0 ? `${name} (path error)` : `${name} (path error, not executed)`
}
