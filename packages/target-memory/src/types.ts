import type { Access, Events, TargetEvents, VolumeId } from '@blockbraid/core'
import type { CrashImage } from './crash-image.ts'
import type { FaultRule } from './fault.ts'
import type { CacheLoss, LogEntry } from './journal.ts'
import type { VolumeChanges, VolumeOptions } from './options.ts'
import type { Size } from './sizes.ts'

/** A volume by its identity (the first that has it), or by its number in {@link MemoryArray.volumes}. */
export type VolumeRef = VolumeId | number

/** A volume at one moment. */
export interface VolumeStatus {
  /** Its identity. */
  readonly id: VolumeId
  /** Bytes. */
  readonly size: number
  /** Bytes. */
  readonly blockSize: number
  /** Whether it refuses changes. */
  readonly readOnly: boolean
  /** Whether it has a volatile write cache. */
  readonly writeCache: boolean
  /** Whether Fua makes a write durable. */
  readonly fua: boolean
  /** Whether it knows Trim. */
  readonly trim: boolean
  /** Whether it knows WriteZeroes. */
  readonly writeZeroes: boolean
  /** Bytes of memory that its contents take. */
  readonly allocated: number
}

/** A volume at a LUN of a port. */
export interface LunStatus {
  /** Its number on the port. */
  readonly lun: number
  /** Identity of the volume. */
  readonly volume: VolumeId
  /** Access state of its paths. */
  readonly access: Access
  /** The array would rather have the port used; left out where it would not. */
  readonly preferred?: true
}

/** A port at one moment. */
export interface PortStatus {
  /** Its number, from 0. */
  readonly number: number
  /** Number of its controller. */
  readonly controller: number
  /** Whether its link is there. */
  readonly up: boolean
  /** Whether it executes and answers nothing. */
  readonly hung: boolean
  /** Extra latency, µs. */
  readonly slow: number
  /** Commands in it, those of dead paths included. */
  readonly commands: number
  /** Paths that were connected and are not closed. */
  readonly paths: number
  /** What is mapped to it. */
  readonly luns: readonly LunStatus[]
}

/** One host registration: the first connect of an initiator to a volume through a port. */
export interface Registration {
  /** Name of the host. */
  readonly initiator: string
  /** Number of the port. */
  readonly port: number
  /** Identity of the volume. */
  readonly volume: VolumeId
}

/** Where an access state holds: one port, all ports of a controller, or everywhere. */
export type Where = OnPort | OnController | 'all'

/** One port. */
export interface OnPort {
  /** Its number. */
  readonly port: number
}

/** All ports of a controller. */
export interface OnController {
  /** Its number. */
  readonly controller: number
}

/** Options of {@link MemoryArray.loseCache}. */
export interface CacheLossOptions {
  /** Which paths hear of it only with their next command: all, or those of these ports. @defaultValue false */
  late?: boolean | readonly number[]
  /** Decides for each block whether it is kept. @defaultValue the host's */
  random?: () => number
}

/**
 * A simulated array. Every method acts at once. Wrong arguments throw a TypeError that names the
 * argument; where a method takes a port or a volume, that includes one that does not exist.
 */
export interface MemoryArray {
  /** Part of path ids and of generated identities. */
  readonly name: string
  /** Every volume, as it is now. */
  readonly volumes: readonly VolumeStatus[]
  /** Every port, as it is now. */
  readonly ports: readonly PortStatus[]
  /** What was executed, in this order; stays empty unless the option `log` is set. */
  readonly log: readonly LogEntry[]
  /** Caches that were lost, in order. */
  readonly cacheLosses: readonly CacheLoss[]
  /** Each path of each initiator once, however often it connects. */
  readonly registrations: readonly Registration[]
  /** `changed`: volumes or mappings came, went or grew, or a port came up. */
  readonly events: Events<TargetEvents>

  /** Adds a volume and maps it to every port; returns its identity. */
  addVolume(options: VolumeOptions): VolumeId
  /** Makes a volume larger. */
  grow(volume: VolumeRef, size: Size): void
  /**
   * Changes what a volume is: its paths emit `limits`. What it does not know any more ends with EOPNOTSUPP; what is in
   * a cache that is switched off stays there until a flush.
   */
  change(volume: VolumeRef, changes: VolumeChanges): void
  /** Has a port refuse changes of a volume with EROFS, or no longer: its paths there emit `limits`. */
  protect(volume: VolumeRef, port: number | 'all', on: boolean): void
  /** {@link MemoryArray.change} of the write cache. */
  setWriteCache(volume: VolumeRef, on: boolean): void
  /** Maps a volume at `lun`, by default the lowest that is free. */
  map(volume: VolumeRef, port: number | 'all', lun?: number): void
  /** Takes a volume off: its paths there go down, and what they have in flight is not executed. */
  unmap(volume: VolumeRef, port: number | 'all'): void
  /** Puts another volume at a LUN in use: the paths there go down with IDENTITY_CHANGED. */
  reuseLun(port: number, lun: number, volume: VolumeRef): void
  /** Sets the access state of a volume, or of `'all'`. */
  setAccess(volume: VolumeRef | 'all', where: Where, access: Access): void
  /** Sets whether the array would rather have these ports used for a volume, or for `'all'`. */
  prefer(volume: VolumeRef | 'all', where: Where, on: boolean): void
  /** Another host takes the volume to the controller there: as `path.activate()` of a path of its own. */
  take(volume: VolumeRef, where: Where): void

  /** Cuts a port's link: its paths go down; what was sent is still executed, in its time. */
  portDown(port: number): void
  /** Brings a port's link back; paths have to connect again. */
  portUp(port: number): void
  /** The port executes and answers nothing, keeps its link, and holds what is sent. */
  hang(port: number): void
  /** Ends a hang: what was held is executed now, in order, unless its path is fenced. */
  release(port: number): void
  /** Adds `extra` µs to the latency of commands sent from now on; 0 ends it. */
  slow(port: number, extra: number): void
  /** All ports of a controller go down. */
  controllerDown(controller: number): void
  /** All ports of a controller come up. */
  controllerUp(controller: number): void
  /**
   * The volatile cache of a volume is lost: its contents become a crash image. Every living path emits `cacheLost`
   * once: now, or before its next command is executed where its port hangs or `late` says so. A path that connects
   * says `wasReset` where its host has not heard of it through that port. Needs the option `log`.
   */
  loseCache(volume: VolumeRef, options?: CacheLossOptions): void
  /**
   * The array loses power: every port goes down, what was sent is never executed, every cache is lost. Needs the
   * option `log`.
   */
  powerLoss(random?: () => number): void
  /** Brings every port up. */
  powerOn(): void
  /** Lets commands fail by a rule; the result takes the rule away. */
  fail(rule: FaultRule): () => void
  /** Takes all rules of {@link fail} away. */
  heal(): void
  /** No `close()` of a path settles, and nothing is fenced, until {@link freeFences}. */
  stickFences(): void
  /** Lets fences go on that were stuck. */
  freeFences(): void
  /** Does one of the above by a line of text, such as `port 2 down`; the README lists them. */
  run(command: string): void

  /** A copy of what stands in a volume. */
  peek(volume: VolumeRef, offset: number, length: number): Uint8Array
  /** SHA-256 of a volume's contents, as {@link createChecksum} makes it; costs what is allocated. */
  checksum(volume: VolumeRef): string
  /**
   * Contents after a power loss now, by the log: what is durable is there, of the rest each block is
   * kept or lost by `random`, default the host's; the array itself stays as it is. Needs the option `log`.
   */
  crashImage(volume: VolumeRef, random?: () => number): CrashImage
  /**
   * What `image` has lost although it was durable: a sentence for each block that holds neither its
   * last durable contents nor later ones. Where the last durable change or a later one was a trim, anything is right.
   * Blocks that only a trim or zeroes of more than 1024 blocks has touched are not looked at. Needs the option `log`.
   */
  lostWrites(volume: VolumeRef, image: { read(offset: number, length: number): Uint8Array }): string[]
}
