import type { ByteRun, VolumeId } from '@blockbraid/core'
import { IoFlag, IoOp, NO_BUFFERS } from '@blockbraid/core'
import type { Command } from './command.ts'
import { joined } from './command.ts'
import type { Volume } from './volume.ts'

/**
 * A command that the array executed: a write, trim, write-zeroes or flush. The moments come from one
 * counter of the array, so that any two can be compared.
 */
export interface LogEntry {
  /** What it did. */
  readonly op: IoOp
  /** With Fua. */
  readonly fua: boolean
  /** Whether it went into a volatile cache, so that only a flush makes it durable. */
  readonly cached: boolean
  /** Identity of the volume. */
  readonly volume: VolumeId
  /** Number of the volume in {@link MemoryArray.volumes}: two may have one identity. */
  readonly volumeNumber: number
  /** Number of the port it came through; -1: the array did it by itself, as when a volume shrinks. */
  readonly port: number
  /** Number of the connection it came through: paths are numbered in the order of their connects, from 1; or 0. */
  readonly connection: number
  /** Bytes. */
  readonly offset: number
  /** Bytes. */
  readonly length: number
  /** A copy of what was written; undefined for other ops. */
  readonly data: Uint8Array | undefined
  /** Moment of `submit`. */
  readonly submitted: number
  /** Moment it was executed; the log is in this order. */
  readonly executed: number
  /** Moment of `done`; Infinity while, and if ever, its Io did not end with success. */
  readonly done: number
}

/** A cache that was lost. */
export interface CacheLoss {
  /** Identity of the volume. */
  readonly volume: VolumeId
  /** Number of the volume in {@link MemoryArray.volumes}. */
  readonly volumeNumber: number
  /** Moment, by the counter of {@link LogEntry}. */
  readonly moment: number
  /** Where the contents are older than they were: `[offset, length]` in bytes, in order. */
  readonly lost: readonly ByteRun[]
}

/** The log of an array. */
export class Journal {
  readonly entries: LogEntry[] = []
  readonly losses: CacheLoss[] = []
  #moment = 0

  tick(): number {
    return ++this.#moment
  }

  /** Notes that `command` was executed; the result is for {@link answered}. */
  executed(command: Logged, volume: Volume, port: number, connection: number): LogEntry {
    const fua = (command.flags & IoFlag.Fua) !== 0
    const { writeCache, fua: knowsFua } = volume.features
    const entry: LogEntry = {
      op: command.op,
      fua,
      cached: writeCache && !(fua && knowsFua),
      volume: volume.id,
      volumeNumber: volume.number,
      port,
      connection,
      offset: command.offset,
      length: command.length,
      data: command.op === IoOp.Write ? joined(command.buffers, command.length) : undefined,
      submitted: command.submitted,
      executed: this.tick(),
      done: Number.POSITIVE_INFINITY,
    }
    this.entries.push(entry)
    return entry
  }

  answered(entry: LogEntry): void {
    ;(entry as { done: number }).done = this.tick()
  }

  /** Notes what the array did by itself. */
  ownDoing(op: IoOp, volume: Volume, offset: number, length: number): void {
    const command = { op, flags: 0, offset, length, buffers: NO_BUFFERS, submitted: this.tick() }
    this.answered(this.executed(command, volume, -1, 0))
  }
}

type Logged = Pick<Command, 'op' | 'flags' | 'offset' | 'length' | 'buffers' | 'submitted'>
