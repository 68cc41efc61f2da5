import type { CommandSet } from './commands.ts'
import type { BlockDevice, DeviceLimits } from './device.ts'
import type { Events } from './events.ts'
import type { SignalOptions } from './signal.ts'
import type { VolumeId } from './volume-id.ts'

/**
 * Access state of a path (SPC-5 §5.18 asymmetric logical unit access, NVMe Base 2.0 §8.1 ANA).
 * I/O goes to the best of optimized and non-optimized; the other states take none.
 */
export type Access = 'optimized' | 'non-optimized' | 'standby' | 'unavailable' | 'transitioning'

/** Events of a {@link Path}. */
export interface PathEvents {
  /** The access state changed, or `preferred` did, or `transitionTime`. */
  access: Access
  /** The limits changed, such as the size of a volume that grew. */
  limits: DeviceLimits
  /** The path has ended by itself, with the reason; once, after every Io in flight is done. */
  down: Error
  /**
   * The storage said that it was powered on or reset: what was written and not flushed may be gone from a volatile
   * cache (SAM-5 §5.14, sense 29h). The detail says what.
   */
  cacheLost: string
  /**
   * Commands have failed: the first of a kind at once, then at most one event of a kind every few seconds, with how
   * many there were meanwhile.
   */
  trouble: PathTrouble
}

/** Why commands of a path fail, or succeed only in part: one kind of failure. */
export interface PathTrouble {
  /** Short, stable and without numbers, such as `medium error`; failures are counted by it. */
  readonly kind: string
  /** In words: what the storage said, the logical unit, the first block where one is concerned. */
  readonly text: string
  /** `error`: an I/O ended with an error. `warning`: it went on, here or elsewhere. */
  readonly severity: 'error' | 'warning'
  /** How many of this kind since the last event of it, this one included. */
  readonly count: number
}

/** How it is proven that nothing that was sent through a path can change data any more (rule 9). */
export interface Fence {
  /** Short, stable and without numbers, such as `session reinstated`, `controller disabled`, `cross-controller reset`, `time`. */
  readonly by: string
  /** Whether it rests on a time that the storage does not state. */
  readonly assumed: boolean
}

/** A {@link Fence} that was had. */
export interface FenceProof extends Fence {
  /** Milliseconds from the end of the path's I/O to the proof. */
  readonly took: number
}

/**
 * One connection to one volume through one port: a native device. Beside the rules of
 * {@link BlockDevice}:
 *
 * 8. PATH_ERROR only where another path may succeed: never on medium, reservation or argument errors. For reservations
 *    there is `reservesAlone`.
 * 9. When `close()` settles, no command sent through the path can change data any more. In-flight Ios
 *    end first, with PATH_ERROR, without waiting for the array. As long as it cannot be proven, `close()`
 *    neither settles nor rejects.
 * 10. `down` is emitted at most once, after every Io in flight is done, and not after `close()` was called.
 */
export interface Path extends BlockDevice {
  /** Same as {@link PathInfo.id | PathInfo.id}. */
  readonly id: string
  /** The identity read from the volume during this connect. */
  readonly volume: VolumeId
  /** Vendor and model, as the volume told during this connect. */
  readonly product?: string | undefined
  /** Serial number, as the volume told during this connect. */
  readonly serial?: string | undefined
  /** Access state now. */
  readonly access: Access
  /**
   * Whether the storage would rather have this port used than others of the same access state (SPC-5 PREF); a change is
   * told by `access`, which may be as it was.
   */
  readonly preferred?: boolean | undefined
  /** How long a transition may take, milliseconds, as the storage says (SPC-5 IMPLICIT TRANSITION TIME, NVMe ANATT); left out: it does not. */
  readonly transitionTime?: number | undefined
  /** Changes that the path itself tells of. */
  readonly events: Events<PathEvents>
  /** Whether the storage said while this path was opened what `cacheLost` tells later. */
  readonly wasReset?: boolean
  /**
   * What {@link Target.fence} of any process needs to prove rule 9 for this path, also after this process has
   * ended; stable text without secrets. Left out: nothing that is sent outlives the process.
   */
  readonly fenceToken?: string
  /** How rule 9 would be proven if the path were lost now, in the worst case; left out: the path does not tell. */
  readonly fenceBy?: Fence | undefined
  /** While `close()` waits for that proof: why the last try at it has failed; left out: none has. */
  readonly fenceFailure?: Error | undefined
  /** How it was proven, when `close()` has settled; left out: nothing had to be. */
  readonly fencedBy?: FenceProof | undefined
  /** Why its Ios end with path errors, where that is known; `down` tells the same, and comes after them. */
  readonly failure?: Error | undefined
  /**
   * Whether its storage knows each path by itself where reservations are concerned: what ends with EBADE here,
   * unexecuted, another path may do.
   */
  readonly reservesAlone?: boolean
  /** What it takes beside I/O, where its protocol has commands; left out: nothing. */
  readonly commands?: CommandSet
  /** Asks the array to make this path's port optimized (explicit ALUA). */
  activate?(options?: SignalOptions): Promise<void>
  /**
   * Asks the storage for a sign of life through this path's own connection, whatever its access; any answer is one.
   * Several paths of a connection that are asked at once may share one question. Rejects when the signal fires.
   */
  ping?(options?: SignalOptions): Promise<void>
  /** Reads its limits again, now, since another path to the volume has told others: what has changed is told by `limits`. */
  lookAgain?(): void
}

/** A path that a target offers, connected or not. */
export interface PathInfo {
  /** Unique within the agent and stable across rescans, such as `memory:array0/port2/lun1`. */
  readonly id: string
  /** Where it leads, for people: a portal, a port. */
  readonly address: string
  /** Identity of the volume that was found there. */
  readonly volume: VolumeId
  /** Bytes; 0: the path did not tell. */
  readonly size: number
  /** Bytes. */
  readonly blockSize: number
  /** Number or name of the volume on that port; never a reason to join paths, see `endpoint` for one not to. */
  readonly lun?: string
  /** Vendor and model. Paths of one `protocol` that tell different ones are not joined. */
  readonly product?: string
  /**
   * Serial number (SPC-5 VPD page 80h, NVMe Identify Controller), for people and names. Paths of one `protocol` that tell
   * different ones are not joined.
   */
  readonly serial?: string
  /**
   * The protocol that tells product and serial number, such as `scsi` or `nvme`: what one tells of a volume says nothing
   * about what another does. Left out: they are compared with those of every other path.
   */
  readonly protocol?: string
  /** Where `lun` counts, such as an iSCSI target's name: two paths to two `lun`s of one endpoint are not joined. */
  readonly endpoint?: string
  /**
   * Equal for paths that are proven to lead to one storage system: inside of it even an identity that target
   * software makes by default is unique. @defaultValue the name of the target
   */
  readonly system?: string
  /**
   * Nobody has looked there: the options name a place that cannot be asked now, and what the other paths tell is expected
   * there too. It is a path of its volume that has to be tried, and no device of its own.
   */
  readonly unseen?: boolean
}

/** Events of a {@link Target}. */
export interface TargetEvents {
  /** Volumes or paths came or went: a rescan is due. The detail says why. */
  changed: string
}

/** What is to be said of something that discovery was asked for, or was told of, and that it does not list as it should. */
export interface DiscoveryNote {
  /** Where: a portal, a target, a logical unit, for people. */
  readonly place: string
  /** What is wrong and what cures it, for people. */
  readonly text: string
  /** Whether it is expected, by the options or by what was there before, and not there now: it is looked for again. */
  readonly missing: boolean
}

/** Options of {@link Target.discover}. */
export interface DiscoverOptions extends SignalOptions {
  /** Hears what is left out, or is not as it should be; one call each. With it, `unseen` paths are listed too. */
  readonly note?: (note: DiscoveryNote) => void
  /** What is missing is looked for: what answered when it was asked last need not be asked again. @defaultValue false */
  readonly again?: boolean
}

/** Options of {@link Target.connect}. */
export interface ConnectOptions extends SignalOptions {
  /** What a try for another path has failed with a moment ago, at the same place, will do in place of a try. */
  readonly recent?: boolean
  /** Hears that the storage has answered a part: who waits for the whole may begin to count anew. */
  readonly progress?: () => void
}

/** A storage system reached over one protocol. After `close()` its calls reject with CLOSED. */
export interface Target {
  /** Unique within an agent, for people and path ids. */
  readonly name: string
  /** News of the array, where the protocol has any. */
  readonly events?: Events<TargetEvents>
  /**
   * Lists every path of every volume that hosts may use, also those that cannot be reached just now, where
   * the storage system tells of them: a path that is no longer listed is taken to be gone for good.
   * Rejects with CONNECT_FAILED where nothing answers; then the paths stay as they were. What answers is listed
   * whatever else does not; what is left out is told to `note`.
   */
  discover(options?: DiscoverOptions): Promise<readonly PathInfo[]>
  /**
   * Opens a path: one try. Rejects with CONNECT_FAILED, DENIED, TIMED_OUT, or IDENTITY_CHANGED
   * when another volume answers at that address.
   */
  connect(info: PathInfo, options?: ConnectOptions): Promise<Path>
  /**
   * One try to prove that nothing that was sent through a path of a process that has ended, known by its
   * `fenceToken`, can change data any more. Rejects with NOT_SUPPORTED where the token is not one of
   * this target's, and with CONNECT_FAILED, DENIED or TIMED_OUT as long as there is no proof.
   */
  fence?(token: string, options?: SignalOptions): Promise<void>
  /** Ends every path that is still open, and the target. */
  close(options?: SignalOptions): Promise<void>
}
