import type { IoStatus } from './status.ts'
import { Errno } from './status.ts'

/** What an {@link Io} does. Trim leaves contents undefined; WriteZeroes reads back as zeroes. */
export const IoOp = { Read: 0, Write: 1, Flush: 2, Trim: 3, WriteZeroes: 4 } as const
export type IoOp = (typeof IoOp)[keyof typeof IoOp]

/**
 * Flags of an {@link Io}. Fua: durable before `done`. NoUnmap: WriteZeroes keeps the blocks allocated.
 * FastZero: WriteZeroes fails at once with EOPNOTSUPP where it would be no faster than writing.
 */
export const IoFlag = { Fua: 1, NoUnmap: 2, FastZero: 4 } as const

const opNames: readonly string[] = ['read', 'write', 'flush', 'trim', 'write-zeroes']

/** Name of an op for messages and logs. */
export function opName(op: IoOp): string {
  return opNames[op] ?? `op ${op}`
}

/** Called once when an Io ends, never from inside `submit`. */
export type IoDone = (io: Io, status: IoStatus) => void

/** Views for a read whose device supplies its own; shared, so a device replaces it and never pushes into it. */
export const NO_BUFFERS: Uint8Array[] = Object.freeze([]) as unknown as Uint8Array[]

const notSubmitted: IoDone = (_io, _status) => {
  throw new TypeError('Io.done is not set: set it before submit')
}

/**
 * One I/O: the only data class of the contract, made to be reused. From `submit` to `done` it and its
 * buffers belong to the device; outside of that to its owner.
 */
export class Io {
  /** What to do. */
  op: IoOp = IoOp.Read
  /** Or'ed {@link IoFlag}s. */
  flags = 0
  /** First byte; a multiple of the device's block size, below 2 ** 53. */
  offset: number
  /** Bytes; a multiple of the device's block size; 0 for Flush. */
  length: number
  /**
   * Write: read-only views that add up to `length`. Read: views to fill, in order, or
   * {@link NO_BUFFERS}: then the device puts an array with views of its own here before `done`.
   */
  buffers: Uint8Array[] = NO_BUFFERS
  /** Called by the device once per submit, never from inside `submit`. */
  done: IoDone = notSubmitted
  /** Free for whoever submits; no device looks at it. */
  owner: object | null = null

  constructor() {
    // Started as doubles so that V8 keeps one representation when offsets pass 2 ** 31.
    this.offset = 0.5
    this.length = 0.5
    this.offset = 0
    this.length = 0
  }
}

/** Whether this op changes data, so that after a path error it must wait for the path's fence. */
export function changesData(op: IoOp): boolean {
  return op === IoOp.Write || op === IoOp.Trim || op === IoOp.WriteZeroes
}

/** The errno for a range that does not fit the device: ENOSPC for writes past the end, else EINVAL. */
export function rangeErrno(op: IoOp): number {
  return op === IoOp.Write || op === IoOp.WriteZeroes ? Errno.ENOSPC : Errno.EINVAL
}
