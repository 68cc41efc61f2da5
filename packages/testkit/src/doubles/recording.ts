import type { BlockDevice, Io, IoOp, IoStatus } from '@blockbraid/core'
import { relayed } from './relay.ts'

/** One line of a recording. */
export interface RecordedIo {
  /** When the line was written. */
  readonly event: 'submit' | 'done'
  /** As in the Io. */
  readonly op: IoOp
  /** As in the Io. */
  readonly flags: number
  /** Bytes. */
  readonly offset: number
  /** Bytes. */
  readonly length: number
  /** How it ended; undefined on submit. */
  readonly status?: IoStatus
}

/** The handle of a recording device. */
export interface Recording {
  /** Everything submitted and done, in order. */
  readonly log: RecordedIo[]
}

function line(event: 'submit' | 'done', { op, flags, offset, length }: Io): RecordedIo {
  return { event, op, flags, offset, length }
}

/** A device or path that keeps a list of what is submitted to it and done; empty `log` to begin anew. */
export function recording<D extends BlockDevice>(device: D): D & Recording {
  const log: RecordedIo[] = []
  const front = relayed(device, {
    take(relay) {
      log.push(line('submit', relay.outer))
      relay.pass()
    },
    letGo() {},
    finished(io, status) {
      log.push({ ...line('done', io), status })
    },
  })
  return Object.defineProperty(front, 'log', { value: log }) as D & Recording
}
