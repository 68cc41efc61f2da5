import { type Addon, addon } from './addon.ts'
import { needFd, needFunction, needInteger } from './arguments.ts'
import { check } from './errors.ts'

/** What a {@link SocketStream} is polled for, and what it is then; `Stopped`: in error, and not polled any more: a read tells which. */
export const StreamEvent = {
  /** There are bytes, or the other end has sent its last. */
  Readable: 1,
  /** There is room. */
  Writable: 2,
  /** It is in error. */
  Stopped: 4,
} as const

/** Options of {@link SocketStream}. */
export interface SocketStreamOptions {
  /** Seconds of silence after which a TCP peer is probed, up to 32767; default 0: never. */
  keepAlive?: number
}

/**
 * A connected socket in the event loop, read and written without waiting, for those who bring their own memory. Its
 * calls are for the hot path: they give a number of bytes or a negative errno, -9 (EBADF) once it is closed.
 */
export class SocketStream {
  readonly #native: Addon
  readonly #handle: number

  /**
   * Takes `fd` over, non-blocking, and without delay where it is TCP. `onEvents` is called once per turn of the event loop
   * while there is what `poll` asks for. Throws LinuxError, and `fd` is the caller's still: EBADF, ENOTSOCK, EEXIST where
   * it is polled already.
   */
  constructor(fd: number, onEvents: (events: number) => void, { keepAlive = 0 }: SocketStreamOptions = {}) {
    needFd('fd', fd)
    needFunction('onEvents', onEvents)
    needInteger('keepAlive', keepAlive, 0, 32767)
    this.#native = addon()
    this.#handle = check('poll', this.#native.streamOpen(fd, keepAlive, onEvents))
  }

  /** Asks for `Readable` and `Writable`, or'ed; 0 for none, as in the beginning. What is hung up is readable. */
  poll(events: number): number {
    return this.#native.streamPoll(this.#handle, events)
  }

  /** Reads into `bytes` from `start` to `end`: how many came; 0 when the other end sends no more; -11 (EAGAIN) for none yet. */
  receive(bytes: Uint8Array, start: number, end: number): number {
    return this.#native.streamReceive(this.#handle, bytes, start, end)
  }

  /** Sends `bytes` from `start` to `end`: how many were taken; -11 (EAGAIN) where there is no room. */
  send(bytes: Uint8Array, start: number, end: number): number {
    return this.#native.streamSend(this.#handle, bytes, start, end)
  }

  /** The same for the views from `from` to `to`, in one system call; of more than 1024 the first. */
  sendViews(views: readonly Uint8Array[], from: number, to: number): number {
    return this.#native.streamSendViews(this.#handle, views, from, to)
  }

  /** FIN, behind all that was sent. */
  shutdown(): number {
    return this.#native.streamShutdown(this.#handle)
  }

  /** No call-back after this; by RST where it is TCP and `reset` is true. Twice is fine. */
  close(reset = false): void {
    this.#native.streamClose(this.#handle, reset)
  }

  /** Closes the stream, but not its descriptor, which is the caller's again. Throws LinuxError EBADF once it is closed. */
  release(): number {
    return check('poll', this.#native.streamRelease(this.#handle))
  }
}
