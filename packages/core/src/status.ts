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
  /** Not permitted: a write to a read-only device. */
  EPERM: 1,
  /** No such volume, path, pair or export. */
  ENOENT: 2,
  /** The I/O failed, or no path could serve it in time. */
  EIO: 5,
  /** Not now: the path is not in a state that takes I/O. */
  EAGAIN: 11,
  /** Out of memory. */
  ENOMEM: 12,
  /** Credentials refused. */
  EACCES: 13,
  /** In use. */
  EBUSY: 16,
  /** Exists already. */
  EEXIST: 17,
  /** The device is gone, or is another one. */
  ENODEV: 19,
  /** A wrong argument: a range that is not made of blocks, an unknown op. */
  EINVAL: 22,
  /** A write past the end, or no space left in the array. */
  ENOSPC: 28,
  /** The storage is write-protected. */
  EROFS: 30,
  /** A reservation of another host forbids it. */
  EBADE: 52,
  /** A medium error: the data is lost. */
  ENODATA: 61,
  /** The connection was lost. */
  ENOLINK: 67,
  /** A limit was passed. */
  EOVERFLOW: 75,
  /** The device does not offer this op or flag. */
  EOPNOTSUPP: 95,
  /** The device is closed or closing. */
  ESHUTDOWN: 108,
  /** No answer in time. */
  ETIMEDOUT: 110,
  /** The other side broke its protocol. */
  EREMOTEIO: 121,
  /** Called off. */
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
