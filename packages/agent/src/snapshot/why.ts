import type { BlockDevicePair, Clock, Failover, FailoverKind } from '@blockbraid/core'
import { dateOf } from './date.ts'
import type { PairListing } from './listing.ts'
import { listPairs } from './listing.ts'

/** What `why --json` prints of something that happened during a failover. */
export interface FailoverLineListing {
  /** ISO date of the first of them. */
  readonly at: string
  /** ISO date of the last of them. */
  readonly until: string
  /** What happened. */
  readonly kind: FailoverKind
  /** Id of the path; an empty text where it concerns the pair. */
  readonly path: string
  /** How many: of I/Os, tries or paths. */
  readonly count: number
  /** Why or how, for people; may be empty. */
  readonly text: string
}

/** What `why --json` prints of a failover. */
export interface FailoverListing {
  /** ISO date of its first line. */
  readonly began: string
  /** ISO date of when all was well again; null where something is not yet. */
  readonly ended: string | null
  /** Ids of the paths that are not well again yet. */
  readonly open: readonly string[]
  /** The longest time from the first try of an I/O that met it until that I/O was done, milliseconds. */
  readonly longestWaitMs: number
  /** I/Os that ended with EIO. */
  readonly expired: number
  /** How many lines are left out of the middle. */
  readonly leftOut: number
  /** In their order. */
  readonly lines: readonly FailoverLineListing[]
}

/** What `why --json` prints. */
export interface WhyListing {
  /** The pair as `ls` shows it. */
  readonly pair: PairListing
  /** ISO date of when its device was opened: failovers before that are not known. */
  readonly openedAt: string
  /** ISO date of this answer. */
  readonly now: string
  /** How many I/Os wait since the rates of the pair allow no more now; left out where none does. */
  readonly throttled?: number
  /** The last failovers, the newest last. */
  readonly failovers: readonly FailoverListing[]
}

/** Why a pair is as it is; `wall` is the time of day in milliseconds, to date what `clock` dated. */
export function explainPair(
  pair: BlockDevicePair,
  clock: Clock,
  wall: number,
  hide: (text: string) => string,
): WhyListing {
  const now = clock.now()
  const date = (time: number): string => dateOf(time, now, wall)
  const [listing] = listPairs([pair], clock, wall, hide).pairs
  return {
    pair: listing as PairListing,
    openedAt: date(pair.openedAt),
    now: date(now),
    ...(pair.throttled > 0 && { throttled: pair.throttled }),
    failovers: pair.failovers.map((failover) => listFailover(failover, date, hide)),
  }
}

function listFailover(
  { began, ended, open, longestWait, expired, leftOut, lines }: Failover,
  date: (time: number) => string,
  hide: (text: string) => string,
): FailoverListing {
  return {
    began: date(began),
    ended: ended === undefined ? null : date(ended),
    open,
    longestWaitMs: Math.round(longestWait / 1000),
    expired,
    leftOut,
    lines: lines.map(({ at, until, kind, path, count, text }) => ({
      at: date(at),
      until: date(until),
      kind,
      path,
      count,
      text: hide(text),
    })),
  }
}
