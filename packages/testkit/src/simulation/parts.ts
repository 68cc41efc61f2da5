import type { Access, Events, Host, IoOp, PathSelector, Target, TargetEvents, VolumeId } from '@blockbraid/core'

/** A volume of a {@link SwarmArray}. */
export interface SwarmVolumeOptions {
  readonly id?: VolumeId
  readonly size: number
  readonly blockSize: 512 | 4096
  readonly writeCache?: boolean
  readonly fua?: boolean
  readonly trim?: boolean
  readonly writeZeroes?: boolean
}

/** What a simulated array is made of. Times are µs. */
export interface SwarmArrayOptions {
  readonly name: string
  readonly volumes: readonly SwarmVolumeOptions[]
  readonly controllers: number
  readonly ports: number
  readonly queueDepth: number
  readonly latency: { readonly base: number; readonly jitter: number }
  readonly maxTransfer: number
  readonly fenceDelay: number
  readonly log: boolean
}

/** A command that a {@link SwarmArray} has executed. */
export interface SwarmLogEntry {
  readonly op: IoOp
  readonly volumeNumber: number
  readonly offset: number
  readonly length: number
  readonly data: Uint8Array | undefined
}

/** A port of a {@link SwarmArray}. */
export interface SwarmPort {
  readonly up: boolean
  readonly hung: boolean
  readonly commands: number
  readonly paths: number
  readonly luns: readonly { readonly lun: number; readonly volume: VolumeId }[]
}

/** What may change of a volume. */
export interface SwarmVolumeChanges {
  size?: number
  readOnly?: boolean
  writeCache?: boolean
  fua?: boolean
  trim?: boolean
  writeZeroes?: boolean
}

/** What a swarm needs of a simulated array; that of `@blockbraid/target-memory` has it. Every method acts at once. */
export interface SwarmArray {
  readonly volumes: readonly {
    readonly id: VolumeId
    readonly size: number
    readonly readOnly: boolean
    readonly writeCache: boolean
    readonly fua: boolean
    readonly trim: boolean
    readonly writeZeroes: boolean
    readonly allocated: number
  }[]
  readonly ports: readonly SwarmPort[]
  readonly log: readonly SwarmLogEntry[]
  readonly events: Events<TargetEvents>
  portDown(port: number): void
  portUp(port: number): void
  hang(port: number): void
  release(port: number): void
  slow(port: number, extra: number): void
  fail(rule: { port: number; rate: number; status: number }): () => void
  heal(): void
  setAccess(volume: 'all', where: { port: number } | { controller: number } | 'all', access: Access): void
  change(volume: number, changes: SwarmVolumeChanges): void
  protect(volume: number, port: number | 'all', on: boolean): void
  map(volume: number, port: number | 'all', lun?: number): void
  unmap(volume: number, port: number | 'all'): void
  reuseLun(port: number, lun: number, volume: number): void
  stickFences(): void
  freeFences(): void
  loseCache(volume: number, options: { late: readonly number[] }): void
  powerLoss(): void
  powerOn(): void
  crashImage(volume: number): { read(offset: number, length: number): Uint8Array }
  peek(volume: number, offset: number, length: number): Uint8Array
}

/** A target whose process can be killed: nothing that it has sent is answered any more. */
export interface SwarmTarget extends Target {
  kill(): void
}

/** A policy by its name. */
export interface SwarmPolicy {
  readonly name: string
  create(host: Host): PathSelector
}

/** What a swarm is run on. */
export interface SwarmParts {
  createArray(options: SwarmArrayOptions, host: Host): SwarmArray
  createTarget(array: SwarmArray, initiator: string, host: Host): SwarmTarget
  readonly policies: readonly SwarmPolicy[]
}
