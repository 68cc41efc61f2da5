import type { BlockDevicePair, Clock, DeviceLimits, GuardStatus, PathStatus } from '@blockbraid/core'
import { latencyPercentile } from '@blockbraid/core'

/** What `ls --json` prints of a path. */
export interface PathListing {
  /** Path id, such as `memory:array0/port0/lun0`. */
  readonly id: string
  /** Name of its target. */
  readonly target: string
  /** Where it leads, for people. */
  readonly address: string
  /** Null until the path was up once. */
  readonly access: string | null
  /** `connecting`, `up`, `fencing`, `waiting` or `disabled`. */
  readonly state: string
  /** I/Os in flight. */
  readonly inflight: number
  /** I/Os done since the path was added, failed ones included. */
  readonly ios: number
  /** Bytes read and written with success. */
  readonly bytes: number
  /** I/Os ended with an error. */
  readonly errors: number
  /** Moving average, whole microseconds. */
  readonly latencyUs: number
  /** ISO date of the last change of state. */
  readonly since: string
  /** Why the path is not up; of one that is up why it takes no I/O, or what went wrong within the last minute, or an empty text. */
  readonly reason: string
}

/** What `ls --json` prints of a range in which a change may still come that has no proof of its end. */
export interface GuardListing {
  /** Bytes. */
  readonly offset: number
  /** Bytes; null: to the end of the volume. */
  readonly length: number | null
  /** Whether reads wait too, not only what changes data. */
  readonly reads: boolean
  /** Id of the path through which the change may come. */
  readonly path: string
  /** ISO date of when it was put up. */
  readonly since: string
  /** Why there is no proof, for people. */
  readonly reason: string
}

/** What `guards --release --json` prints. */
export interface ReleasedGuards {
  /** Name of the pair. */
  readonly pair: string
  /** What holds no I/O any more. */
  readonly released: readonly GuardListing[]
}

/** What of a volume is out of the ordinary; the ordinary one has a write cache, and takes what there is. */
export interface LimitsListing {
  /** Nothing can be changed. */
  readonly readOnly?: true
  /** What is acknowledged is durable. */
  readonly writeCache?: false
  /** A write that must be durable costs a flush. */
  readonly fua?: false
  /** Trims are ignored. */
  readonly trim?: false
  /** Zeroes are written as data. */
  readonly writeZeroes?: false
  /** Bytes; the largest transfer, where it is below 1 MiB. */
  readonly maxTransfer?: number
}

/** What `ls --json` prints of a pair. */
export interface PairListing {
  /** Name of the pair and of its export. */
  readonly name: string
  /** Identity of the volume. */
  readonly volume: string
  /** Bytes. */
  readonly size: number
  /** Bytes. */
  readonly blockSize: number
  /** Name of the policy; an empty text where there is none. */
  readonly policy: string
  /** `active`, `degraded`, `stalled`, `lost` (its node was taken away) or `closed`. */
  readonly state: string
  /** Where applications find it. */
  readonly node: string
  /** Whether the node is one that another process had left behind. */
  readonly tookOver: boolean
  /** I/Os that wait for a usable path. */
  readonly parked: number
  /** What of its limits is out of the ordinary; left out where nothing is. */
  readonly limits?: LimitsListing
  /** How often the policy threw or chose what was not in its list; left out where it never did. */
  readonly policyFaults?: number
  /** What the node could not follow of size and limits, for people; left out where it shows them as they are. */
  readonly behind?: string
  /** Ranges that wait for a proof; left out where there are none. */
  readonly guards?: readonly GuardListing[]
  /** Its paths. */
  readonly paths: readonly PathListing[]
}

/** What `ls --json` prints of something that should be there and is not. */
export interface MissingListing {
  /** A target, a portal of one, a volume, a pair, for people. */
  readonly what: string
  /** Why, for people. */
  readonly why: string
  /** ISO date of when it was missed first. */
  readonly since: string
}

/** What `ls --json` prints. */
export interface Listing {
  /** Every pair that is up. */
  readonly pairs: readonly PairListing[]
  /** What should be there and is looked for again and again; left out where nothing is missing. */
  readonly missing?: readonly MissingListing[]
}

/** What `stats --json` prints of a path. Percentiles are upper limits of histogram buckets. */
export interface PathStats {
  /** Path id. */
  readonly id: string
  /** As in {@link PathListing.state}. */
  readonly state: string
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
}

/** What `stats --json` prints of a pair. */
export interface PairStats {
  /** Name of the pair. */
  readonly name: string
  /** Name of the policy; an empty text where there is none. */
  readonly policy: string
  /** As in {@link PairListing.state}. */
  readonly state: string
  /** I/Os that wait for a usable path. */
  readonly parked: number
  /** I/Os that wait for room on a usable path. */
  readonly queued: number
  /** As in {@link PairListing.limits}. */
  readonly limits?: LimitsListing
  /** As in {@link PairListing.policyFaults}. */
  readonly policyFaults?: number
  /** As in {@link PairListing.behind}. */
  readonly behind?: string
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

/**
 * The listing of pairs; `wall` is the time of day in milliseconds, to date what `clock` dated. `hide`
 * takes secrets out of the words of targets.
 */
export function listPairs(
  pairs: readonly BlockDevicePair[],
  clock: Clock,
  wall: number,
  hide: (text: string) => string,
): Listing {
  const now = clock.now()
  return {
    pairs: pairs.map((pair) => ({
      name: pair.id,
      volume: pair.volume,
      size: pair.user.limits.size,
      blockSize: pair.user.limits.blockSize,
      policy: pair.policy,
      state: pair.state,
      node: pair.kernel.node,
      tookOver: pair.kernel.tookOver ?? false,
      parked: pair.parked,
      ...listOddities(pair, hide),
      ...(pair.guards.length === 0 ? {} : { guards: listGuards(pair.guards, clock, wall, hide) }),
      paths: pair.paths.map((path) => ({
        id: path.id,
        target: path.target,
        address: path.address,
        access: path.access ?? null,
        state: path.state,
        inflight: path.inflight,
        ios: path.ios,
        bytes: path.bytes,
        errors: path.errors,
        latencyUs: Math.round(path.latency),
        since: dateOf(path.since, now, wall),
        reason: hide(path.reason),
      })),
    })),
  }
}

function listOddities(
  { limits, policyFaults, behind }: BlockDevicePair,
  hide: (text: string) => string,
): Pick<PairListing, 'limits' | 'policyFaults' | 'behind'> {
  const odd = oddLimits(limits)
  return {
    ...(Object.keys(odd).length > 0 && { limits: odd }),
    ...(policyFaults > 0 && { policyFaults }),
    ...(behind !== '' && { behind: hide(behind) }),
  }
}

// Below this a transfer is small.
const ORDINARY_TRANSFER = 2 ** 20

function oddLimits({ readOnly, writeCache, fua, trim, writeZeroes, maxTransfer }: DeviceLimits): LimitsListing {
  return {
    ...(readOnly && { readOnly }),
    ...(!writeCache && { writeCache }),
    ...(!fua && { fua }),
    ...(!trim && { trim }),
    ...(!writeZeroes && { writeZeroes }),
    ...(maxTransfer < ORDINARY_TRANSFER && { maxTransfer }),
  }
}

/** As in {@link listPairs}, of guards alone. */
export function listGuards(
  guards: readonly GuardStatus[],
  clock: Clock,
  wall: number,
  hide: (text: string) => string,
): GuardListing[] {
  const now = clock.now()
  return guards.map(({ offset, length, reads, path, since, reason }) => ({
    offset,
    length: Number.isFinite(length) ? length : null,
    reads,
    path,
    since: dateOf(since, now, wall),
    reason: hide(reason),
  }))
}

/** ISO date of what `clock` dated, by the time of day of `now`. */
export function dateOf(since: number, now: number, wall: number): string {
  return new Date(wall - (now - since) / 1000).toISOString()
}

/** Counters and latency percentiles of pairs; `hide` as in {@link listPairs}. */
export function countPairs(pairs: readonly BlockDevicePair[], hide: (text: string) => string): Stats {
  return {
    pairs: pairs.map((pair) => ({
      name: pair.id,
      policy: pair.policy,
      state: pair.state,
      parked: pair.parked,
      queued: pair.queued,
      ...listOddities(pair, hide),
      ...(pair.guards.length === 0 ? {} : { guards: pair.guards.length }),
      paths: pair.paths.map((path) => countPath(path, hide)),
    })),
  }
}

function countPath(path: PathStatus, hide: (text: string) => string): PathStats {
  const { id, state, inflight, ios, bytes, errors, retries, failures, latencyHistogram, troubles } = path
  return {
    id,
    state,
    inflight,
    ios,
    bytes,
    errors,
    retries,
    failures,
    latencyUs: Math.round(path.latency),
    p50Us: latencyPercentile(latencyHistogram, 0.5),
    p99Us: latencyPercentile(latencyHistogram, 0.99),
    ...(troubles !== undefined && {
      troubles: Object.fromEntries(Object.entries(troubles).map(([kind, count]) => [hide(kind), count])),
    }),
  }
}
