import type { DeviceCommandOptions } from '../commands.ts'
import type { BlockDevice } from '../device.ts'
import type { Events } from '../events.ts'
import type { Failover } from '../failover.ts'
import type { DeviceState, GuardStatus, PairEvents, PathStatus } from '../pair.ts'
import type { PathSelector } from '../policy.ts'
import type { TraceOptions, TraceSink } from '../trace.ts'
import type { VolumeId } from '../volume-id.ts'
import type { Owed } from './guard.ts'
import type { PathSource } from './path-source.ts'

/** Events of a {@link MultipathDevice}: those of a pair, without the attachment's. */
export type MultipathEvents = Omit<PairEvents, 'lost' | 'resizeFailed' | 'limitsFailed' | 'rates'>

/**
 * All paths of one volume as one device. A read that meets a path error goes to another path at once;
 * what changes data goes after the failed path is fenced. With no usable path, I/O waits, but never
 * longer than `noPathTimeout`.
 */
export interface MultipathDevice extends BlockDevice {
  /** Identity that every path has. */
  readonly volume: VolumeId
  /** Whether I/O can go on. */
  readonly state: DeviceState
  /** How long I/O that waits since it has no usable path may still wait, milliseconds; Infinity where one is usable. */
  readonly patience: number
  /** Whether something was acknowledged that no flush has covered. */
  readonly unflushed: boolean
  /** Settles after `close`, when every path is fenced, even if `close` was hurried. */
  readonly fenced: Promise<void>
  /** Changes of state. */
  readonly events: Events<MultipathEvents>
  /** Ios waiting for a usable path or for a fence. */
  readonly parked: number
  /** Bytes of the reads and writes among those. */
  readonly parkedBytes: number
  /** Ios that were ended with EIO at once so far, since too much waited. */
  readonly refused: number
  /** Ios that were ended with EIO so far, since no path was usable, or no fence proven, in time: those refused, too. */
  readonly expired: number
  /** Ios waiting for room on a usable path. */
  readonly queued: number
  /** Ios submitted and not done, waiting ones included. */
  readonly inflight: number
  /** Name of the policy; an empty text where there is none. */
  readonly policy: string
  /** How often the policy threw or returned what was not in its list; the first path served then. */
  readonly policyFaults: number
  /** Every path with its counters, as it is now. */
  readonly paths: readonly PathStatus[]
  /** `clock.now()` when it was opened, µs: {@link failovers} has nothing of before. */
  readonly openedAt: number
  /** The last failovers, the newest last: what happened when, and what was done about it. */
  readonly failovers: readonly Failover[]
  /** Ranges that wait for a proof; see {@link BlockDevicePair.guards}. */
  readonly guards: readonly GuardStatus[]
  /** See {@link BlockDevicePair.releaseGuards}. */
  releaseGuards(): void
  /** After `close`: what it leaves without a proof, for whoever opens the volume next. */
  leaves(): Promise<readonly Owed[]>
  /** Settles when every I/O that is in flight now is done. */
  settled(): Promise<void>
  /** Exchanges the policy under I/O; throws what `create` throws, and then keeps the old one. */
  setSelector(create: () => PathSelector): void
  /** Adds a path of this volume; one that is known already stays as it is. */
  addPath(source: PathSource): void
  /**
   * Has `sink` hear of every I/O and of every change of a path, until it is called again; undefined: nobody. What it
   * hears, docs/trace.md says.
   */
  trace(sink: TraceSink | undefined, options?: TraceOptions): void
  /** Ends a path; settles when it is fenced. */
  removePath(id: string): Promise<void>
  /** Takes a path out until `restorePath`; settles when it is fenced. */
  failPath(id: string): Promise<void>
  /** See {@link BlockDevicePair.restorePath}. */
  restorePath(id: string): void
  /** See {@link BlockDevicePair.failBack}. */
  failBack(): void
  /** Sends a command as {@link UserDevice.sendCommand} says; the options are not checked. */
  sendCommand(
    protocol: string,
    command: unknown,
    data?: Uint8Array | number,
    options?: DeviceCommandOptions,
  ): Promise<unknown>
}
