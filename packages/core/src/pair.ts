import type { DeviceLimits } from './device.ts'
import type { Events } from './events.ts'
import type { Failover } from './failover.ts'
import type { PathSelector } from './policy.ts'
import type { Rates } from './rates/rates.ts'
import type { Access, Fence, FenceProof, PathTrouble } from './target.ts'
import type { TraceOptions, TraceSink } from './trace.ts'
import type { Attachment, DetachOptions } from './transport.ts'
import type { UserDevice } from './user-device.ts'
import type { VolumeId } from './volume-id.ts'

/**
 * State of a path inside a multipath device. `up`: takes I/O as its access allows. `fencing`: failed,
 * and waiting for the proof that nothing sent through it can change data. `waiting`: until the next
 * try to connect. `disabled`: taken out by `failPath`.
 */
export type PathState = 'connecting' | 'up' | 'fencing' | 'waiting' | 'disabled'

/**
 * Why a path that is up is used last. `probation`: it has failed too often, and must stay up for a while first.
 * `demoted`: it is slower than its equals, or errs.
 */
export type PathHealth = 'probation' | 'demoted'

/** A path at one moment, with its counters since it was added. */
export interface PathStatus {
  /** Same as {@link PathInfo.id | PathInfo.id}. */
  readonly id: string
  /** Name of its target. */
  readonly target: string
  /** Where it leads, for people. */
  readonly address: string
  /** Where it stands in its life. */
  readonly state: PathState
  /** Undefined until the path was up once. */
  readonly access: Access | undefined
  /** The storage would rather have its port used; left out where it does not say so. */
  readonly preferred?: true
  /** Its priority in the options; left out where it is 0. */
  readonly priority?: number
  /** Ios submitted and not done. */
  readonly inflight: number
  /** Ios done, failed ones included. */
  readonly ios: number
  /** Bytes read and written with success. */
  readonly bytes: number
  /** Ios ended with an error. */
  readonly errors: number
  /** Ios that left this path for another after a path error. */
  readonly retries: number
  /** Times the path went down. */
  readonly failures: number
  /** Moving average of the time from submit to done, µs. */
  readonly latency: number
  /** Ios done per latency bucket; see {@link latencyBucketLimit}. */
  readonly latencyHistogram: readonly number[]
  /** `clock.now()` of the last change of state, µs. */
  readonly since: number
  /**
   * Why the path is in this state, or takes no I/O though it is up; else what went wrong on it last within a minute, or
   * an empty text.
   */
  readonly reason: string
  /** It is up, and I/O goes elsewhere all the same, for `reason`; left out where that is not so. */
  readonly standsBack?: true
  /** It is not well, for `reason`: I/O goes to it only where others cannot take it; left out where it is well. */
  readonly health?: PathHealth
  /** How often it was put on probation, and was demoted; left out where it never was. */
  readonly ailments?: Readonly<Record<string, number>>
  /** What went wrong, counted by {@link PathTrouble.kind | kind}; left out where nothing did. */
  readonly troubles?: Readonly<Record<string, number>>
  /** How it would be fenced if it were lost now, or what it waits for; left out where it is not open, or does not tell. */
  readonly fence?: Fence
  /** Changes that wait for its fence; left out where none do. How long it takes so far is in `since`. */
  readonly held?: HeldStatus
  /** How it was fenced last; left out where it never was, or nothing had to be. */
  readonly fenced?: FenceProof
  /** How often it was fenced, counted by {@link Fence.by | by}; left out where it never was. */
  readonly fences?: Readonly<Record<string, number>>
}

/** Changes that have failed on a path and wait for its fence. */
export interface HeldStatus {
  /** How many. */
  readonly ios: number
  /** Bytes of the writes among them. */
  readonly bytes: number
}

/** A range in which something may still change that no proof has ended. What overlaps it waits, or fails in time. */
export interface GuardStatus {
  /** Bytes. */
  readonly offset: number
  /** Bytes; Infinity: to the end of the volume. */
  readonly length: number
  /** Whether reads wait too, not only what changes data. */
  readonly reads: boolean
  /** Id of the path through which the change may come. */
  readonly path: string
  /** `clock.now()` when it was put up, µs. */
  readonly since: number
  /** Why, for people. */
  readonly reason: string
}

/**
 * State of a multipath device: `degraded` has lost a path, `stalled` has no usable one and parks its I/O. `lost`, of a
 * pair: its attachment has ended by itself, so that nobody reaches it before it is closed and made again.
 */
export type DeviceState = 'active' | 'degraded' | 'stalled' | 'lost' | 'closed'

/** Detail of `stalled`. */
export interface StalledDetail {
  /** Ios parked at this moment. */
  readonly parked: number
}

/** Detail of `resumed`. */
export interface ResumedDetail {
  /** Ios that ended with EIO meanwhile. */
  readonly expired: number
}

/** Detail of `parking`. */
export interface ParkingDetail {
  /** Ios that wait for a usable path or for a fence at this moment. */
  readonly parked: number
  /** Bytes of those. */
  readonly bytes: number
  /** Milliseconds that the first of them has waited. */
  readonly waited: number
  /** Milliseconds until that ends with EIO. */
  readonly left: number
}

/** Detail of `resized`. */
export interface ResizedDetail {
  /** Bytes. */
  readonly size: number
}

/** Detail of `limits`. */
export interface LimitsDetail {
  /** What the device can do now. */
  readonly limits: DeviceLimits
  /** What it could do before. */
  readonly before: DeviceLimits
  /** Id of the path whose news, or whose coming or going, has brought it; an empty text where it was none. */
  readonly path: string
}

/** Detail of `cacheLost`. */
export interface CacheLostDetail {
  /** Id of the path that told. */
  readonly path: string
  /** What the storage said, for people. */
  readonly reason: string
}

/** Detail of `trouble`. */
export interface TroubleDetail extends PathTrouble {
  /** Id of the path. */
  readonly path: string
}

/** Detail of `fenced`. */
export interface FencedDetail extends FenceProof {
  /** Id of the path. */
  readonly path: string
}

/** Detail of `health`. */
export interface HealthDetail {
  /** Id of the path. */
  readonly path: string
  /** What it is from now on. */
  readonly state: PathHealth | 'well'
  /** Why, and what will happen next, for people. */
  readonly reason: string
  /** `clock.now()` of this moment, µs. */
  readonly since: number
}

/** Events of a {@link BlockDevicePair} and of the multipath device below it. */
export interface PairEvents {
  /** No usable path: I/O is parked. */
  stalled: StalledDetail
  /** A path is usable again: parked I/O goes on. */
  resumed: ResumedDetail
  /** What waits for a usable path or for a fence has done so for half of `noPathTimeout`; said once until nothing waits. */
  parking: ParkingDetail
  /** A path changed its state or its access. */
  path: PathStatus
  /** A path is put on probation or is demoted, or is well again. */
  health: HealthDetail
  /** Why commands of a path fail; the path tells it now and then, with how many. */
  trouble: TroubleDetail
  /** Nothing that was sent through a failed path can change data any more: writes move on. */
  fenced: FencedDetail
  /** Said once per selector that threw or returned what was not in its list. */
  policyFault: Error
  /** The volume has a new size. */
  resized: ResizedDetail
  /** The device can do other than before: it is read-only or no longer, has a cache or none, takes larger transfers. */
  limits: LimitsDetail
  /** The storage lost acknowledged changes that were not flushed: the next flush of each client fails. */
  cacheLost: CacheLostDetail
  /** The attachment could not follow the volume's new size; it keeps the old one. */
  resizeFailed: Error
  /** The attachment could not follow what the device can do; where clients ask for more it is done, or refused, behind it. */
  limitsFailed: Error
  /** It is held to other rates; `undefined`: to none. */
  rates: Rates | undefined
  /** The attachment ended by itself; the state is `lost` from then on. */
  lost: Error
}

/** A user-space block device and what a transport made of it. */
export interface BlockDevicePair extends AsyncDisposable {
  /** Its name, unique within the agent. */
  readonly id: string
  /** Identity of the volume behind it. */
  readonly volume: VolumeId
  /** The device that applications made for user space use directly; ranges are checked in it. */
  readonly user: UserDevice
  /** The other half: a kernel block device or an export. */
  readonly kernel: Attachment
  /** Whether I/O can go on. */
  readonly state: DeviceState
  /** What its paths together can do; `user` offers more, and does the rest itself. */
  readonly limits: DeviceLimits
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
  /** What its I/O is held to; undefined: nothing. */
  readonly rates: Rates | undefined
  /** Ios that wait since `rates` allow no more now. */
  readonly throttled: number
  /** Name of the policy; an empty text where there is none. */
  readonly policy: string
  /** How often the policy threw or returned what was not in its list; the first path served then. */
  readonly policyFaults: number
  /** What the attachment could not follow of size and limits, for people; an empty text where it shows them as they are. */
  readonly behind: string
  /** Every path with its counters, as it is now. */
  readonly paths: readonly PathStatus[]
  /** Ranges that wait for a proof. */
  readonly guards: readonly GuardStatus[]
  /** `clock.now()` when its device was opened, µs: {@link failovers} has nothing of before. */
  readonly openedAt: number
  /** The last failovers, the newest last: what happened when, and what was done about it. */
  readonly failovers: readonly Failover[]
  /** Changes of state. */
  readonly events: Events<PairEvents>
  /** Exchanges the policy under I/O. Throws what `create` throws, and then keeps the old one. */
  setSelector(create: () => PathSelector): void
  /**
   * Holds its I/O, whoever it is from, to rates from now on; undefined lifts them. What waits goes on by the new ones, in
   * its order. Throws a TypeError that names a wrong field, and then keeps the old ones.
   */
  setRates(rates: Rates | undefined): void
  /**
   * Has `sink` hear of every I/O and of every change of a path, until it is called again; undefined: nobody. What it
   * hears, docs/trace.md says.
   */
  trace(sink: TraceSink | undefined, options?: TraceOptions): void
  /** Takes a path out until `restorePath`; settles when it is fenced. */
  failPath(id: string): Promise<void>
  /** Lets a path that was taken out connect again, and makes one that waits try at once. I/O goes back to it as by {@link BlockDevicePair.failBack}. */
  restorePath(id: string): void
  /** Has I/O go to the best group of paths now, whatever the option `failback` says. */
  failBack(): void
  /** Takes every guard down on the word of the caller, who knows that nothing can come any more: a controller is off. */
  releaseGuards(): void
  /**
   * Detaches, then closes the device unless others use it; `stalled` is emitted until then. Where the
   * attachment refuses with IN_USE the pair stays as it was. Without a usable path it waits as long as its I/O does,
   * with mode `force` not at all. Rejects, closed all the same, where what was acknowledged and not flushed did not
   * reach the storage: with NO_PATH where no path was usable, else with the error of the flush.
   */
  close(options?: DetachOptions): Promise<void>
}
