import type { IoOp, IoStatus } from '@blockbraid/core'

/** The beginning of a trace. */
export interface TraceStart {
  /** What it is. */
  readonly kind: 'start'
  /** Time of the device's clock at the beginning, µs; every `time` counts by that clock. */
  readonly clock: number
  /** The time of day then, milliseconds since 1970; undefined where the trace does not tell. */
  readonly wall: number | undefined
  /** Identity of the volume. */
  readonly volume: string
  /** Names of the numbers that each candidate has. */
  readonly columns: readonly string[]
}

/** A path that is spoken of from now on; the same may be told again. */
export interface TracePath {
  /** What it is. */
  readonly kind: 'path'
  /** Its id. */
  readonly path: string
  /** Name of its target. */
  readonly target: string
  /** Where it leads, for people. */
  readonly address: string
  /** Set by the user. */
  readonly weight: number
}

/** A path is other than it was, or this is how it was at the beginning. */
export interface TraceState {
  /** What it is. */
  readonly kind: 'state'
  /** µs. */
  readonly time: number
  /** Id of the path. */
  readonly path: string
  /** `connecting`, `up`, `fencing`, `waiting` or `disabled`. */
  readonly state: string
  /** Access state. */
  readonly access: string
  /** Why, for people; may be empty. */
  readonly reason: string
}

/** A path that the policy could pick, with what it could see of it. */
export interface TraceCandidate {
  /** Id of the path. */
  readonly path: string
  /** By the names in {@link TraceStart.columns}. */
  readonly numbers: Readonly<Record<string, number>>
}

/** What an I/O is. */
export interface TracedIo {
  /** µs. */
  readonly time: number
  /** Number of the I/O; each of its tries and waits has the same one. */
  readonly io: number
  /** What it does. */
  readonly op: IoOp
  /** Or'ed flags of the I/O. */
  readonly flags: number
  /** First byte. */
  readonly offset: number
  /** Bytes. */
  readonly length: number
}

/** A path was picked for an I/O, which goes there now. */
export interface TracePick extends TracedIo {
  /** What it is. */
  readonly kind: 'pick'
  /** Name of the policy; an empty text where there was none. */
  readonly policy: string
  /** Id of the path that the policy picked. */
  readonly wanted: string
  /** Id of the path that it went to: another one where that had no room. */
  readonly taken: string
  /** How many paths could be picked. */
  readonly count: number
  /** Those paths, in the policy's order; the first of them where there are very many. */
  readonly candidates: readonly TraceCandidate[]
}

/** An I/O has to wait. */
export interface TraceWait extends TracedIo {
  /** What it is. */
  readonly kind: 'wait'
  /** What for: room on a path, a usable path, the fence of a failed one, an earlier change of its range. */
  readonly why: 'room' | 'path' | 'fence' | 'order' | 'other'
  /** Id of the path whose fence it waits for; undefined where it waits for something else. */
  readonly path: string | undefined
}

/** A try has failed; the I/O is tried again, or waits. */
export interface TraceFailed {
  /** What it is. */
  readonly kind: 'failed'
  /** µs. */
  readonly time: number
  /** Number of the I/O. */
  readonly io: number
  /** Id of the path. */
  readonly path: string | undefined
  /** What it ended with; `describeStatus` has words for it. */
  readonly status: IoStatus
}

/** An I/O gets a second try on another path while the first is still in flight. */
export interface TraceHedge {
  /** What it is. */
  readonly kind: 'hedge'
  /** µs. */
  readonly time: number
  /** Number of the I/O. */
  readonly io: number
}

/** An I/O is done. */
export interface TraceDone {
  /** What it is. */
  readonly kind: 'done'
  /** µs. */
  readonly time: number
  /** Number of the I/O. */
  readonly io: number
  /** Id of the path that has answered; undefined where it ended while it waited. */
  readonly path: string | undefined
  /** 0, or what it ended with. */
  readonly status: IoStatus
}

/** Something happened to the device, or to a path; kinds as of a failover's lines. */
export interface TraceEvent {
  /** What it is. */
  readonly kind: 'event'
  /** µs. */
  readonly time: number
  /** Such as `failed`, `fenced` or `stalled`. */
  readonly what: string
  /** Id of the path; undefined where it concerns the device. */
  readonly path: string | undefined
  /** How many. */
  readonly count: number
  /** Why or how, for people; may be empty. */
  readonly text: string
}

/** Records had no room: they are missing before this one. */
export interface TraceLost {
  /** What it is. */
  readonly kind: 'lost'
  /** µs. */
  readonly time: number
  /** How many now. */
  readonly count: number
  /** How many since the beginning. */
  readonly inAll: number
}

/** The trace was ended; one without it was cut off. */
export interface TraceEnd {
  /** What it is. */
  readonly kind: 'end'
  /** µs. */
  readonly time: number
  /** Why, for people. */
  readonly why: string
}

/** A record of a trace. */
export type TraceRecord =
  | TraceStart
  | TracePath
  | TraceState
  | TracePick
  | TraceWait
  | TraceFailed
  | TraceHedge
  | TraceDone
  | TraceEvent
  | TraceLost
  | TraceEnd
