import type { Access, Events, Host, IoOp, PathSelector, Target, TargetEvents, VolumeId } from '@blockbraid/core'

/** A volume of a {@link SwarmArray}. */
export interface SwarmVolumeOptions {
  /** Its identity; left out: the array makes one. */
  readonly id?: VolumeId
  /** Bytes. */
  readonly size: number
  /** Bytes. */
  readonly blockSize: 512 | 4096
  /** Whether it has a volatile cache. */
  readonly writeCache?: boolean
  /** Whether it knows Fua. */
  readonly fua?: boolean
  /** Whether it knows Trim. */
  readonly trim?: boolean
  /** Whether it knows WriteZeroes. */
  readonly writeZeroes?: boolean
}

/** What a simulated array is made of. */
export interface SwarmArrayOptions {
  /** Part of the ids of its paths, which are `memory:NAME/portN/lunN`. */
  readonly name: string
  /** Each is mapped to every port, at the LUN of its number. */
  readonly volumes: readonly SwarmVolumeOptions[]
  /** How many. */
  readonly controllers: number
  /** How many. */
  readonly ports: number
  /** Commands that a port works on at once. */
  readonly queueDepth: number
  /** How long a command takes, µs: `base`, and up to `jitter` more. */
  readonly latency: Readonly<Record<'base' | 'jitter', number>>
  /** Bytes. */
  readonly maxTransfer: number
  /** How long the array takes to end what a closed path left in it, µs. */
  readonly fenceDelay: number
  /** Whether it keeps a log. */
  readonly log: boolean
}

/** A command that a {@link SwarmArray} has executed: one that changes data, or a flush. */
export interface SwarmLogEntry {
  /** What it did. */
  readonly op: IoOp
  /** Number of the volume. */
  readonly volumeNumber: number
  /** Bytes. */
  readonly offset: number
  /** Bytes. */
  readonly length: number
  /** What was written; undefined for other ops. */
  readonly data: Uint8Array | undefined
}

/** A volume at a LUN of a port. */
export interface SwarmLun {
  /** Its number on the port. */
  readonly lun: number
  /** Identity of the volume. */
  readonly volume: VolumeId
}

/** Contents of a volume. */
export interface SwarmImage {
  /** A copy of what stands there. */
  read(offset: number, length: number): Uint8Array
}

/** A port of a {@link SwarmArray}. */
export interface SwarmPort {
  /** Whether its link is there. */
  readonly up: boolean
  /** Whether it executes and answers nothing. */
  readonly hung: boolean
  /** Commands in it. */
  readonly commands: number
  /** Paths that were connected and are not closed. */
  readonly paths: number
  /** What is mapped to it. */
  readonly luns: readonly SwarmLun[]
}

/** A volume of a {@link SwarmArray} at one moment. */
export interface SwarmVolume {
  /** Its identity. */
  readonly id: VolumeId
  /** Bytes. */
  readonly size: number
  /** Whether it refuses changes. */
  readonly readOnly: boolean
  /** Whether it has a volatile cache. */
  readonly writeCache: boolean
  /** Whether it knows Fua. */
  readonly fua: boolean
  /** Whether it knows Trim. */
  readonly trim: boolean
  /** Whether it knows WriteZeroes. */
  readonly writeZeroes: boolean
  /** Bytes of memory that its contents take; 0 where nothing was ever written. */
  readonly allocated: number
}

/** What may change of a volume. */
export type SwarmVolumeChanges = { -readonly [Field in VolumeField]?: SwarmVolume[Field] }

/** A field of {@link SwarmVolumeChanges}. */
export type VolumeField = 'size' | 'readOnly' | 'writeCache' | 'fua' | 'trim' | 'writeZeroes'

/** What a swarm needs of a simulated array; that of `@blockbraid/target-memory` has it. Every method acts at once. */
export interface SwarmArray {
  /** Every volume, as it is now. */
  readonly volumes: readonly SwarmVolume[]
  /** Every port, as it is now. */
  readonly ports: readonly SwarmPort[]
  /** What was executed, in this order. */
  readonly log: readonly SwarmLogEntry[]
  /** News of what is mapped. */
  readonly events: Events<TargetEvents>
  /** Cuts a port's link: its paths go down; what was sent is still executed, in its time. */
  portDown(port: number): void
  /** Brings a port's link back. */
  portUp(port: number): void
  /** The port executes and answers nothing, and holds what is sent. */
  hang(port: number): void
  /** Ends a hang: what was held is executed now, unless its path is fenced. */
  release(port: number): void
  /** Adds `extra` µs to the latency of commands sent from now on. */
  slow(port: number, extra: number): void
  /** Lets a share of commands fail. */
  fail(rule: Record<'port' | 'rate' | 'status', number>): () => void
  /** Ends all rules of `fail`. */
  heal(): void
  /** Sets the access state of all volumes. */
  setAccess(volume: 'all', where: Record<'port', number> | Record<'controller', number> | 'all', access: Access): void
  /** Changes what a volume is. */
  change(volume: number, changes: SwarmVolumeChanges): void
  /** Has a port refuse changes of a volume, or no longer. */
  protect(volume: number, port: number | 'all', on: boolean): void
  /** Maps a volume. */
  map(volume: number, port: number | 'all', lun?: number): void
  /** Takes a volume off a port. */
  unmap(volume: number, port: number | 'all'): void
  /** Puts another volume at a LUN in use. */
  reuseLun(port: number, lun: number, volume: number): void
  /** Nothing is fenced from now on. */
  stickFences(): void
  /** Lets fences go on. */
  freeFences(): void
  /** The volatile cache of a volume is lost; paths of the ports `late` hear of it only with their next command. */
  loseCache(volume: number, options: Record<'late', readonly number[]>): void
  /** Every port goes down, what was sent is never executed, every cache is lost. */
  powerLoss(): void
  /** Brings every port up. */
  powerOn(): void
  /** Contents after a power loss now. */
  crashImage(volume: number): SwarmImage
  /** A copy of what stands in a volume. */
  peek(volume: number, offset: number, length: number): Uint8Array
}

/** A target whose process can be killed: nothing that it has sent is answered any more. */
export interface SwarmTarget extends Target {
  /** As SIGKILL. */
  kill(): void
}

/** A policy by its name. */
export interface SwarmPolicy {
  /** For people. */
  readonly name: string
  /** Makes it anew. */
  create(host: Host): PathSelector
}

/** What a swarm is run on. */
export interface SwarmParts {
  /** Makes the array. */
  createArray(options: SwarmArrayOptions, host: Host): SwarmArray
  /** Makes a target on it for one process of a host. */
  createTarget(array: SwarmArray, initiator: string, host: Host): SwarmTarget
  /** What pairs begin with, and change to. */
  readonly policies: readonly SwarmPolicy[]
}
