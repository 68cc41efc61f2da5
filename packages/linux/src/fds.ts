import { addon } from './addon.ts'
import { needFd, needInteger, wrong } from './arguments.ts'
import { check } from './errors.ts'

/**
 * Two connected unix stream sockets, close-on-exec. Both are the caller's to close, or to hand to net.Socket.
 * `bufferSize` in bytes for each direction, beyond the system's limit where privileges allow; default: the system's.
 */
export function socketPair(bufferSize = 0): [number, number] {
  needInteger('bufferSize', bufferSize, 0, 2 ** 30 - 1)
  return check('socketpair', addon().socketPair(bufferSize))
}

/**
 * SO_PEERCRED: the process at the other end of a connected unix socket; for a client, the one that listened. 0 where it
 * lives in a PID namespace that is not seen from here. Throws LinuxError EBADF, ENOTSOCK.
 */
export function peerPid(fd: number): number {
  needFd('fd', fd)
  return check('getsockopt', addon().peerPid(fd))
}

/** Closes a file descriptor. Throws LinuxError EBADF. */
export function closeFd(fd: number): void {
  needFd('fd', fd)
  check('close', addon().closeFd(fd))
}

/**
 * ioctl on the thread pool, so that it may wait for this process. `argument` (default 0) is a number below 2 ** 32, or
 * bytes that the kernel reads and fills; they are copied, and only what fits comes back. Pointers inside the
 * bytes are the caller's risk. Gives the result, 0 or above; rejects with LinuxError.
 */
export async function ioctl(fd: number, request: number, argument: Uint8Array | number = 0): Promise<number> {
  needFd('fd', fd)
  needInteger('request', request, 0, 2 ** 32 - 1)
  if (typeof argument === 'number') needInteger('argument', argument, 0, 2 ** 32 - 1)
  else if (!(argument instanceof Uint8Array)) throw wrong('argument', argument, 'a Uint8Array or a number')
  return check('ioctl', await addon().ioctl(fd, request, argument))
}
