import type { Access, Clock, DeviceLimits, Path, Timer, VolumeId } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { decodeSense, describeSense } from '../../scsi/sense.ts'
import { losesCache, News } from '../../scsi/status.ts'
import type { Asker, NewsListener } from '../unit/ask.ts'
import { ScsiError } from '../unit/ask.ts'
import type { Disk, Identity } from '../unit/disk.ts'
import { isStill, readDisk, readIdentity, readPages } from '../unit/disk.ts'
import type { Standing } from '../unit/standing.ts'
import { isSameStanding, readStanding } from '../unit/standing.ts'

/** What was read when the path was opened. */
export interface Opened {
  readonly identity: Identity
  readonly disk: Disk
  readonly access: Access
  /** @defaultValue false */
  readonly preferred?: boolean
  /** Milliseconds. @defaultValue not told */
  readonly transitionTime?: number | undefined
  /** Whether a volatile cache may have lost what was in it before. */
  readonly wasReset: boolean
}

/** What a review needs of the target. */
export interface ReviewTarget {
  readonly clock: Clock
  readonly queueDepth: number
  readonly maxTransfer: number
  /** Volumes came or went. */
  changed(why: string): void
  /** What was read of the volume last, through any path; a new reading is told by `disk`. */
  lastDisk(volume: VolumeId, disk?: Disk): Disk | undefined
  /** An acknowledged write of the volume has failed: flushes that are under way must tell, or else the next. */
  writeLost(volume: VolumeId): void
  /** A unit attention of a reset has come: other paths to the volume have one too, and are to hear it now. */
  resetHeard(path: Reviewed): void
}

/** What a review tells its path, and asks of it. */
export interface ReviewHost {
  /** How long it may be since somebody looked who answers before I/O waits until that is known, µs. */
  readonly stale: number
  isOpen(): boolean
  asker(onNews: NewsListener): Asker
  cacheLost(why: string): void
  standingChanged(standing: Standing): void
  limitsChanged(limits: DeviceLimits): void
  /** It is known again what the path leads to: what waited for that goes on. */
  over(): void
  fail(error: BlockError): void
}

/** The path that is reviewed, as it is now. */
export type Reviewed = Readonly<Pick<Path, 'id' | 'volume' | 'access' | 'preferred' | 'transitionTime' | 'limits'>>

const MAX_ROUNDS = 20
// How soon it is asked again how a transition goes on, milliseconds: its end need not be told to a path without commands.
const TRANSITION = 500
// A size or a parameter that has changed may be that of another volume.
const WHO = News.Luns | News.Identity | News.Capacity

/** What a path leads to: read again whenever news says that it may have changed. */
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
  #again: Timer | undefined
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
    this.hear(News.Identity)
    return false
  }

  /** Looks who answers, while I/O goes on. */
  async look(asker: Asker): Promise<void> {
    if (await isStill(asker, this.identity)) this.#lookedAt = this.#target.clock.now()
    else this.hear(News.Identity)
  }

  /** Somebody is there to look, however long the answer takes; not after a pause, in which there was nobody. */
  awake(): void {
    const now = this.#target.clock.now()
    if (now - this.#lookedAt <= this.#host.stale) this.#lookedAt = now
  }

  /** Looks how large it is and what it can do, while I/O goes on. */
  async lookAtLimits(asker: Asker): Promise<void> {
    // One more page may tell of what it could not do before.
    const pages = await readPages(asker)
    if (`${pages}` !== `${this.identity.pages}`) return this.hear(News.Identity | News.Capacity)
    const disk = await readDisk(asker, this.identity, this.#target)
    if (JSON.stringify(disk) !== JSON.stringify(this.disk)) this.hear(News.Capacity)
  }

  /** Something may have changed: it is read again. `sense` is what tells so. */
  hear(news: number, sense?: Uint8Array): void {
    if (news === 0 || !this.#host.isOpen()) return
    if ((news & News.WriteLost) !== 0) this.#target.writeLost(this.#path.volume)
    if ((news & News.Reset) !== 0 && sense !== undefined) this.#hearReset(sense)
    if ((news & WHO) !== 0) this.doubts = true
    this.#news |= news & (News.Access | News.Capacity | News.Luns | News.Identity)
    if (this.#news !== 0 && !this.checking) void this.#check()
  }

  #hearReset(bytes: Uint8Array): void {
    const sense = decodeSense(bytes)
    // What limits say still holds for the time before the reset.
    if (sense === undefined || !losesCache(sense) || !this.#path.limits.writeCache) return
    this.#host.cacheLost(`${this.#path.id} was powered on or reset: ${describeSense(sense)}`)
    this.#target.resetHeard(this.#path)
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
    this.watchTransition()
  }

  /** Has it read again as long as the port is in transition. */
  watchTransition(): void {
    this.stop()
    if (this.#path.access !== 'transitioning' || !this.#host.isOpen()) return
    this.#again = this.#target.clock.after(TRANSITION, () => this.hear(News.Access))
  }

  /** The path ends. */
  stop(): void {
    this.#again?.cancel()
    this.#again = undefined
  }

  async #readAgain(news: number): Promise<void> {
    const host = this.#host
    const { id, volume, access: before } = this.#path
    // A port in standby says so again with each command; all else is told once, and may be later than what was read.
    const asker = host.asker((more, sense) => this.hear(more & ~(news & News.Access), sense))
    if ((news & WHO) !== 0) {
      const identity = await readIdentity(asker)
      if (identity?.volume !== volume) {
        const what = identity === undefined ? 'to no disk' : `to volume ${identity.volume}`
        throw new BlockError('IDENTITY_CHANGED', `${id} now leads ${what}, not to ${volume}`)
      }
      const { serial } = this.identity
      if (identity.serial !== serial) {
        const what = `serial number ${identity.serial ?? 'none'}, not ${serial ?? 'none'}`
        throw new BlockError('IDENTITY_CHANGED', `${id} now leads to a volume of ${what}`)
      }
      this.identity = identity
      this.#lookedAt = this.#target.clock.now()
      if ((news & News.Luns) !== 0) this.#target.changed(`${id} reports that logical units came or went`)
    }
    if ((news & (News.Identity | News.Capacity)) !== 0) await this.#readLimits(asker)
    const standing = await readStanding(asker, this.identity)
    if (isSameStanding(standing, this.#path) || !host.isOpen()) return
    // What a port in standby did not tell is to be known before the first I/O.
    if (takesIo(standing.access) && !takesIo(before)) await this.#readLimits(asker)
    if (host.isOpen()) host.standingChanged(standing)
  }

  async #readLimits(asker: Asker): Promise<void> {
    const { id, volume, limits: before } = this.#path
    try {
      this.disk = await readDisk(asker, this.identity, this.#target)
      this.#target.lastDisk(volume, this.disk)
    } catch (error) {
      if (!(error instanceof ScsiError)) throw error
      // In standby it may not tell; another path has, or it is asked again when it takes I/O.
      this.disk = this.#target.lastDisk(volume) ?? this.disk
    }
    const { limits } = this.disk
    if (before.blockSize !== limits.blockSize) {
      throw new BlockError('MISMATCH', `${id} now has blocks of ${limits.blockSize} bytes, not ${before.blockSize}`)
    }
    if (!this.#host.isOpen() || JSON.stringify(before) === JSON.stringify(limits)) return
    this.#host.limitsChanged(limits)
  }
}

/** Whether a port in this state executes reads and writes. */
export function takesIo(access: Access): boolean {
  return access === 'optimized' || access === 'non-optimized'
}
