import type { Io } from './io.ts'
import type { Access } from './target.ts'

/** What a policy sees of a path. The same object serves a path for its whole life; core keeps its numbers. */
export interface PathView {
  /** Same as {@link PathInfo.id | PathInfo.id}. */
  readonly id: string
  /** Access state; the same for every path of one list's tier. */
  readonly access: Access
  /** Set by the user, default 1; a larger one asks for more I/O. */
  readonly weight: number
  /** Ios that the path works on at once. */
  readonly queueDepth: number
  /** Ios submitted and not done. */
  readonly inflight: number
  /** Bytes of those. */
  readonly inflightBytes: number
  /** Moving average of the time from submit to done, µs; 0 until the first Io is done. */
  readonly latency: number
}

/**
 * A policy: picks a path for each I/O. Core calls it with usable paths of the best access tier only.
 *
 * 11. `select` is synchronous, allocates nothing, and returns a view of the last `update`.
 */
export interface PathSelector {
  /** Name of the policy, for people. */
  readonly name: string
  /** The usable paths changed; the array is valid until the next update and is never empty. */
  update(paths: readonly PathView[]): void
  /** Picks the path for `io`. */
  select(io: Io): PathView | undefined
}
