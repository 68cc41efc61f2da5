import type { Clock, GuardStatus } from '@blockbraid/core'
import { dateOf } from './date.ts'

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

/** The listing of guards; `wall` is the time of day in milliseconds, to date what `clock` dated. */
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
