import type { BlockDevicePair, PathStatus } from '@blockbraid/core'
import { latencyPercentile } from '@blockbraid/core'
import type { Oddities } from './limits.ts'
import { listOddities } from './limits.ts'

/** What `stats --json` prints of a path. Percentiles are upper limits of histogram buckets. */
export interface PathStats {
  /** Path id. */
  readonly id: string
  /** As in {@link PathListing.state}. */
  readonly state: string
  /** As in {@link PathListing.health}. */
  readonly health?: string
  /** I/Os in flight. */
  readonly inflight: number
  /** I/Os done, failed ones included. */
  readonly ios: number
  /** Bytes read and written with success. */
  readonly bytes: number
  /** I/Os ended with an error. */
  readonly errors: number
  /** I/Os that left this path for another after a path error. */
  readonly retries: number
  /** Times the path went down. */
  readonly failures: number
  /** Moving average, whole microseconds. */
  readonly latencyUs: number
  /** Half of the I/Os took less, microseconds. */
  readonly p50Us: number
  /** 99 of 100 I/Os took less, microseconds. */
  readonly p99Us: number
  /** What went wrong, counted by kind, such as `medium error`; left out where nothing did. */
  readonly troubles?: Readonly<Record<string, number>>
  /** How often it was put on probation, and was demoted; left out where it never was. */
  readonly ailments?: Readonly<Record<string, number>>
  /** How often it was fenced, counted by {@link FenceListing.by}; left out where it never was. */
  readonly fences?: Readonly<Record<string, number>>
}

/** What `stats --json` prints of a pair. */
export interface PairStats extends Oddities {
  /** Name of the pair. */
  readonly name: string
  /** Name of the policy; an empty text where there is none. */
  readonly policy: string
  /** As in {@link PairListing.state}. */
  readonly state: string
  /** I/Os that wait for a usable path. */
  readonly parked: number
  /** I/Os that were ended with EIO at once so far, since too much waited; left out where none was. */
  readonly refused?: number
  /** I/Os that were ended with EIO so far, those refused, too; left out where none was. */
  readonly expired?: number
  /** I/Os that wait for room on a usable path. */
  readonly queued: number
  /** How many ranges wait for a proof; left out where none does. */
  readonly guards?: number
  /** Its paths. */
  readonly paths: readonly PathStats[]
}

/** What `stats --json` prints. */
export interface Stats {
  /** Every pair that is up. */
  readonly pairs: readonly PairStats[]
}

/** Counters and latency percentiles of pairs; `hide` takes secrets out of the words of targets. */
export function countPairs(pairs: readonly BlockDevicePair[], hide: (text: string) => string): Stats {
  return {
    pairs: pairs.map((pair) => ({
      name: pair.id,
      policy: pair.policy,
      state: pair.state,
      parked: pair.parked,
      ...(pair.refused > 0 && { refused: pair.refused }),
      ...(pair.expired > 0 && { expired: pair.expired }),
      queued: pair.queued,
      ...listOddities(pair, hide),
      ...(pair.guards.length === 0 ? {} : { guards: pair.guards.length }),
      paths: pair.paths.map((path) => countPath(path, hide)),
    })),
  }
}

function countPath(path: PathStatus, hide: (text: string) => string): PathStats {
  const {
    id,
    state,
    inflight,
    ios,
    bytes,
    errors,
    retries,
    failures,
    latencyHistogram,
    health,
    ailments,
    troubles,
    fences,
  } = path
  return {
    id,
    state,
    ...(health !== undefined && { health }),
    inflight,
    ios,
    bytes,
    errors,
    retries,
    failures,
    latencyUs: Math.round(path.latency),
    p50Us: latencyPercentile(latencyHistogram, 0.5),
    p99Us: latencyPercentile(latencyHistogram, 0.99),
    ...(ailments !== undefined && { ailments }),
    ...(troubles !== undefined && { troubles: named(troubles, hide) }),
    ...(fences !== undefined && { fences: named(fences, hide) }),
  }
}

function named(counts: Readonly<Record<string, number>>, hide: (text: string) => string): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).map(([kind, count]) => [hide(kind), count]))
}
