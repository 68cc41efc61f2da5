import type { Clock, PathInfo, VolumeId } from '@blockbraid/core'
import { delay } from '@blockbraid/core'
import type { Lun } from '../../scsi/lun.ts'
import type { Session } from '../../session/session.ts'
import type { Nexus } from '../nexus/nexus.ts'
import type { Disk } from '../unit/disk.ts'
import type { OpenPathOptions } from './open-path.ts'
import { openPath } from './open-path.ts'
import type { IscsiPath, PathHost } from './path.ts'
import type { Reviewed } from './review.ts'

/** How paths of a target are. */
export interface PathSettings {
  readonly taskTimeout: number
  readonly pollInterval: number
  readonly queueDepth: number
  readonly maxTransfer: number
  readonly fence: 'session' | 'lun-reset'
  readonly registerKey: string | undefined
}

// Between tries to reset a logical unit, milliseconds.
const RESET_DELAY = 500

/** The open paths of a target, and what one of them knows that concerns the others to its volume. */
export class Paths implements PathHost {
  readonly clock: Clock
  readonly taskTimeout: number
  readonly pollInterval: number
  readonly queueDepth: number
  readonly maxTransfer: number
  readonly resets: boolean
  readonly registerKey: string | undefined
  readonly changed: (why: string) => void
  readonly #ended: AbortSignal
  readonly #all = new Set<IscsiPath>()
  /** Paths that have been opened, by id. */
  readonly #opened = new Map<string, PathInfo>()
  readonly #disks = new Map<VolumeId, Disk>()
  readonly #writesLost = new Set<VolumeId>()

  /** `ended`: nothing is to be fenced any more. */
  constructor(clock: Clock, settings: PathSettings, ended: AbortSignal, changed: (why: string) => void) {
    this.clock = clock
    this.taskTimeout = settings.taskTimeout
    this.pollInterval = settings.pollInterval
    this.queueDepth = settings.queueDepth
    this.maxTransfer = settings.maxTransfer
    this.resets = settings.fence === 'lun-reset'
    this.registerKey = settings.registerKey
    this.#ended = ended
    this.changed = changed
  }

  async open(nexus: Nexus, session: Session, lun: Lun, info: PathInfo, options: OpenPathOptions): Promise<IscsiPath> {
    const path = await openPath(this, nexus, session, lun, info, options)
    this.#all.add(path)
    this.#opened.set(info.id, info)
    return path
  }

  /** Paths that have been opened and whose volume is still in use. */
  inUse(): readonly PathInfo[] {
    const volumes = new Set(Array.from(this.#all, ({ volume }) => volume))
    return [...this.#opened.values()].filter(({ volume }) => volumes.has(volume))
  }

  /** Lets open paths look again where the array tells another volume or another size than they know, or may take writes. */
  compare(infos: readonly PathInfo[]): void {
    const told = new Map(infos.map((info) => [info.id, info]))
    for (const path of this.#all) {
      const info = told.get(path.id)
      if (info === undefined || info.unseen) continue
      const { size, readOnly } = path.limits
      if (info.size !== size || info.volume !== path.volume || readOnly) path.lookAgain()
    }
  }

  lastDisk(volume: VolumeId, disk?: Disk): Disk | undefined {
    if (disk !== undefined) this.#disks.set(volume, disk)
    return this.#disks.get(volume)
  }

  writeLost(volume: VolumeId): void {
    this.#writesLost.add(volume)
    for (const path of this.#all) if (path.volume === volume) path.failFlushes()
  }

  takeWriteLost(volume: VolumeId): boolean {
    return this.#writesLost.delete(volume)
  }

  resetHeard({ id, volume }: Reviewed): void {
    for (const path of this.#all) if (path.volume === volume && path.id !== id) path.lookAgain()
  }

  async fencedByReset(lost: IscsiPath, proven: AbortSignal): Promise<void> {
    if (!this.resets) return new Promise(() => {})
    const over = AbortSignal.any([proven, this.#ended])
    while (!over.aborted) {
      if (await this.resetThrough((other) => other !== lost && other.volume === lost.volume)) return
      await delay(this.clock, RESET_DELAY, over)
    }
    // Given up, which proves nothing.
    return new Promise(() => {})
  }

  /** Resets the logical unit through the first of those paths that can; resolves to whether one could. */
  async resetThrough(which: (path: IscsiPath) => boolean): Promise<boolean> {
    for (const path of this.#all) {
      if (!which(path)) continue
      const done = await path.reset().then(
        () => true,
        () => false,
      )
      if (done) return true
    }
    return false
  }

  gone(path: IscsiPath): void {
    this.#all.delete(path)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#all].map((path) => path.close()))
  }
}
