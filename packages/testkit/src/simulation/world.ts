import type { Access, BlockDevice, BlockDevicePair, HostAgent, Io, IoSource } from '@blockbraid/core'
import type { BlockRegister, RegisterChange } from './block-register.ts'
import type { ProcessHost, SwarmHost } from './clock.ts'
import type { SwarmArray, SwarmParts, SwarmTarget } from './parts.ts'
import type { Feature, IoEvent, Plan, Shape } from './plan.ts'
import type { Seams } from './seams.ts'
import type { ProcessLedger, SharedLedger } from './shared-ledger.ts'
import type { Stamped } from './stamped-blocks.ts'

/** Who writes and reads blocks, over one connection after the other. */
export interface Client {
  readonly number: number
  readonly host: number
  readonly volume: number
  /** Its first block, of the volume. */
  readonly base: number
  session: Session | undefined
  /** How many lost caches of its volume it need not be told of any more. */
  told: number
  /** Requests under way. */
  busy: number
  /** Those that wait for one of these to end, in order. */
  readonly queue: Request[]
  /** Blocks where a change has ended with an error. */
  readonly spoiled: Set<number>
}

/** What a client asks for, sent until it is answered. */
export interface Request {
  readonly event: IoEvent
  readonly client: Client
  /** First block, of the volume. */
  readonly first: number
  readonly data: Stamped | undefined
  changes: readonly RegisterChange[]
  /** How often it was sent and is not done. */
  open: number
  over: boolean
}

/** A request, sent once. */
export interface Send {
  readonly io: Io
  readonly request: Request
  readonly session: Session
  readonly buffer: Stamped | undefined
  /** Moment. */
  readonly from: number
  /** Virtual µs. */
  readonly at: number
  /** How many caches of the volume were lost by then, how often a flag was switched, and whether it had a cache. */
  readonly losses: number
  readonly switched: number
  readonly cached: boolean
  finished: boolean
}

/** One connection of a client to the process that serves. */
export interface Session {
  readonly client: Client
  readonly process: Process
  readonly device: BlockDevice
  readonly source: IoSource
  readonly sends: Set<Send>
  /** The client sees its end; the process may not know yet. */
  lost: boolean
}

/** A volume that a process serves. */
export interface Served {
  pair: BlockDevicePair
  /** What clients submit to; undefined once it is on its way out. */
  device: BlockDevice | undefined
}

/** What was counted of one path of a process, outside of core. */
export interface PathCount {
  inflight: number
  ios: number
  errors: number
  bytes: number
}

/** A path that is open. */
export interface OpenPath {
  readonly id: string
  readonly port: number
  readonly volume: number
  /** How many lost caches of the volume it has told of. */
  heard: number
  /** Access state that it has told last. */
  access: Access
  /** Until when it takes no I/O, as it has refused one; virtual µs. */
  rests: number
  /** Ios of core that it has not done. */
  inflight: number
}

/** One life of an agent: all that ends with it. */
export interface Process {
  readonly number: number
  readonly machine: number
  readonly host: ProcessHost
  readonly target: SwarmTarget
  readonly ledger: ProcessLedger
  readonly agent: HostAgent
  /** By volume. */
  readonly served: (Served | undefined)[]
  readonly paths: Set<OpenPath>
  readonly counts: Map<string, PathCount>
  ended: boolean
}

/** A volume, as its users know it. */
export interface VolumeState {
  readonly registers: readonly BlockRegister[]
  /** Caches that were lost so far. */
  losses: number
  /** Whether it has a volatile cache. */
  cached: boolean
}

/** Another disk, of another array, that has the name of the first volume, and comes and goes. */
export interface Twin {
  readonly array: SwarmArray
  /** What it tells, which only its size gives away where this is undefined. */
  readonly serial: string | undefined
}

/** All that a schedule has. */
export interface World {
  readonly plan: Plan
  readonly shape: Shape
  readonly parts: SwarmParts
  readonly seams: Seams
  readonly host: SwarmHost
  readonly array: SwarmArray
  readonly twin: Twin | undefined
  readonly ledger: SharedLedger
  readonly volumes: readonly VolumeState[]
  readonly clients: readonly Client[]
  readonly sessions: Set<Session>
  /** Requests of clients that have nobody to send them to. */
  readonly homeless: Set<Request>
  /** By host: the process that serves, or is about to. */
  readonly processes: (Process | undefined)[]
  /** Ports whose answers are lost. */
  readonly muted: Set<number>
  /** Clients that were disconnected while their process serves. */
  readonly left: Set<number>
  /** Every change of data that was stamped, by its number, with what the log of the array had when it was acknowledged. */
  readonly stamps: StampedChange[]
  /** Buffers that clients have back: nobody may write there. */
  readonly poisoned: Stamped[]
  /** Sends of clients that have gone, which nobody waits for, in processes that live. */
  readonly late: Set<Send>
  /** Processes so far. */
  begun: number
  /** How often a flag was switched. */
  switched: number
  /** Requests under way or waiting. */
  pending: number
  /** Sends so far. */
  sent: number
  /** Whether a Io is being submitted. */
  submitting: boolean
  /** The last moment. */
  moment: number
  /** Faults are over. */
  healed: boolean
  /** A path has worked for long enough: nothing may fail any more. */
  sound: boolean
  /** How many clients have gone of which their server will know later. */
  halfOpen: number
  /** The first fault. */
  fault: Error | undefined
  has(feature: Feature): boolean
  fail(error: unknown): void
}

/** A write, for the judgement of what the array has executed when. */
export interface StampedChange {
  readonly volume: number
  readonly first: number
  readonly changes: readonly RegisterChange[]
  /** Length of the log when it was acknowledged; Infinity where it never was. */
  logged: number
}
