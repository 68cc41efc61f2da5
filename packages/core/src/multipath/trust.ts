import type { Clock } from '../clock.ts'
import { BlockError } from '../errors.ts'
import { Io, IoOp, NO_BUFFERS } from '../io.ts'
import { describeStatus, isPathError, NOT_EXECUTED, OK } from '../status.ts'
import type { Path } from '../target.ts'
import type { ResolvedOptions } from './options.ts'
import type { PathEntry } from './path-entry.ts'

// A path that has hung must serve for so many ioTimeouts to be as good as new.
const CURED = 4
const MOST_TIMEOUTS = 10

/** What is held against a path that has failed: it has to earn its place again. */
export class Trust {
  readonly #entry: PathEntry
  readonly #options: ResolvedOptions
  // How often in a row an I/O had no answer.
  #hangs = 0
  #ios = 0
  #errors = 0

  constructor(entry: PathEntry, options: ResolvedOptions) {
    this.#entry = entry
    this.#options = options
  }

  /** It is up. */
  begin(): void {
    this.#ios = this.#entry.ios
    this.#errors = this.#entry.errors
  }

  /**
   * It has failed after `up` ms, `hung` where an I/O had no answer, and has nothing in flight any more. Returns whether
   * it had served well, so that it is not the next in a row of failures.
   */
  end(up: number, hung: boolean): boolean {
    const { ioTimeout, reconnectDelayMax } = this.#options
    const tried = this.#entry.ios - this.#ios
    const failed = this.#entry.errors - this.#errors
    const served = up >= reconnectDelayMax && (tried === 0 || tried > failed)
    if (served && up >= CURED * ioTimeout) this.#hangs = 0
    if (hung) this.#hangs++
    return served
  }

  /** Somebody vouches for it. */
  restore(): void {
    this.#hangs = 0
  }

  /** Whether it must show that it answers before it gets I/O. */
  get mustProve(): boolean {
    return this.#hangs > 0
  }

  /** Milliseconds for which it is better left alone where there is another path, as each try may cost `ioTimeout`. */
  get keepOut(): number {
    if (this.#hangs < 2) return 0
    return this.#options.ioTimeout * Math.min(2 ** (this.#hangs - 1), MOST_TIMEOUTS)
  }
}

/** Reads one block through a path that takes I/O; rejects where there is no answer within `timeout` ms, or `signal` fires. */
export function readsOne(path: Path, clock: Clock, timeout: number, signal: AbortSignal): Promise<void> {
  const { access, limits } = path
  const takesIo = access === 'optimized' || access === 'non-optimized'
  if (!takesIo || limits.size < limits.blockSize) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const end = (error: BlockError | undefined): void => {
      timer.cancel()
      signal.removeEventListener('abort', onAbort)
      if (error === undefined) resolve()
      else reject(error)
    }
    const onAbort = (): void => end(new BlockError('CLOSED', 'taken out'))
    const timer = clock.after(timeout, () =>
      end(new BlockError('TIMED_OUT', `it connects, but a read had no answer for ${timeout} ms`)),
    )
    signal.addEventListener('abort', onAbort)
    const io = new Io()
    io.op = IoOp.Read
    io.length = limits.blockSize
    io.buffers = NO_BUFFERS
    io.done = (_, status) => {
      // What the storage refuses, it has answered.
      const answered = status === OK || !isPathError(status) || (status & NOT_EXECUTED) !== 0
      end(answered ? undefined : new BlockError('CONNECT_FAILED', `a read ended with ${describeStatus(status)}`))
    }
    if (signal.aborted) onAbort()
    else path.submit(io)
  })
}
