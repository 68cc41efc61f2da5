/**
 * What a line of a {@link Failover} tells. `failed`: a path went down, `text` says why. `out`: it was taken out by hand.
 * `unreachable`: tries to connect it failed, `count` of them. `moved`: I/Os of it were tried again elsewhere at once.
 * `held`: changes that were in flight on it wait for its fence. `unfenced`: a try to fence it failed. `fenced`: nothing
 * that it has sent can change data any more, `text` says how that is known. `freed`: changes that waited for that moved on.
 * `access`, `health`, `aside`: its access, its health, or why it takes no I/O though it is up, is other now. `routed`: I/O
 * goes to `count` paths now. `stalled`: no path is usable. `resumed`: one is again, and `count` I/Os that waited go on.
 * `expired`: I/Os waited too long and ended with EIO. `up`: the path takes part again. `gone`: the path was removed.
 */
export type FailoverKind =
  | 'failed'
  | 'out'
  | 'unreachable'
  | 'moved'
  | 'held'
  | 'unfenced'
  | 'fenced'
  | 'freed'
  | 'access'
  | 'health'
  | 'aside'
  | 'routed'
  | 'stalled'
  | 'resumed'
  | 'expired'
  | 'up'
  | 'gone'

/** Something that happened during a failover; what follows at once and is alike is one line. */
export interface FailoverLine {
  /** `clock.now()` of the first of them, µs. */
  readonly at: number
  /** `clock.now()` of the last of them, µs. */
  readonly until: number
  /** What happened. */
  readonly kind: FailoverKind
  /** Id of the path; an empty text where it concerns the device. */
  readonly path: string
  /** How many: of I/Os, tries or paths. */
  readonly count: number
  /** Why or how, for people; may be empty. */
  readonly text: string
}

/**
 * What happened from the first failure of a path until all that had failed was well again. Failures that follow each other
 * within a minute are one failover.
 */
export interface Failover {
  /** `clock.now()` of its first line, µs. */
  readonly began: number
  /** `clock.now()` when all was well again, µs; undefined where something is not yet. */
  readonly ended: number | undefined
  /** Ids of the paths that are not well again yet. */
  readonly open: readonly string[]
  /** The longest time from the first try of an I/O that met it until that I/O was done, µs; 0 where none met it. */
  readonly longestWait: number
  /** Ios that ended with EIO for want of a path, or of a fence, in time. */
  readonly expired: number
  /** In their order; where there are many, the first and the last of them. */
  readonly lines: readonly FailoverLine[]
  /** How many lines are left out of the middle. */
  readonly leftOut: number
}
