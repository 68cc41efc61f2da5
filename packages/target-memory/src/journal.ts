import type { VolumeId } from '@blockbraid/core'
import { IoFlag, IoOp } from '@blockbraid/core'
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
  /** With Fua: durable once executed. */
  readonly fua: boolean
  /** Whether the volume had a volatile write cache then. */
  readonly cached: boolean
  /** Identity of the volume. */
  readonly volume: VolumeId
  /** Number of the port it came through. */
  readonly port: number
  /** Number of the connection it came through: paths are numbered in the order of their connects, from 1. */
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

/** The log of an array. */
export class Journal {
  readonly entries: LogEntry[] = []
  #moment = 0

  tick(): number {
    return ++this.#moment
  }

  /** Notes that `command` was executed; the result is for {@link answered}. */
  executed(command: Command, volume: Volume, port: number, connection: number): LogEntry {
    const entry: LogEntry = {
      op: command.op,
      fua: (command.flags & IoFlag.Fua) !== 0,
      cached: volume.writeCache,
      volume: volume.id,
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
}
