import type { Host } from '../clock.ts'
import type { Events } from '../events.ts'
import type { Ledger } from '../ledger.ts'
import type { MultipathOptions } from '../multipath/options.ts'
import type { BlockDevicePair } from '../pair.ts'
import type { PathSelector } from '../policy.ts'
import type { Rates } from '../rates/rates.ts'
import type { SignalOptions } from '../signal.ts'
import type { DiscoveryNote, Target } from '../target.ts'
import type { DetachOptions, Transport } from '../transport.ts'
import type { UserDevice } from '../user-device.ts'
import type { VolumeId } from '../volume-id.ts'

/** A user-space block device that the agent knows, opened or not. */
export interface DeviceInfo {
  /** `native`: one path. `multipath`: all paths of one volume. */
  readonly kind: 'native' | 'multipath'
  /** A native device's path id, or a multipath device's volume identity. */
  readonly id: string
  /** Identity of the volume. */
  readonly volume: VolumeId
  /** Bytes. */
  readonly size: number
  /** Bytes. */
  readonly blockSize: number
  /** Ids of its paths. */
  readonly paths: readonly string[]
  /** Where each path leads, in the order of `paths`. */
  readonly addresses: readonly string[]
  /** Vendor and model, for people. */
  readonly product: string
  /** As in `PathInfo.serial`, where all its paths tell the same. */
  readonly serial?: string
  /** As in `PathInfo.lun`, where all its paths tell the same. */
  readonly lun?: string
}

/** A target that could not be asked, or something it offered that cannot be used. */
export interface ScanError {
  /** Name of the target. */
  readonly target: string
  /** The identity whose paths are not joined, where the error is that; they stay native devices. */
  readonly volume?: VolumeId
  /** The path that cannot be used, where the error is that. */
  readonly path?: string
  /** What went wrong. */
  readonly error: Error
}

/** A volume whose size has changed since the scan before. */
export interface ResizedVolume {
  /** Its identity, as its paths tell it. */
  readonly volume: VolumeId
  /** Bytes it had. */
  readonly before: number
  /** Bytes it has. */
  readonly size: number
}

/** What a target says of something that it does not list as it should. */
export interface ScanNote extends DiscoveryNote {
  /** Name of the target. */
  readonly target: string
}

/** Something that should be there and is not: it is looked for until it is. */
export interface Missing {
  /** Name of the target; an empty text where no target is known to have it. */
  readonly target: string
  /** A portal, a target, a volume, for people; an empty text: the whole target. */
  readonly place: string
  /** Why, for people. */
  readonly text: string
  /** `clock.now()` when it was missed first, µs. */
  readonly since: number
}

/** What a rescan found, and what went wrong while it looked. */
export interface ScanReport {
  /** Path ids that were not known before. */
  readonly added: readonly string[]
  /** Path ids that no target lists any more. */
  readonly removed: readonly string[]
  /** Volumes that paths tell another size of than before; left out where there is none. */
  readonly resized?: readonly ResizedVolume[]
  /** What went wrong; the paths of a target that could not be asked are kept as they were. */
  readonly errors: readonly ScanError[]
  /** What targets say of what they leave out; without the field they say nothing. */
  readonly notes?: readonly ScanNote[]
}

/** How to make a {@link BlockDevicePair}. */
export interface PairSpec {
  /** Unique within the agent; 1 to 128 of the characters A-Z a-z 0-9 . _ - : */
  name: string
  /** Volume identity (multipath over all its paths), or a path id (that native device alone). */
  device: string
  /** Makes the policy; left out: the first usable path takes all I/O. */
  selector?: () => PathSelector
  /** Makes the other half. */
  transport: Transport
  /** For people: shown by clients that list exports. */
  description?: string
  /** As in `AttachOptions`. */
  product?: string
  /** As in `AttachOptions`. */
  serial?: string
  /** Of the device; without effect where it is open already. */
  multipath?: MultipathOptions
  /** What I/O of the pair is held to; left out: nothing. */
  rates?: Rates
  /**
   * Whether another device of the same volume may be paired already, such as one of its paths beside all of them: two
   * devices keep no order between them and know nothing of each other's guards. @defaultValue false
   */
  shared?: boolean
}

/** Options of {@link createHostAgent}. */
export interface HostAgentOptions {
  /** Storage systems, each with a name of its own. */
  targets: readonly Target[]
  /** Defaults to the machine's. */
  host?: Host
  /**
   * Keeps what this process may have in flight beyond its life, so that the next one proves it ended before it lets
   * anything through. Left out: a process that is killed leaves nothing that the next one could prove.
   */
  ledger?: Ledger
  /**
   * What leads to one volume though that cannot be seen, in lists. Identities: every path of any of them is one
   * volume, named by the first; one alone says that this identity is to be trusted. Or places, two at least, each as in
   * `distinct`: equal identities there are one volume. Sizes must be equal all the same.
   */
  same?: readonly (readonly string[])[]
  /**
   * Places at which one identity stands for different volumes, in lists of two at least: a path id, an
   * {@link PathInfo.address | address}, an {@link PathInfo.endpoint | endpoint}, or `ENDPOINT/lunN`. A volume there is
   * known as `serial.IDENTITY@PLACE`.
   */
  distinct?: readonly (readonly string[])[]
  /** Ids of devices that shall be there: as long as no target offers them they are {@link HostAgent.missing}. */
  expected?: readonly string[]
}

/** Events of a {@link HostAgent}. */
export interface HostAgentEvents {
  /**
   * The agent asked targets by itself, after news from one of them or because something was missing, and something is
   * not as it was; or a target has answered that was too late for a rescan.
   */
  rescanned: ScanReport
}

/** Targets in, pairs out: discovery, devices, and the pairs made of them. */
export interface HostAgent extends AsyncDisposable {
  /** As they were given. */
  readonly targets: readonly Target[]
  /** Pairs that are up. */
  readonly pairs: readonly BlockDevicePair[]
  /** News of the agent. */
  readonly events: Events<HostAgentEvents>
  /**
   * What should be there and is not. Once it has scanned, the agent asks the targets concerned again and again as long as
   * there is any, or a device has no usable path; each is found within 15 s of its return.
   */
  readonly missing: readonly Missing[]
  /** What the last scan found and did not join, or could not use, and why. */
  readonly refused: readonly ScanError[]
  /** Native and multipath devices of the last scan, each once. */
  devices(): readonly DeviceInfo[]
  /**
   * Asks every target again; paths of open devices come and go, their nodes stay. Once one has answered, the others are
   * waited for at most a second: what comes later is told as `rescanned`.
   */
  rescan(options?: SignalOptions): Promise<ScanReport>
  /** Opens a user-space device for direct use: by volume identity, or by path id. Close it after use. */
  open(id: string, options?: SignalOptions & { multipath?: MultipathOptions }): Promise<UserDevice>
  /**
   * Pairs a device with an attachment; the device is shared with whoever has opened it. Rejects with IN_USE where
   * the name is taken, or where another device of the volume is paired and {@link PairSpec.shared} is not set.
   */
  pair(spec: PairSpec, options?: SignalOptions): Promise<BlockDevicePair>
  /**
   * Ends pairs, devices and targets, in this order. A kernel node that is in use is left as by mode `leave`,
   * unless the mode is `force`.
   */
  close(options?: DetachOptions): Promise<void>
}
