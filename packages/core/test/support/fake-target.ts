import type {
  CommandSet,
  DeviceLimits,
  Emitter,
  Fence,
  FenceProof,
  Io,
  IoStatus,
  Path,
  PathEvents,
  PathInfo,
  Target,
  VolumeId,
} from '../../src/index.ts'
import { BlockError, createEmitter, Errno, OK, PATH_ERROR } from '../../src/index.ts'

export const VOLUME: VolumeId = 'naa.60000000000000000000000000000001'

export const LIMITS: DeviceLimits = {
  size: 1024 * 1024,
  blockSize: 512,
  preferredBlockSize: 4096,
  maxTransfer: 65536,
  queueDepth: 64,
  writeCache: true,
  fua: true,
  trim: true,
  writeZeroes: true,
  readOnly: false,
}

/** A path whose every completion the test decides. */
export class FakePath implements Path {
  readonly id: string
  volume: VolumeId
  access: Path['access'] = 'optimized'
  preferred?: boolean
  transitionTime?: number
  limits: DeviceLimits
  readonly events: Emitter<PathEvents> = createEmitter()
  readonly held: Io[] = []
  /** Everything that was ever submitted: op, offset, length. */
  readonly seen: [number, number, number][] = []
  closed = false
  /** Settles the fence; undefined settles it at once. */
  fence: Promise<void> | undefined
  /** What a broken path does: it keeps its Ios when it is closed. */
  keepsIos = false
  /** Ends every Io at once, as an idle array does. */
  auto = false
  failure?: Error
  reservesAlone?: boolean
  activate?: () => Promise<void>
  ping?: () => Promise<void>
  extents?: NonNullable<Path['extents']>
  commands?: CommandSet
  fenceBy?: Fence
  fenceFailure?: Error
  fencedBy?: FenceProof

  constructor(id: string, volume: VolumeId, limits: DeviceLimits) {
    this.id = id
    this.volume = volume
    this.limits = limits
  }

  submit(io: Io): void {
    if (this.closed) return queueMicrotask(() => io.done(io, Errno.ESHUTDOWN))
    this.seen.push([io.op, io.offset, io.length])
    this.held.push(io)
    if (this.auto) queueMicrotask(() => this.complete(OK, 1))
  }

  /** Ends the first `count` held Ios, all by default. */
  complete(status: IoStatus = OK, count: number = this.held.length): void {
    for (const io of this.held.splice(0, count)) io.done(io, status)
  }

  setAccess(access: Path['access']): void {
    this.access = access
    this.events.emit('access', access)
  }

  prefer(on: boolean): void {
    this.preferred = on
    this.events.emit('access', this.access)
  }

  async close(): Promise<void> {
    this.closed = true
    if (!this.keepsIos) this.complete(Errno.EIO | PATH_ERROR)
    await this.fence
  }
}

/** A target of `count` fake paths to one volume; `paths` holds the newest connection of each. */
export class FakeTarget implements Target {
  readonly name: string
  readonly paths = new Map<string, FakePath>()
  readonly connects: string[] = []
  readonly events = createEmitter<{ changed: string }>()
  infos: PathInfo[]
  limits: DeviceLimits = LIMITS
  /** Ids that refuse to connect, with the message. */
  readonly refuse = new Map<string, string>()
  /** Changes a new path before it is handed out. */
  prepare: (path: FakePath) => void = () => {}

  constructor(count: number, name = 'fake', volume: VolumeId = VOLUME) {
    this.name = name
    this.infos = Array.from({ length: count }, (_, index) => ({
      id: `${name}:${index}`,
      address: `port${index}`,
      volume,
      size: LIMITS.size,
      blockSize: LIMITS.blockSize,
    }))
  }

  get sources(): { target: Target; info: PathInfo }[] {
    return this.infos.map((info) => ({ target: this, info }))
  }

  path(index: number): FakePath {
    const path = this.paths.get(`${this.name}:${index}`)
    if (path === undefined) throw new Error(`path ${index} was never connected`)
    return path
  }

  /** Ends every Io that any path holds. */
  completeAll(status: IoStatus = OK): void {
    for (const path of this.paths.values()) path.complete(status)
  }

  async discover(): Promise<readonly PathInfo[]> {
    return this.infos
  }

  async connect(info: PathInfo): Promise<Path> {
    this.connects.push(info.id)
    const refusal = this.refuse.get(info.id)
    if (refusal !== undefined) throw new BlockError('CONNECT_FAILED', refusal)
    const path = new FakePath(info.id, info.volume, this.limits)
    this.prepare(path)
    this.paths.set(info.id, path)
    return path
  }

  async close(): Promise<void> {}
}
