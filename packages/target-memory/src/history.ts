import { IoOp } from '@blockbraid/core'
import type { LogEntry } from './journal.ts'
import type { Volume } from './volume.ts'

/** An entry that changed a volume, with whether no power loss can undo it. */
export interface Change {
  readonly entry: LogEntry
  readonly durable: boolean
}

/** Entries that changed `volume` since its {@link Volume.base}, in order. */
export function changesOf(log: readonly LogEntry[], volume: Volume): Change[] {
  const changes: LogEntry[] = []
  let flushed = 0
  for (let at = volume.base.entries; at < log.length; at++) {
    const entry = log[at]!
    if (entry.volumeNumber !== volume.number) continue
    if (entry.op !== IoOp.Flush) changes.push(entry)
    else if (entry.done !== Number.POSITIVE_INFINITY) flushed = Math.max(flushed, entry.submitted)
  }
  return changes.map((entry) => ({ entry, durable: !entry.cached || entry.done < flushed }))
}
