import type { HeldStatus, PathState, PathStatus } from '../pair.ts'
import type { FenceCounts } from './fences.ts'
import { describeWait } from './fences.ts'
import type { Vitals } from './health/vitals.ts'
import type { PathEntry } from './path-entry.ts'
import type { PathSource } from './path-source.ts'
import type { TroubleCounts } from './troubles.ts'

/** What a slot's status is made of. */
export interface Told {
  readonly source: PathSource
  readonly entry: PathEntry
  readonly state: PathState
  readonly reason: string
  readonly since: number
  readonly everUp: boolean
  readonly standsBack: string
  readonly priority: number
  readonly vitals: Vitals
  /** Of a path that is up: why it takes no I/O. */
  readonly described: string
  /** The same where nothing is wrong with that. */
  readonly reserve: string
  /** Whether it is not proven that what it has sent can change data no more. */
  readonly unproven: boolean
  /** What waits for that proof. */
  readonly held: HeldStatus | undefined
}

/** A path at one moment, for people and programs. */
export function statusOf(slot: Told, troubles: TroubleCounts, fences: FenceCounts, now: number): PathStatus {
  const { entry, source, state, standsBack, held, vitals } = slot
  const { counts } = troubles
  const fence = entry.path?.fenceBy
  const waitsFor = slot.unproven && entry.path ? describeWait(entry.path) : ''
  return {
    id: entry.id,
    target: source.target.name,
    address: source.info.address,
    state,
    access: slot.everUp ? entry.access : undefined,
    ...(entry.path?.preferred === true && { preferred: true }),
    ...(slot.priority !== 0 && { priority: slot.priority }),
    inflight: entry.inflight,
    ios: entry.ios,
    bytes: entry.bytes,
    errors: entry.errors,
    retries: entry.retries,
    failures: entry.failures,
    latency: entry.latency,
    latencyHistogram: copyOf(entry.histogram),
    since: slot.since,
    reason:
      state === 'up'
        ? slot.described || ailment(slot) || troubles.recent(now) || slot.reserve
        : `${slot.reason}${waitsFor && `; ${waitsFor}`}${vitals.reason && `; ${vitals.reason}`}`,
    ...(standsBack !== '' && { standsBack: true }),
    ...(vitals.state !== '' && { health: vitals.state }),
    ...(vitals.counts !== undefined && { ailments: vitals.counts }),
    ...(counts !== undefined && { troubles: counts }),
    ...(fence !== undefined && { fence }),
    ...(held !== undefined && { held }),
    ...(fences.last !== undefined && { fenced: fences.last }),
    ...(fences.counts !== undefined && { fences: fences.counts }),
  }
}

// Several times as fast as Array.from, which goes through an iterator: every change of a path makes a status.
function copyOf(histogram: Float64Array): number[] {
  const copy = new Array<number>(histogram.length)
  for (let index = 0; index < histogram.length; index++) copy[index] = histogram[index] as number
  return copy
}

/** Why it is not well; of the last one that is left, that it serves all the same. */
function ailment({ entry, vitals }: Told): string {
  const { reason } = vitals
  return reason !== '' && entry.index >= 0 ? `${reason}; it serves all the same, as no other path does` : reason
}
