import type { BlockDevicePair, Clock, HeldStatus, PathStatus } from '@blockbraid/core'
import { dateOf } from './date.ts'
import type { GuardListing } from './guards.ts'
import { listGuards } from './guards.ts'
import type { Oddities } from './limits.ts'
import { listOddities } from './limits.ts'
import type { MissingListing } from './missing.ts'

/** How it is proven that nothing that was sent through a path can change data any more. */
export interface FenceListing {
  /** Such as `session reinstated`, `controller disabled`, `cross-controller reset`, `time`. */
  readonly by: string
  /** Whether it rests on a time that the storage does not state. */
  readonly assumed: boolean
}

/** How it was proven. */
export interface FencedListing extends FenceListing {
  /** Milliseconds from the end of the path's I/O to the proof. */
  readonly tookMs: number
}

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
  /** The storage would rather have its port used; left out where it does not say so. */
  readonly preferred?: true
  /** Its priority in the config; left out where it is 0. */
  readonly priority?: number
  /** `connecting`, `up`, `fencing`, `waiting` or `disabled`. */
  readonly state: string
  /** `probation` or `demoted`: up, and used last, for `reason`; left out where it is well. */
  readonly health?: string
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
  /** How it would be fenced if it were lost now, or what it waits for; left out where it does not tell, or is not open. */
  readonly fence?: FenceListing
  /** Changes that wait for its fence, as long as it is in this state; left out where none do. */
  readonly held?: HeldStatus
  /** How it was fenced last; left out where it never was, or nothing had to be. */
  readonly fenced?: FencedListing
}

/** What `ls --json` prints of a pair. */
export interface PairListing extends Oddities {
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
  /** Bytes of the reads and writes among those; left out where there are none. */
  readonly parkedBytes?: number
  /** Ranges that wait for a proof; left out where there are none. */
  readonly guards?: readonly GuardListing[]
  /** Its paths. */
  readonly paths: readonly PathListing[]
}

/** What `ls --json` prints. */
export interface Listing {
  /** Every pair that is up. */
  readonly pairs: readonly PairListing[]
  /** What should be there and is looked for again and again; left out where nothing is missing. */
  readonly missing?: readonly MissingListing[]
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
      ...(pair.parkedBytes > 0 && { parkedBytes: pair.parkedBytes }),
      ...listOddities(pair, hide),
      ...(pair.guards.length === 0 ? {} : { guards: listGuards(pair.guards, clock, wall, hide) }),
      paths: pair.paths.map((path) => ({
        id: path.id,
        target: path.target,
        address: path.address,
        access: path.access ?? null,
        ...(path.preferred && { preferred: path.preferred }),
        ...(path.priority !== undefined && { priority: path.priority }),
        state: path.state,
        ...(path.health !== undefined && { health: path.health }),
        inflight: path.inflight,
        ios: path.ios,
        bytes: path.bytes,
        errors: path.errors,
        latencyUs: Math.round(path.latency),
        since: dateOf(path.since, now, wall),
        reason: hide(path.reason),
        ...(path.held !== undefined && { held: path.held }),
        ...listFences(path, hide),
      })),
    })),
  }
}

function listFences({ fence, fenced }: PathStatus, hide: (text: string) => string): Partial<PathListing> {
  return {
    ...(fence !== undefined && { fence: { by: hide(fence.by), assumed: fence.assumed } }),
    ...(fenced !== undefined && {
      fenced: { by: hide(fenced.by), assumed: fenced.assumed, tookMs: Math.round(fenced.took) },
    }),
  }
}
