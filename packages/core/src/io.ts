import type { IoSource } from './io-source.ts'
import type { IoStatus } from './status.ts'
import { Errno } from './status.ts'

/** What an {@link Io} does. */
export const IoOp = {
  /** Fills `buffers`, or leaves some there. */
  Read: 0,
  /** Writes what `buffers` hold. */
  Write: 1,
  /** Makes every write that was done before its submit durable. */
  Flush: 2,
  /** Gives up the contents of a range. */
  Trim: 3,
  /** Makes a range read as zeroes. */
  WriteZeroes: 4,
} as const
/** One of the values of {@link IoOp}. */
export type IoOp = (typeof IoOp)[keyof typeof IoOp]

/** Flags of an {@link Io}, or'ed. */
export const IoFlag = {
  /** Write, WriteZeroes: durable before `done`. */
  Fua: 1,
  /** WriteZeroes: keep the blocks allocated. */
  NoUnmap: 2,
  /** WriteZeroes: fail at once with EOPNOTSUPP where it would be no faster than writing. */
  FastZero: 4,
  /**
   * Ends with EIO at once where it would have to wait for a path, or for a fence; a read may still be tried on another
   * usable path. For a multipath device: no path sees it.
   */
  FailFast: 8,
} as const

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
  offset = 0.5
  /** Bytes; a multiple of the device's block size; 0 for Flush. */
  length = 0.5
  /**
   * Write: read-only views that add up to `length`. Read: views to fill, in order, or
   * {@link NO_BUFFERS}: then the device puts an array with views of its own here before `done`.
   */
  buffers: Uint8Array[] = NO_BUFFERS
  /** Called by the device once per submit, never from inside `submit`. */
  done: IoDone = notSubmitted
  /** Free for whoever submits; no device looks at it. */
  owner: object | null = null
  /** What it is a piece of, where a device is told so by {@link BlockDevice.beginWhole}. */
  whole: Io | null = null
  /** The connection that it came over; null for what the owner of the device submits itself. */
  source: IoSource | null = null

  constructor() {
    // Declared as doubles so that V8 keeps one representation when offsets pass 2 ** 31, and boxes none: a field that is
    // declared without a value takes anything.
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
