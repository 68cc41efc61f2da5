import type { IoOp } from './io.ts'
import type { Access } from './target.ts'

/** What a policy sees of a path: frozen, the same object for a path's whole life; core keeps its numbers. */
export interface PathView {
  /** Same as {@link PathInfo.id | PathInfo.id}. */
  readonly id: string
  /** Name of its target. */
  readonly target: string
  /** Where it leads, for people: a portal, a port. */
  readonly address: string
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
  /**
   * Moving average of the time from submit to done, µs; 0 until the first Io is done. It ages: while the path is idle it
   * halves each 250 ms, and where Ios are in flight and none has come back for longer than that, it is the time since one did.
   */
  readonly latency: number
  /** Bytes per second, of about the last second in which it had Ios in flight; 0 until a read or a write is done. */
  readonly throughput: number
  /** Ios that failed of late: a count that halves every 10 s. */
  readonly errors: number
  /** `clock.now()` when it came up, µs. */
  readonly upSince: number
}

/**
 * What a policy sees of the I/O that it picks a path for. It is frozen, the same object each time, and shows the
 * I/O only until `select` returns: outside of that every field reads 0.
 */
export interface IoView {
  /** What it does. */
  readonly op: IoOp
  /** Or'ed {@link IoFlag}s. */
  readonly flags: number
  /** First byte. */
  readonly offset: number
  /** Bytes; 0 for Flush. */
  readonly length: number
  /** `clock.now()`, µs. */
  readonly now: number
}

/**
 * A policy: picks a path for each I/O. Core calls it with usable paths of the best access tier only.
 *
 * 11. `select` is synchronous, allocates nothing, and returns a view of the last `update`.
 */
export interface PathSelector {
  /** Name of the policy, for people. */
  readonly name: string
  /** The usable paths changed. The array is the policy's own copy, and never empty. */
  update(paths: readonly PathView[]): void
  /** Picks the path for `io`. */
  select(io: IoView): PathView | undefined
}
