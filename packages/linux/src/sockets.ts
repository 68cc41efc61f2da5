import { addon } from './addon.ts'
import { needFd, needInteger, wrong } from './arguments.ts'
import { check } from './errors.ts'

const EAGAIN = 11

/**
 * A TCP socket that is being connected to a numeric address, from one of this host's where `from` is given; non-blocking,
 * close-on-exec. It is writable once that has ended, and {@link socketError} tells how. The caller closes it. Throws
 * LinuxError where that is known at once: ECONNREFUSED, ENETUNREACH, EADDRNOTAVAIL, EMFILE, EINVAL.
 */
export function connectTcp(host: string, port: number, from = ''): number {
  if (typeof host !== 'string') throw wrong('host', host, 'a numeric address')
  needInteger('port', port, 1, 65535)
  if (typeof from !== 'string') throw wrong('from', from, 'a numeric address')
  return check('connect', addon().connectTcp(host, port, from))
}

/** The errno that a socket has met since this was asked last; 0 for none (SO_ERROR). Throws LinuxError EBADF, ENOTSOCK. */
export function socketError(fd: number): number {
  needFd('fd', fd)
  return check('getsockopt', addon().socketError(fd))
}

/**
 * A TCP socket that listens at a numeric address (SO_REUSEADDR; `::` takes IPv4 too), non-blocking, close-on-exec; port
 * 0 lets the system choose. The caller closes it. Throws LinuxError EADDRINUSE, EADDRNOTAVAIL, EACCES, EINVAL.
 */
export function listenTcp(host: string, port: number, backlog: number): number {
  if (typeof host !== 'string') throw wrong('host', host, 'a numeric address')
  needInteger('port', port, 0, 65535)
  needInteger('backlog', backlog, 1, 2 ** 31 - 1)
  return check('listen', addon().listenTcp(host, port, backlog))
}

/**
 * A unix socket that listens at `path`, at most 107 bytes, non-blocking, close-on-exec. The caller closes it, and removes
 * the file. Throws LinuxError EADDRINUSE, ENOENT, EACCES, ENAMETOOLONG.
 */
export function listenUnix(path: string, backlog: number): number {
  if (typeof path !== 'string') throw wrong('path', path, 'the path of a socket')
  needInteger('backlog', backlog, 1, 2 ** 31 - 1)
  return check('listen', addon().listenUnix(path, backlog))
}

/**
 * The next connection that waits at a listening socket, non-blocking, close-on-exec, for net.Socket; undefined where none
 * does. Throws LinuxError EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EINVAL.
 */
export function acceptSocket(fd: number): number | undefined {
  needFd('fd', fd)
  const accepted = addon().acceptSocket(fd)
  return accepted === -EAGAIN ? undefined : check('accept', accepted)
}

/** The TCP port that a socket is bound to; 0 for a unix socket. Throws LinuxError EBADF, ENOTSOCK. */
export function localPort(fd: number): number {
  needFd('fd', fd)
  return check('getsockname', addon().localPort(fd))
}
