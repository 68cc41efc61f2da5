import type { Clock } from '../../clock.ts'
import { BlockError } from '../../errors.ts'
import { Io, IoOp, NO_BUFFERS } from '../../io.ts'
import { describeStatus, isPathError, NOT_EXECUTED, OK } from '../../status.ts'
import type { Path } from '../../target.ts'

/**
 * Reads one block through a path that takes I/O; rejects where there is no answer within `timeout` ms, or `signal` fires.
 * `back` is called when the path has done the read, however late, or was sent none.
 */
export function readsOne(
  path: Path,
  clock: Clock,
  timeout: number,
  signal: AbortSignal,
  back: () => void = () => {},
): Promise<void> {
  const { access, limits } = path
  const takesIo = access === 'optimized' || access === 'non-optimized'
  if (!takesIo || limits.size < limits.blockSize) {
    back()
    return Promise.resolve()
  }
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
      back()
      // What the storage refuses, it has answered.
      const answered = status === OK || !isPathError(status) || (status & NOT_EXECUTED) !== 0
      end(answered ? undefined : new BlockError('CONNECT_FAILED', `a read ended with ${describeStatus(status)}`))
    }
    if (!signal.aborted) return path.submit(io)
    back()
    onAbort()
  })
}
