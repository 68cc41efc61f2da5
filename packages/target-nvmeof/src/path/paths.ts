import type { Clock, Fence, PathInfo, VolumeId } from '@blockbraid/core'
import type { Association } from '../association/association.ts'
import type { SharedAssociation } from '../fence/shared-association.ts'
import type { SharedAssociations } from '../fence/shared-associations.ts'
import type { Disk } from '../unit/disk.ts'
import type { OpenPathOptions } from './open-path.ts'
import { openPath } from './open-path.ts'
import type { NvmePath, PathHost, PathLink } from './path.ts'

/** How paths of a target are. */
export interface PathSettings {
  readonly pollInterval: number
  readonly queueDepth: number
  readonly maxTransfer: number
}

/** The open paths of a target, and what one of them knows that concerns the others to its volume. */
export class Paths implements PathHost {
  readonly clock: Clock
  readonly pollInterval: number
  readonly queueDepth: number
  readonly maxTransfer: number
  readonly changed: (why: string) => void
  readonly #shared: Pick<SharedAssociations, 'fenceBy' | 'tokenOf'>
  readonly #all = new Set<NvmePath>()
  /** Paths that have been opened, by id. */
  readonly #opened = new Map<string, PathInfo>()
  readonly #disks = new Map<VolumeId, Disk>()

  constructor(
    clock: Clock,
    settings: PathSettings,
    shared: Pick<SharedAssociations, 'fenceBy' | 'tokenOf'>,
    changed: (why: string) => void,
  ) {
    this.clock = clock
    this.pollInterval = settings.pollInterval
    this.queueDepth = settings.queueDepth
    this.maxTransfer = settings.maxTransfer
    this.#shared = shared
    this.changed = changed
  }

  /** Opens a path over an association that was acquired; it is released when the path is closed. */
  async open(
    shared: SharedAssociation,
    association: Association,
    nsid: number,
    info: PathInfo,
    options: OpenPathOptions,
  ): Promise<NvmePath> {
    const path = await openPath(this, this.#linkOf(shared, association), nsid, info, options)
    this.#all.add(path)
    this.#opened.set(info.id, info)
    return path
  }

  #linkOf(shared: SharedAssociation, association: Association): PathLink {
    return {
      association,
      token: (nsid) => this.#shared.tokenOf(association, nsid),
      fenceBy: (): Fence => this.#shared.fenceBy(association),
      fenced: (owner) => shared.fenced(association, owner),
      release: () => shared.release(),
    }
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

  gone(path: NvmePath): void {
    this.#all.delete(path)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#all].map((path) => path.close()))
  }
}
