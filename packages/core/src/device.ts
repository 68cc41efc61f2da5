import type { DeviceCommandOptions } from './commands.ts'
import type { Io } from './io.ts'
import type { IoSource } from './io-source.ts'
import type { SignalOptions } from './signal.ts'

/** What a device can do and how large it is. A device replaces the object when something changes. */
export interface DeviceLimits {
  /** Bytes; a multiple of `blockSize`, below 2 ** 53. */
  readonly size: number
  /** Logical block, bytes: a power of two from 512 to 65536. Every offset and length is a multiple of it. */
  readonly blockSize: number
  /** Bytes; a multiple of `blockSize`, and the length below which a write costs extra. */
  readonly preferredBlockSize: number
  /** Bytes; the largest single read or write. Trim and WriteZeroes may be of any length. */
  readonly maxTransfer: number
  /** Ios worked on at once; more may be submitted and wait inside the device. */
  readonly queueDepth: number
  /** Whether acknowledged writes may still be lost until a Flush; of a path, whether its storage caches what is written. */
  readonly writeCache: boolean
  /** Whether Fua is honoured on Write and WriteZeroes. */
  readonly fua: boolean
  /** Whether Trim is passed on to the storage. */
  readonly trim: boolean
  /** Whether WriteZeroes is done by the storage, faster than writing zeroes. */
  readonly writeZeroes: boolean
  /** Whether every op that changes data is refused with EPERM. */
  readonly readOnly: boolean
}

/** A run of bytes in one allocation state. */
export interface Extent {
  /** Bytes. */
  length: number
  /** Not backed by storage. */
  hole: boolean
  /** Reads as zeroes. */
  zero: boolean
}

/**
 * A user-space block device. Rules, each checked by `@blockbraid/testkit`:
 *
 * 1. `done` is called once per submit, never from inside submit; until then Io and buffers are the device's.
 * 2. Write buffers are neither changed nor kept.
 * 3. A read fills the given views in order; with none given the device leaves views that add up to `length`.
 * 4. Ranges are multiples of the block inside `size` (core has checked); a device may assert.
 * 5. Fua: durable before done. Flush: every write done before its submit is durable.
 * 6. Trim leaves contents undefined; WriteZeroes reads back zeroes; FastZero unsupported fails at once with EOPNOTSUPP.
 * 7. Ios in flight are in no order.
 *
 * An op or a flag that `limits` do not offer ends with EOPNOTSUPP and changes nothing; an Io submitted after
 * `close()` ends with ESHUTDOWN.
 */
export interface BlockDevice {
  /** What it can do now. */
  readonly limits: DeviceLimits
  /** Starts an Io. Never throws, never blocks, never calls `done` before it returns. */
  submit(io: Io): void
  /**
   * Nobody waits for the Ios of `source` any more: sets its `gone`. What was not sent ends now; what was sent is not
   * tried again, and what overlaps it waits until it has ended, or can change nothing any more.
   */
  abandon?(source: IoSource): void
  /** A change is going to be done in pieces, Ios with it as their `whole`: what overlaps it is ordered as if it were one. */
  beginWhole?(io: Io): void
  /** Every piece is done. */
  endWhole?(io: Io): void
  /** Ends the device: every Io in flight is done before it settles. Calling it again returns the same end. */
  close(options?: SignalOptions): Promise<void>
  /**
   * Allocation of a range, where the device knows it: extents that cover `length` bytes or fewer
   * (at least one), in order from `offset`.
   */
  extents?(offset: number, length: number, options?: SignalOptions): Promise<readonly Extent[]>
  /**
   * Sends a command of a protocol that its paths speak; a plugin of that protocol has typed functions for it, such as
   * `sendScsi` of `@blockbraid/target-iscsi`. `data` is what to send, or how many bytes to receive. Every status is an
   * answer. Rejects with ABORTED, TIMED_OUT (it may have run), CLOSED, NOT_SUPPORTED where no path speaks `protocol`,
   * NO_PATH where none is up, and with IO_FAILED where the path failed before an answer, so that it is not known
   * whether the command ran.
   */
  sendCommand?(
    protocol: string,
    command: unknown,
    data?: Uint8Array | number,
    options?: DeviceCommandOptions,
  ): Promise<unknown>
}
