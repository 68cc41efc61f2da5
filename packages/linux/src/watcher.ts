import { addon } from './addon.ts'
import { needFd, needFunction } from './arguments.ts'
import { check } from './errors.ts'

/** A file descriptor in the event loop. */
export interface Watcher {
  /** No call-back after this. Twice is fine. */
  close(): void
  /** Keeps the process alive: the default. */
  ref(): void
  /** Lets the process end. */
  unref(): void
}

/**
 * Calls `onReadable` once per turn of the event loop while `fd` is readable, hung up or in error. An exception in it
 * is an uncaught exception. The watcher has a duplicate of `fd`, which keeps the file open until `close()`.
 * Throws LinuxError EPERM for files that cannot be waited for.
 */
export function watchReadable(fd: number, onReadable: () => void): Watcher {
  needFd('fd', fd)
  needFunction('onReadable', onReadable)
  const native = addon()
  const handle = check('poll', native.watch(fd, onReadable))
  return {
    close: () => native.watchClose(handle),
    ref: () => native.watchRef(handle, true),
    unref: () => native.watchRef(handle, false),
  }
}
