import type { BlockDevice } from './device.ts'
import { BlockError } from './errors.ts'
import { Io, IoFlag, type IoOp, NO_BUFFERS, opName } from './io.ts'
import { IoSource } from './io-source.ts'
import type { SignalOptions } from './signal.ts'
import type { IoStatus } from './status.ts'
import { OK } from './status.ts'

/**
 * Options of an I/O. Once submitted, it cannot be called back: when the signal fires the promise
 * rejects with ABORTED, while the I/O runs to its end and keeps its buffers until then.
 */
export interface IoOptions extends SignalOptions {
  /** Reject at once with EIO where it would have to wait for a usable path, or for a fence. @defaultValue false */
  failFast?: boolean
}

/** Options of reads. */
export type ReadOptions = IoOptions

/** Options of writes. */
export interface WriteOptions extends IoOptions {
  /** Resolve only when the data is durable. */
  fua?: boolean
}

/** Options of writeZeroes. */
export interface ZeroOptions extends WriteOptions {
  /** Keep the blocks allocated. */
  noUnmap?: boolean
  /** Fail with EOPNOTSUPP where it would be no faster than writing zeroes. */
  fastZero?: boolean
}

const pool: Io[] = []

/** Submits one I/O and settles with it: the promise face in one function. */
export function promiseIo(
  device: Pick<BlockDevice, 'submit' | 'abandon'>,
  op: IoOp,
  flags: number,
  offset: number,
  length: number,
  buffers: Uint8Array[],
  options: IoOptions | undefined,
  source: IoSource | null = null,
): Promise<void> {
  const signal = options?.signal
  if (signal?.aborted) return Promise.reject(aborted(op, signal))
  return new Promise((resolve, reject) => {
    const io = pool.pop() ?? new Io()
    io.op = op
    io.flags = options?.failFast === true ? flags | IoFlag.FailFast : flags
    io.offset = offset
    io.length = length
    io.buffers = buffers
    io.source = source
    const abort = (): void => {
      // Its caller may write there again at once, and must not find this one done later.
      io.source = new IoSource(0, true)
      device.abandon?.(io.source)
      reject(aborted(op, signal))
    }
    // Not assigned as it is written: V8 takes such a function for one that lives long, and makes it in old memory.
    const done = (ended: Io, status: IoStatus): void => {
      signal?.removeEventListener('abort', abort)
      ended.buffers = NO_BUFFERS
      ended.source = null
      pool.push(ended)
      if (status === OK) resolve()
      else reject(BlockError.fromStatus(`${opName(op)} of ${length} bytes at ${offset}`, status))
    }
    io.done = done
    signal?.addEventListener('abort', abort, { once: true })
    device.submit(io)
  })
}

function aborted(op: IoOp, signal: AbortSignal | undefined): BlockError {
  return new BlockError('ABORTED', `${opName(op)} was aborted`, { cause: signal?.reason })
}
