import { addon } from './addon.ts'
import { needFd, needInteger, wrong } from './arguments.ts'
import { check } from './errors.ts'

const EAGAIN = 11

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
