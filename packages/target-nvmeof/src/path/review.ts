import type { Access, Clock, DeviceLimits, Path, VolumeId } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { News } from '../nvme/status.ts'
import { readAccess } from '../unit/access.ts'
import type { Asker } from '../unit/ask.ts'
import type { Disk, DiskOptions } from '../unit/disk.ts'
import { readDisk } from '../unit/disk.ts'
import type { Identity, Seen } from '../unit/identity.ts'
import { differenceOf, readNamespace } from '../unit/identity.ts'

/** What was read when the path was opened. */
export interface Opened {
  readonly identity: Identity
  readonly disk: Disk
  readonly access: Access
}

/** What a review needs of the target. */
export interface ReviewTarget extends DiskOptions {
  readonly clock: Clock
  /** Volumes came or went. */
  changed(why: string): void
  /** What was read of the volume last, through any path; a new reading is told by `disk`. */
  lastDisk(volume: VolumeId, disk?: Disk): Disk | undefined
}

/** What a review tells its path, and asks of it. */
export interface ReviewHost {
  /** How long it may be since somebody looked who answers before I/O waits until that is known, µs. */
  readonly stale: number
  isOpen(): boolean
  asker(onNews: (news: number) => void): Asker
  /** What an access state that was read comes to. */
  judgeAccess(told: Access): Access
  accessChanged(access: Access): void
  limitsChanged(limits: DeviceLimits): void
  /** It is known again what the path leads to: what waited for that goes on. */
  over(): void
  fail(error: BlockError): void
}

/** The path that is reviewed, as it is now. */
export type Reviewed = Readonly<Pick<Path, 'id' | 'volume' | 'access' | 'limits'>>

const MAX_ROUNDS = 20

/**
 * What a path leads to: read again whenever news says that it may have changed. Nobody tells what has changed of a
 * namespace, so that any news of it may mean another volume.
 */
export class Review {
  identity: Identity
  disk: Disk
  /** Whether it is being read again; until that is over nothing must be sent. */
  checking = false
  /** Until it is known who answers, what was answered may have come from another volume. */
  doubts = false
  readonly #path: Reviewed
  readonly #target: ReviewTarget
  readonly #host: ReviewHost
  #news = 0
  // When somebody looked, or was there to look, last.
  #lookedAt: number

  constructor(path: Reviewed, target: ReviewTarget, host: ReviewHost, { identity, disk }: Opened) {
    this.#path = path
    this.#target = target
    this.#host = host
    this.identity = identity
    this.disk = disk
    this.#lookedAt = target.clock.now()
  }

  /** Whether somebody has looked lately who answers; if not, it is done now. */
  isFresh(): boolean {
    if (this.#target.clock.now() - this.#lookedAt <= this.#host.stale) return true
    this.hear(News.Namespace)
    return false
  }

  /** Looks who answers, while I/O goes on. */
  async look(asker: Asker): Promise<void> {
    const seen = await readNamespace(asker, this.identity.nsid)
    if (differenceOf(this.identity, seen?.identity) !== undefined) return this.hear(News.Namespace)
    this.#lookedAt = this.#target.clock.now()
  }

  /** Somebody is there to look, however long the answer takes; not after a pause, in which there was nobody. */
  awake(): void {
    const now = this.#target.clock.now()
    if (now - this.#lookedAt <= this.#host.stale) this.#lookedAt = now
  }

  /** Looks what it can do, too, and whether it can be used, while I/O goes on. */
  async lookAtAll(asker: Asker): Promise<void> {
    const seen = await readNamespace(asker, this.identity.nsid)
    if (seen === undefined || differenceOf(this.identity, seen.identity) !== undefined) return this.hear(News.Namespace)
    this.#lookedAt = this.#target.clock.now()
    const disk = (await readDisk(asker, seen, this.#target)) ?? this.disk
    if (JSON.stringify(disk) !== JSON.stringify(this.disk)) return this.hear(News.Namespace)
    const access = this.#host.judgeAccess(await readAccess(asker, this.identity.nsid, disk.group))
    if (access !== this.#path.access) this.hear(News.Access)
  }

  /** Something may have changed: it is read again. */
  hear(news: number): void {
    if (news === 0 || !this.#host.isOpen()) return
    this.doubts = true
    this.#news |= news
    if (!this.checking) void this.#check()
  }

  /** Settles when it is known what the path leads to, or the path has ended. */
  async settled(): Promise<void> {
    this.isFresh()
    while (this.checking && this.#host.isOpen()) {
      await new Promise<void>((resolve) => void this.#target.clock.after(1, resolve))
    }
  }

  async #check(): Promise<void> {
    const host = this.#host
    this.checking = true
    try {
      for (let round = 1; this.#news !== 0 && host.isOpen(); round++) {
        if (round > MAX_ROUNDS) throw new BlockError('IO_FAILED', `${this.#path.id} reports changes without an end`)
        const news = this.#news
        this.#news = 0
        await this.#readAgain(news)
      }
    } catch (error) {
      if (host.isOpen()) host.fail(error as BlockError)
    }
    this.checking = false
    if (!host.isOpen()) return
    this.doubts = false
    host.over()
  }

  async #readAgain(news: number): Promise<void> {
    const host = this.#host
    const { id, access: before } = this.#path
    // What is asked here is answered by what has changed: the same news again would never end.
    const asker = host.asker((more) => this.hear(more & ~news))
    const seen = await readNamespace(asker, this.identity.nsid)
    if (seen === undefined) this.#target.changed(`${id} is gone`)
    const difference = differenceOf(this.identity, seen?.identity)
    if (seen === undefined || difference !== undefined) {
      throw new BlockError('IDENTITY_CHANGED', `${id} now ${difference}`)
    }
    this.#lookedAt = this.#target.clock.now()
    if ((news & News.Namespaces) !== 0) this.#target.changed(`${id} reports that namespaces came or went`)
    await this.#readLimits(asker, seen)
    const access = host.judgeAccess(await readAccess(asker, this.identity.nsid, this.disk.group))
    if (access !== before && host.isOpen()) host.accessChanged(access)
  }

  async #readLimits(asker: Asker, seen: Seen): Promise<void> {
    const { id, volume, limits: before } = this.#path
    const disk = await readDisk(asker, seen, this.#target)
    // Where it takes no I/O it need not tell: another path has, or it is asked again when it takes some.
    this.disk = this.#target.lastDisk(volume, disk) ?? this.disk
    const { limits } = this.disk
    if (before.blockSize !== limits.blockSize) {
      throw new BlockError('MISMATCH', `${id} now has blocks of ${limits.blockSize} bytes, not ${before.blockSize}`)
    }
    if (!this.#host.isOpen() || JSON.stringify(before) === JSON.stringify(limits)) return
    this.#host.limitsChanged(limits)
  }
}

/** Whether a namespace in this state executes reads and writes. */
export function takesIo(access: Access): boolean {
  return access === 'optimized' || access === 'non-optimized'
}
